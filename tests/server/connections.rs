//! How many connections there may be, and how fast they may come: of a listener, of an address, in all (KIP-308, KIP-402,
//! KIP-612). How fast is too fast is tested with a clock of its own (`network/limits`); here everything is far beyond.

use kafka_protocol::messages::ApiVersionsRequest;
use kafka_protocol::messages::alter_client_quotas_request::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use kafka_protocol::protocol::StrBytes;

use crate::support::{Broker, Wire, ZooKeeper, free_port, wait_for};

fn is_served(wire: &mut Wire) -> bool {
    wire.try_call(0, &ApiVersionsRequest::default()).is_ok()
}

/// Connections from an address, one after the other, until one is not served.
fn until_refused(local: &str, address: &str) -> Vec<Wire> {
    let mut open = Vec::new();
    wait_for("a refused connection", || {
        let mut wire = Wire::connect_from(local, address);
        let is_served = is_served(&mut wire);
        if is_served {
            open.push(wire);
        }
        (!is_served).then_some(())
    });
    open
}

/// Sets a dynamic setting of the broker.
fn configure(wire: &mut Wire, key: &'static str, value: &str) {
    let config = AlterableConfig::default()
        .with_name(StrBytes::from_static_str(key))
        .with_value(Some(StrBytes::from_string(value.to_string())));
    let resource = AlterConfigsResource::default()
        .with_resource_type(4)
        .with_resource_name(StrBytes::from_static_str("0"))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let response = wire.call(0, &request);
    assert_eq!(response.responses[0].error_code, 0, "{response:?}");
}

/// Sets the rate of an address, or takes it away.
fn set_rate(broker: &Broker, address: Option<&'static str>, rate: Option<f64>) {
    let entity = EntityData::default()
        .with_entity_type(StrBytes::from_static_str("ip"))
        .with_entity_name(address.map(StrBytes::from_static_str));
    let op = OpData::default()
        .with_key(StrBytes::from_static_str("connection_creation_rate"))
        .with_value(rate.unwrap_or_default())
        .with_remove(rate.is_none());
    let entry = EntryData::default().with_entity(vec![entity]).with_ops(vec![op]);
    let request = AlterClientQuotasRequest::default().with_entries(vec![entry]);
    let response = broker.connect().call(0, &request);
    assert_eq!(response.entries[0].error_code, 0, "{response:?}");
}

#[test]
fn an_address_has_as_many_connections_as_it_may() {
    let zookeeper = ZooKeeper::start();
    let bounds = [("max.connections.per.ip", "40"), ("max.connections.per.ip.overrides", "127.0.0.3:1")];
    let broker = Broker::start(&zookeeper.address(), &bounds);
    let mut open = until_refused("127.0.0.2", &broker.address());
    assert_eq!(open.len(), 40);
    assert!(open.iter_mut().all(is_served));
    assert_eq!(until_refused("127.0.0.3", &broker.address()).len(), 1);
    broker.wait_for_log("from /127.0.0.3, address already has the configured maximum of 1 connections.");
    open.pop();
    let again = || {
        let mut wire = Wire::connect_from("127.0.0.2", &broker.address());
        is_served(&mut wire).then_some(wire)
    };
    open.push(wait_for("the place of the one that has gone", again));

    configure(&mut broker.connect(), "max.connections.per.ip.overrides", "127.0.0.3:2,127.0.0.2:41");
    open.push(wait_for("a larger bound", again));
    assert_eq!(until_refused("127.0.0.2", &broker.address()).len(), 0);
    wait_for("the other one's place", || {
        (until_refused("127.0.0.3", &broker.address()).len() == 2).then_some(())
    });
}

#[test]
fn an_address_opens_connections_as_fast_as_it_may() {
    let zookeeper = ZooKeeper::start();
    let mut broker = Broker::start(&zookeeper.address(), &[]);
    set_rate(&broker, Some("127.0.0.2"), Some(1.0));
    until_refused("127.0.0.2", &broker.address());
    assert!(is_served(&mut broker.connect()), "others go on");

    // Rates are read at the start, too, and one is for all that have none.
    set_rate(&broker, Some("127.0.0.1"), Some(1_000_000.0));
    set_rate(&broker, None, Some(1.0));
    broker.terminate();
    broker.start_again();
    until_refused("127.0.0.2", &broker.address());
    until_refused("127.0.0.3", &broker.address());
    set_rate(&broker, Some("127.0.0.2"), None);
    set_rate(&broker, None, None);
    wait_for("no rate", || {
        let mut many = (0..50).map(|_| Wire::connect_from("127.0.0.2", &broker.address()));
        many.all(|mut wire| is_served(&mut wire)).then_some(())
    });
}

#[test]
fn brokers_have_room_where_clients_have_none() {
    let zookeeper = ZooKeeper::start();
    let mut broker = Broker::prepare(&zookeeper.address(), &[]);
    let brokers = format!("127.0.0.1:{}", free_port());
    let listeners = format!("CLIENTS://{},BROKERS://{brokers}", broker.address());
    broker.set("listeners", &listeners);
    broker.set("listener.security.protocol.map", "CLIENTS:PLAINTEXT,BROKERS:PLAINTEXT");
    broker.set("inter.broker.listener.name", "BROKERS");
    broker.set("listener.name.clients.max.connections", "3");
    broker.start_again();
    let mut clients: Vec<Wire> = (0..3).map(|_| broker.connect()).collect();
    assert!(clients.iter_mut().all(is_served));
    // The fourth is heard when one of the others has gone.
    let mut fourth = broker.connect();
    fourth.try_send(0, &ApiVersionsRequest::default()).expect("the system has taken it");
    drop(clients.remove(0));
    fourth.try_receive::<ApiVersionsRequest>(0).expect("an answer");
    clients.push(fourth);

    // Now all together are full, and a broker comes: the client that was silent for the longest time has to go.
    let mut broker_like = Wire::connect(&brokers);
    assert!(is_served(&mut broker_like));
    configure(&mut broker_like, "max.connections", "2");
    let mut left = wait_for("connections that are closed", || {
        clients = clients.drain(..).filter_map(|mut wire| is_served(&mut wire).then_some(wire)).collect();
        if clients.len() == 1 { clients.pop() } else { None }
    });
    assert!(is_served(&mut broker_like) && is_served(&mut Wire::connect(&brokers)));
    wait_for("the last one's end", || (!is_served(&mut left)).then_some(()));
}
