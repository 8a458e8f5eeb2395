//! Faults of brokers, disks and ZooKeeper. Each leaves what it likes: [`Lab::heal`] follows.

use std::thread;
use std::time::Duration;

use super::{BROKERS, Lab, PARTITIONS};
use crate::support::number_from;

/// The session of a broker, and of the lab's ZooKeepers the time in which they notice its end.
pub const SESSION: Duration = Duration::from_millis(3000);

pub fn kill_leader(lab: &mut Lab) {
    for _ in 0..lab.rng.within(1..3) {
        let partition = lab.pick_partition();
        let victim = lab.leader(partition);
        lab.cluster.kill(victim);
        // Or it is back before anybody has noticed.
        if lab.rng.within(0..3) > 0 {
            lab.wait_for_successor(partition, victim);
            lab.wait_a_bit_without(partition, victim);
        }
        lab.cluster.start_again(&[victim]);
        lab.wait_a_bit(partition);
    }
}

pub fn kill_follower(lab: &mut Lab) {
    for _ in 0..lab.rng.within(1..3) {
        let leaders: Vec<usize> = (0..PARTITIONS).map(|partition| lab.leader(partition)).collect();
        let victim = (0..BROKERS).find(|id| !leaders.contains(id)).expect("more brokers than leaders");
        lab.cluster.kill(victim);
        lab.wait_for_more(1);
        if lab.flip() {
            lab.wait_until("an ISR without it", |history| !history.isr(0).contains(&victim));
            lab.wait_a_bit(0);
        }
        lab.cluster.start_again(&[victim]);
        lab.wait_a_bit(1);
    }
}

pub fn kill_controller(lab: &mut Lab) {
    for _ in 0..lab.rng.within(1..3) {
        let victim = lab.controller();
        lab.cluster.kill(victim);
        if lab.rng.within(0..3) > 0 {
            lab.wait_until("another controller", |history| {
                history.controller().is_some_and(|controller| controller != victim)
            });
            lab.wait_a_bit_without(0, victim);
        }
        lab.cluster.start_again(&[victim]);
        lab.wait_a_bit(1);
    }
}

/// All brokers, one after the other; back in any order. Only a member of the ISR may lead then.
pub fn kill_all(lab: &mut Lab) {
    for victim in lab.shuffled() {
        lab.cluster.kill(victim);
        if lab.flip() {
            lab.wait_a_moment(SESSION);
        }
    }
    let order = lab.shuffled();
    if lab.flip() {
        lab.cluster.start_again(&order);
    } else {
        for id in order {
            lab.cluster.start_again(&[id]);
        }
    }
}

/// As an operator does it: the next one when the last is back in all ISRs.
pub fn rolling_restart(lab: &mut Lab) {
    for id in lab.shuffled() {
        lab.cluster.stop(&[id]);
        lab.wait_for_more_without(1, id);
        lab.cluster.start_again(&[id]);
        lab.wait_until_in_sync();
    }
}

pub fn restart_all(lab: &mut Lab) {
    let order = lab.shuffled();
    if lab.flip() {
        lab.cluster.stop(&order);
    } else {
        for id in order {
            lab.cluster.stop(&[id]);
        }
    }
    let order = lab.shuffled();
    lab.cluster.start_again(&order);
}

/// A leader hangs for longer than its session lives. When it goes on, it finds requests in its sockets and believes that
/// it leads.
pub fn zombie_leader(lab: &mut Lab) {
    for _ in 0..lab.rng.within(1..3) {
        let partition = lab.pick_partition();
        let victim = lab.leader(partition);
        lab.cluster.pause(victim);
        lab.wait_for_successor(partition, victim);
        lab.wait_a_bit_without(partition, victim);
        lab.cluster.resume(victim);
        lab.wait_a_bit(partition);
    }
}

/// The controller hangs, sometimes in the middle of a failure that it is to handle, and goes on beside its successor.
pub fn zombie_controller(lab: &mut Lab) {
    let victim = lab.controller();
    let other = (victim + lab.rng.within(1..BROKERS as u64) as usize) % BROKERS;
    let another_fails = lab.flip();
    if another_fails {
        lab.cluster.kill(other);
        lab.wait_a_moment(SESSION * 2);
    }
    lab.cluster.pause(victim);
    lab.wait_until("another controller", |history| {
        history.controller().is_some_and(|controller| controller != victim)
    });
    if another_fails {
        lab.cluster.start_again(&[other]);
    }
    lab.wait_for_more_without(5, victim);
    lab.cluster.resume(victim);
    lab.wait_for_more(5);
}

/// The disk of the first broker is full: with one directory the broker ends, with another one it goes on with that.
pub fn full_disk(lab: &mut Lab) {
    let disk = lab.disk.expect("the place has one");
    disk.fill_but(lab.rng.within(0..200_000));
    if lab.cluster.log_dirs()[0].len() == 1 {
        assert_eq!(lab.cluster.wait_for_exit(0).code(), Some(1), "no directory is left");
    } else {
        lab.wait_until("an ISR without it", |history| {
            (0..PARTITIONS)
                .any(|partition| !history.isr(partition).contains(&0) || history.only_in_sync(partition, 0))
        });
    }
    lab.wait_for_more_without(30, 0);
    disk.release();
    if lab.cluster.runs(0) {
        // What is offline stays so until the next start.
        lab.cluster.stop(&[0]);
    }
}

/// The ensemble chooses another leader. Sometimes a broker dies meanwhile.
pub fn zookeeper_leader(lab: &mut Lab) {
    for _ in 0..lab.rng.within(1..3) {
        let victim = lab.ensemble.leader();
        lab.ensemble.kill(victim);
        let partition = lab.pick_partition();
        lab.wait_a_bit(partition);
        if lab.flip() {
            let leader = lab.leader(partition);
            lab.cluster.kill(leader);
            lab.wait_for_successor(partition, leader);
            lab.cluster.start_again(&[leader]);
        }
        lab.ensemble.leader();
        lab.ensemble.heal();
    }
}

/// No ZooKeeper answers, for less than a session or more. What was led is led on; what dies now is not replaced.
pub fn zookeeper_down(lab: &mut Lab) {
    lab.ensemble.kill_all();
    lab.wait_for_more(20);
    if lab.flip() {
        let id = lab.rng.within(0..BROKERS as u64) as usize;
        lab.cluster.kill(id);
    }
    lab.wait_a_moment(Duration::from_secs(number_from("OUTAGE_SECONDS", 9)));
    lab.ensemble.heal();
}

impl Lab<'_> {
    fn controller(&self) -> usize {
        crate::support::wait_for("controller", || self.history.controller())
    }

    /// Time is what this fault is made of.
    pub fn wait_a_moment(&mut self, at_most: Duration) {
        let max_ms = at_most.as_millis() as u64;
        thread::sleep(Duration::from_millis(self.rng.within(0..max_ms)));
    }
}
