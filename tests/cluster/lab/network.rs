//! Faults of the network. Clients reach all brokers all the time.

use super::{BROKERS, Lab, PARTITIONS};
use crate::support::net::Net;

impl Lab<'_> {
    fn net(&self) -> &Net {
        self.net.expect("the place is a network")
    }
}

/// Two brokers do not hear each other; each still hears the third and ZooKeeper.
pub fn cut_brokers(lab: &mut Lab) {
    let partition = lab.pick_partition();
    let leader = lab.leader(partition);
    let follower = (leader + lab.rng.within(1..BROKERS as u64) as usize) % BROKERS;
    lab.net().cut(leader, follower);
    lab.wait_until("an ISR without one of them", |history| history.isr(partition).len() < BROKERS);
    lab.wait_a_bit(partition);
}

/// What a broker sends to another one is lost.
pub fn cut_one_way(lab: &mut Lab) {
    let partition = lab.pick_partition();
    let leader = lab.leader(partition);
    let follower = (leader + lab.rng.within(1..BROKERS as u64) as usize) % BROKERS;
    let (from, to) = if lab.flip() { (leader, follower) } else { (follower, leader) };
    lab.net().lose(from, Net::address(to));
    lab.wait_until("an ISR without one of them", |history| history.isr(partition).len() < BROKERS);
    lab.wait_a_bit(partition);
}

/// A leader, or the controller, loses ZooKeeper and with it its session, and does not hear of its successor from there.
pub fn cut_zookeeper(lab: &mut Lab) {
    let partition = lab.pick_partition();
    let controller = lab.history.controller();
    let victim = if lab.flip() { lab.leader(partition) } else { controller.unwrap_or(0) };
    lab.net().lose(victim, Net::ZOOKEEPER);
    lab.wait_until("successor", |history| {
        (0..PARTITIONS).all(|p| history.goes_on_without(p, victim))
            && history.controller().is_some_and(|controller| controller != victim)
    });
    lab.wait_a_bit_without(partition, victim);
}

/// A leader loses ZooKeeper and the other brokers, and clients still ask it: it must acknowledge nothing.
pub fn cut_off(lab: &mut Lab) {
    let partition = lab.pick_partition();
    let victim = lab.leader(partition);
    lab.net().lose(victim, Net::ZOOKEEPER);
    for other in (0..BROKERS).filter(|other| *other != victim) {
        lab.net().cut(victim, other);
    }
    lab.wait_until("successor", |history| (0..PARTITIONS).all(|p| history.goes_on_without(p, victim)));
    lab.wait_a_bit_without(partition, victim);
}
