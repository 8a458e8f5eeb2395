//! The harness itself.

use crate::support::{ZooKeeper, free_port};

#[test]
fn zookeeper_keeps_its_data_over_a_kill() {
    let mut zookeeper = ZooKeeper::start();
    assert!(zookeeper.ask("srvr").expect("it serves").contains("Mode: standalone"));
    zookeeper.kill();
    assert_eq!(zookeeper.ask("srvr"), None);
    zookeeper.start_again();
    assert!(zookeeper.ask("ruok").expect("it serves").contains("imok"));
}

#[test]
fn ports_are_below_the_ephemeral_range_and_given_once() {
    let ports: std::collections::HashSet<u16> = (0..50).map(|_| free_port()).collect();
    assert_eq!(ports.len(), 50);
    assert!(ports.iter().all(|port| (1024..32768).contains(port)));
}
