//! What readers make of the odd and the broken.

mod golden;

use super::*;
use crate::common::{TopicPartition, Uuid};
use crate::config::{IbpVersion, SecurityProtocol};
use std::collections::BTreeMap;

type Reader = (&'static str, fn(&[u8]) -> bool);

/// Every reader, told only whether it understood.
fn readers() -> Vec<Reader> {
    vec![
        ("broker", |d| BrokerRegistration::decode(d).is_ok()),
        ("cluster_id", |d| cluster_id::decode(d).is_ok()),
        ("config_change", |d| config_change::decode(d).is_ok()),
        ("controller", |d| controller::decode(d).is_ok()),
        ("epoch", |d| controller::decode_epoch(d).is_ok()),
        ("feature", |d| FeatureZNode::decode(d).is_ok()),
        ("isr_change", |d| isr_change::decode(d).is_ok()),
        ("log_dir_event", |d| log_dir_event::decode(d).is_ok()),
        ("offset", |d| consumer_offset::decode(d).is_ok()),
        ("partition_state", |d| PartitionState::decode(d).is_ok()),
        ("preferred_election", |d| preferred_election::decode(d).is_ok()),
        ("producer_id_block", |d| ProducerIdBlock::decode(d).is_ok()),
        ("reassign", |d| reassign::decode(d).is_ok()),
        ("topic", |d| TopicAssignment::decode(d).is_ok()),
        ("config_entity", |d| config_entity::decode(d).is_ok()),
    ]
}

#[test]
fn garbage_is_an_error_and_never_a_panic() {
    let deep = "[".repeat(100_000);
    let garbage: Vec<&[u8]> =
        vec![b"null", b"[]", b"\"x\"", b"{\"version\":1", b"\xff\xfe", b"-", b"1e999", deep.as_bytes()];
    for (name, read) in readers() {
        for data in &garbage {
            let shown = String::from_utf8_lossy(&data[..data.len().min(20)]).into_owned();
            // As in Kafka: JSON that is no object holds no entries.
            let harmless = name == "config_entity" && ["null", "[]", "\"x\""].contains(&shown.as_str());
            assert_eq!(read(data), harmless, "{name} of {shown}");
        }
        assert_eq!(read(b""), name == "config_entity", "{name} of nothing");
    }
}

#[test]
fn every_cut_and_every_flipped_byte_is_survived() {
    let topic = TopicAssignment::of(Some(Uuid([7; 16])), BTreeMap::from([(0, vec![1, 2]), (10, vec![3])]));
    let samples = [
        topic.encode(),
        sample_broker(5).encode(),
        PartitionState { controller_epoch: 1, leader: 2, leader_epoch: 3, isr: vec![2] }.encode(),
        ProducerIdBlock { broker_id: 1, first: 0, last: 999 }.encode(),
        isr_change::encode(&[TopicPartition::new("t", 0)]),
    ];
    for sample in samples {
        for at in 0..sample.len() {
            for (_, read) in readers() {
                read(&sample[..at]);
                for bit in [1u8, 0x20, 0x80] {
                    let mut data = sample.to_vec();
                    data[at] ^= bit;
                    read(&data);
                }
            }
        }
    }
}

fn sample_broker(version: i32) -> BrokerRegistration {
    let endpoints = "PLAINTEXT://h1:9092,REP://[::1]:9093";
    let protocols = "PLAINTEXT:PLAINTEXT,REP:SSL";
    let protocols = crate::config::endpoint::parse_protocol_map(protocols).unwrap();
    BrokerRegistration {
        version,
        endpoints: crate::config::endpoint::parse_endpoints(endpoints, &protocols, false).unwrap(),
        rack: Some("r1".into()),
        jmx_port: -1,
        timestamp_ms: 1_700_000_000_000,
        features: BTreeMap::from([(
            "f".to_string(),
            broker::SupportedVersions { min_version: 1, max_version: 3 },
        )]),
    }
}

#[test]
fn broker_versions() {
    assert_eq!(
        sample_broker(5).encode(),
        concat!(
            r#"{"features":{"f":{"min_version":1,"max_version":3}},"#,
            r#""listener_security_protocol_map":{"PLAINTEXT":"PLAINTEXT","REP":"SSL"},"#,
            r#""endpoints":["PLAINTEXT://h1:9092","REP://[::1]:9093"],"rack":"r1","jmx_port":-1,"#,
            r#""port":9092,"host":"h1","version":5,"timestamp":"1700000000000"}"#
        )
    );
    for version in [4, 5] {
        let broker = sample_broker(version);
        let mut back = BrokerRegistration::decode(&broker.encode()).unwrap();
        back.features.extend(broker.features.clone());
        assert_eq!(back, broker);
    }
    let one = br#"{"version":1,"host":"h","port":9092,"jmx_port":9999,"timestamp":"2233345666"}"#;
    let one = BrokerRegistration::decode(one).unwrap();
    assert_eq!(one.endpoints[0].to_string(), "PLAINTEXT://h:9092");
    assert_eq!(one.timestamp_ms, 2_233_345_666);
    let two = br#"{"version":2,"host":null,"port":-1,"jmx_port":-1,"endpoints":["SSL://h:1"],"x":{"y":[]}}"#;
    let two = BrokerRegistration::decode(two).unwrap();
    assert_eq!(two.endpoint("SSL").unwrap().security_protocol, SecurityProtocol::Ssl);
    for bad in [
        r#"{"version":0,"host":"h","port":1,"jmx_port":-1}"#,
        r#"{"version":1,"jmx_port":-1}"#,
        r#"{"version":4,"jmx_port":-1}"#,
        r#"{"version":4,"jmx_port":-1,"endpoints":["REP://h:1"]}"#,
        r#"{"version":4,"jmx_port":-1,"endpoints":["A://h:1"],"listener_security_protocol_map":{"A":"B"}}"#,
        r#"{"version":4,"jmx_port":-1,"endpoints":["PLAINTEXT"]}"#,
    ] {
        assert!(BrokerRegistration::decode(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn registration_version_follows_the_protocol_version() {
    let version = |ibp| broker::version_for(IbpVersion::parse(ibp).unwrap());
    assert_eq!(["2.8", "2.7-IV0", "2.6", "1.1", "0.10.0", "0.9.0"].map(version), [5, 5, 4, 4, 4, 2]);
}

#[test]
fn topic_versions() {
    let one = TopicAssignment::decode(br#"{"version":1,"partitions":{"0":[1,2],"11":[3]}}"#).unwrap();
    assert_eq!(one, TopicAssignment::of(None, BTreeMap::from([(0, vec![1, 2]), (11, vec![3])])));
    let id = Uuid([9; 16]);
    let three = format!(
        r#"{{"partitions":{{"0":[2,3,1]}},"topic_id":"{id}","adding_replicas":{{"0":[2]}},"removing_replicas":{{"0":[1]}},"version":3}}"#
    );
    let topic = TopicAssignment::decode(three.as_bytes()).unwrap();
    assert!(topic.partitions[&0].is_being_reassigned());
    assert_eq!(topic.encode(), three);
    // Twice the same key: the last counts.
    let twice = TopicAssignment::decode(br#"{"partitions":{"0":[1]},"partitions":{"0":[2]}}"#).unwrap();
    assert_eq!(twice.partitions[&0].replicas, [2]);
    assert_eq!(TopicAssignment::decode(b"{}").unwrap(), TopicAssignment::default());
    for bad in [r#"{"partitions":{"x":[1]}}"#, r#"{"partitions":{"-1":[1]}}"#, r#"{"topic_id":"short"}"#] {
        assert!(TopicAssignment::decode(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn newer_kafka_is_understood() {
    let controller = br#"{"version":2,"brokerid":3,"timestamp":"1","kraftControllerEpoch":-1}"#;
    assert_eq!(controller::decode(controller), Ok(3));
    let state = br#"{"controller_epoch":1,"leader":-1,"version":1,"leader_epoch":0,"isr":[],"leader_recovery_state":1}"#;
    assert_eq!(PartitionState::decode(state).unwrap().leader, -1);
    let feature = br#"{"version":2,"status":1,"features":{"metadata.version":{"max_version_level":3}}}"#;
    assert_eq!(FeatureZNode::decode(feature).unwrap().features["metadata.version"].min_version_level, 1);
    assert!(FeatureZNode::decode(br#"{"version":1,"status":2,"features":{}}"#).is_err());
}

#[test]
fn config_changes_of_both_versions() {
    let change = |data: &str| {
        config_change::decode(data.as_bytes()).map(|c| format!("{} {}", c.entity_type, c.entity_name))
    };
    assert_eq!(
        change(r#"{"version":2,"entity_path":"users/alice/clients/c1"}"#).unwrap(),
        "users alice/clients/c1"
    );
    assert_eq!(change(r#"{"version":1,"entity_type":"topics","entity_name":"t"}"#).unwrap(), "topics t");
    for bad in [
        r#"{"version":1,"entity_type":"users","entity_name":"t"}"#,
        r#"{"version":1,"entity_type":"topics"}"#,
        r#"{"version":2,"entity_path":"topics"}"#,
        r#"{"version":2,"entity_path":"nothing/t"}"#,
        r#"{"version":2,"entity_path":"topics/"}"#,
        r#"{"version":3,"entity_path":"topics/t"}"#,
        r#"{"entity_path":"topics/t"}"#,
    ] {
        assert!(change(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_longest_isr_change_fits() {
    let partitions: Vec<_> = (0..isr_change::PARTITIONS_MAX)
        .map(|p| TopicPartition::new("x".repeat(249), i32::MAX - p as i32))
        .collect();
    assert!(isr_change::encode(&partitions).len() < 0xf_0000);
}

#[test]
fn config_values_are_text() {
    assert!(config_entity::decode(br#"{"config":{"a":1}}"#).is_err());
    assert!(config_entity::decode(br#"{"version":1}"#).unwrap().is_empty());
    let config = BTreeMap::from([("a".to_string(), "\u{fc} \"1\"".to_string())]);
    assert_eq!(config_entity::decode(&config_entity::encode(&config)).unwrap(), config);
}
