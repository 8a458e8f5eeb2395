//! Faults of the network. Clients reach all brokers all the time.

use super::faults::SESSION;
use super::history::History;
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
    wait_while_cut(lab, partition, follower);
}

/// What a broker sends to another one is lost.
pub fn cut_one_way(lab: &mut Lab) {
    let partition = lab.pick_partition();
    let leader = lab.leader(partition);
    let follower = (leader + lab.rng.within(1..BROKERS as u64) as usize) % BROKERS;
    let (from, to) = if lab.flip() { (leader, follower) } else { (follower, leader) };
    lab.net().lose(from, Net::address(to));
    wait_while_cut(lab, partition, follower);
}

/// The leader goes on without the follower. Unless that is the controller and writes the ISRs (from protocol 2.7 on): then
/// nothing is acknowledged before the heal, with Kafka as with us.
fn wait_while_cut(lab: &mut Lab, partition: usize, follower: usize) {
    let by_controller = lab.cluster.controller_writes_isrs();
    let stays = move |history: &History| by_controller && history.controller() == Some(follower);
    lab.wait_until("an ISR without one of them", |history| {
        history.isr(partition).len() < BROKERS || stays(history)
    });
    if stays(lab.history) {
        return lab.wait_a_moment(SESSION * 2);
    }
    let count = lab.rng.within(1..60);
    lab.progress[partition].wait_for_more_or(count, || stays(lab.history));
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
