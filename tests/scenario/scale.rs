//! Cost: what a failure of a broker asks of ZooKeeper and of brokers grows with the partitions concerned only.

use crate::cluster::{Cluster, config};
use ottla::common::Uuid;
use ottla::controller::context::ReplicaAssignment;
use ottla::controller::effect::ZkRequest;
use ottla::controller::event::TopicNode;

const TOPICS: i32 = 100;
const PARTITIONS: i32 = 100;

/// Runs to the end; counts reads, writes, and requests to ZooKeeper.
fn settle(cluster: &mut Cluster) -> (usize, usize, usize) {
    let (mut reads, mut writes, mut requests) = (0, 0, 0);
    loop {
        for (_, request) in cluster.asked.values() {
            requests += 1;
            match request {
                ZkRequest::Read(list) => reads += list.len(),
                ZkRequest::Write { writes: list, .. } => writes += list.len(),
                _ => {}
            }
        }
        if let Some(id) = cluster.asked.keys().next().copied() {
            cluster.answer_zk(id);
        } else if !cluster.world.fired.is_empty() {
            cluster.deliver_watch();
        } else if let Some((from, to)) = cluster.deliverable().first().copied() {
            cluster.deliver_request(from, to);
        } else {
            cluster.out.clear();
            return (reads, writes, requests);
        }
        cluster.out.clear();
    }
}

#[test]
fn ten_thousand_partitions_cost_one_write_each() {
    let mut cluster = Cluster::default();
    cluster.start_machine(config(1, "2.8"));
    for id in [2, 3, 4] {
        cluster.start_broker(id);
    }
    for topic in 0..TOPICS {
        let replicas = |n: i32| ReplicaAssignment::new([2 + n % 3, 2 + (n + 1) % 3]);
        let partitions = (0..PARTITIONS).map(|n| (n, replicas(n))).collect();
        let id = Some(Uuid([topic as u8 + 1; 16]));
        cluster.world.create_topic(&format!("t{topic}"), TopicNode { id, partitions });
    }
    let partitions = (TOPICS * PARTITIONS) as usize;
    let (_, writes, _) = settle(&mut cluster);
    assert_eq!(writes, TOPICS as usize + 2 * partitions, "one node per topic, two per partition");

    // Broker 2 leads a third and follows a third: each is written once, none is read.
    let concerned = cluster.world.states.values().filter(|s| s.isr.contains(&2)).count();
    cluster.kill(2);
    let (reads, writes, requests) = settle(&mut cluster);
    assert_eq!((reads, writes), (1, concerned), "one read of the brokers, one write per partition");
    assert_eq!(requests, 3, "brokers, elections, ISRs");

    // It returns: nothing to write.
    cluster.start_broker(2);
    assert_eq!(settle(&mut cluster), (1, 0, 1));

    // The controller dies: the next one reads every topic and every state once.
    cluster.kill(1);
    cluster.start_machine(config(5, "2.8"));
    let (reads, writes, requests) = settle(&mut cluster);
    assert_eq!(writes, 0);
    let fixed = 9 + 1;
    assert!(reads <= partitions + TOPICS as usize + fixed, "{reads} reads");
    assert!(requests <= 8, "{requests} requests");
}
