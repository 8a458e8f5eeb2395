//! What goes wrong, and how it ends.

use super::broker::Broker;
use super::disk::Dying;
use super::world::{Event, Inner, World};
use ottla::common::BrokerId;
use ottla::zk::ZkClient;

impl World {
    /// A process starts in its directory.
    pub fn start(&mut self, at: usize) -> Result<(), String> {
        if self.slots[at].broker.is_some() {
            return Ok(());
        }
        let zk = self.ensemble.server.connect();
        let slot = &mut self.slots[at];
        slot.life += 1;
        slot.paused_until_ms = 0;
        let broker = Broker::start(at as BrokerId, &slot.directory, &self.setup, zk);
        slot.broker = Some(broker);
        let life = slot.life;
        self.trace(|| format!("broker {at} starts its life {life}"));
        self.checks.started(at);
        self.later(at, 100, Inner::LookAtIsr);
        self.later(at, 150, Inner::Checkpoint);
        self.settle(at)
    }

    /// Something goes wrong, or the next one of the failures is chosen.
    pub fn chaos(&mut self) -> Result<(), String> {
        if !self.faults {
            return Ok(());
        }
        let at = self.rng.within(0..self.slots.len() as u64) as usize;
        match self.rng.within(0..100) {
            0..18 => self.crash(at),
            18..22 => self.stop(at)?,
            22..26 => {
                // All at once.
                (0..self.slots.len()).for_each(|at| self.crash(at));
            }
            26..42 => self.pause(at),
            42..54 => self.expire(at),
            54..66 => self.cut_off_from_zookeeper(at),
            66..86 => self.cut_links(at),
            86..92 => self.lose_requests(at),
            _ => {}
        }
        let next_ms = self.rng.within(60..700) as i64;
        self.after(next_ms, Event::Chaos);
        Ok(())
    }

    /// The process is gone, its session is not.
    fn crash(&mut self, at: usize) {
        let Some(broker) = self.slots[at].broker.take() else { return };
        self.trace(|| format!("broker {at} crashes"));
        let partitions = self.setup.partitions();
        let kept = &self.slots[at].kept;
        let survived = |partition: i32| kept[partition as usize].last().map_or(0, |entry| entry.next_offset);
        let mut dying: Vec<Dying> = partitions
            .filter_map(|number| Dying::of(number, &*broker.partition(number)?, survived(number)))
            .collect();
        let zk = broker.zk.clone();
        drop(broker);
        if self.setup.power_cuts {
            dying.iter_mut().for_each(|log| log.tear(&mut self.rng, &self.setup));
        }
        for log in dying {
            self.slots[at].kept[log.partition as usize] = log.entries;
        }
        let session = zk.session_id();
        self.ensemble.server.disconnect(session);
        self.expire_later(session, Some(zk));
        let down_ms = if self.chance(50) { self.rng.within(5..200) } else { self.rng.within(200..2_500) };
        self.after(down_ms as i64, Event::Start(at));
    }

    fn expire_later(&mut self, session: i64, owner: Option<ZkClient>) {
        let timeout_ms = self.setup.session_timeout_ms;
        self.after(timeout_ms, Event::Expire(session, owner));
    }

    /// An orderly end; the next start finds everything as it was.
    fn stop(&mut self, at: usize) -> Result<(), String> {
        let Some(broker) = self.slots[at].broker.take() else { return Ok(()) };
        if self.slots[at].paused_until_ms > self.now_ms {
            self.slots[at].broker = Some(broker);
            return Ok(());
        }
        self.trace(|| format!("broker {at} stops"));
        for partition in self.setup.partitions() {
            if broker.partition(partition).is_some() {
                self.slots[at].kept[partition as usize] = broker.entries(partition, 0);
            }
        }
        broker.shut_down();
        // The session ends with its client.
        drop(broker);
        let down_ms = self.rng.within(5..1_000) as i64;
        self.after(down_ms, Event::Start(at));
        Ok(())
    }

    /// SIGSTOP, SIGCONT.
    fn pause(&mut self, at: usize) {
        let now_ms = self.now_ms;
        let slot = &mut self.slots[at];
        let Some(broker) = slot.broker.as_ref().filter(|_| slot.paused_until_ms <= now_ms) else { return };
        let session = broker.zk.session_id();
        let pause_ms = self.rng.within(20..2_500) as i64;
        self.slots[at].paused_until_ms = now_ms + pause_ms;
        self.trace(|| format!("broker {at} pauses for {pause_ms} ms"));
        self.lose_zookeeper(session, pause_ms);
    }

    /// Beyond the timeout the session is over, and another begins with the connection.
    fn lose_zookeeper(&mut self, session: i64, for_ms: i64) {
        self.ensemble.server.disconnect(session);
        if for_ms > self.setup.session_timeout_ms {
            self.expire_later(session, None);
        }
        self.after(for_ms, Event::Reconnect(session));
    }

    fn expire(&mut self, at: usize) {
        let Some(broker) = self.slots[at].broker.as_ref() else { return };
        let session = broker.zk.session_id();
        self.trace(|| format!("the session of broker {at} expires"));
        self.ensemble.server.expire(session);
    }

    fn cut_off_from_zookeeper(&mut self, at: usize) {
        let Some(broker) = self.slots[at].broker.as_ref() else { return };
        let session = broker.zk.session_id();
        let for_ms = self.rng.within(50..2_500) as i64;
        self.trace(|| format!("broker {at} does not reach ZooKeeper for {for_ms} ms"));
        self.lose_zookeeper(session, for_ms);
    }

    /// One link, both directions, or all of a broker.
    fn cut_links(&mut self, at: usize) {
        let at = at as BrokerId;
        let others: Vec<BrokerId> = (0..self.slots.len() as BrokerId).filter(|id| *id != at).collect();
        let other = self.rng.pick(&others);
        let links: Vec<_> = match self.rng.within(0..4) {
            0 => vec![(at, other)],
            1 => vec![(at, other), (other, at)],
            2 => others.iter().flat_map(|id| [(at, *id), (*id, at)]).collect(),
            _ => others.iter().map(|id| (*id, at)).collect(),
        };
        self.trace(|| format!("cut: {links:?}"));
        self.cut_links.extend(&links);
        let for_ms = self.rng.within(50..3_000) as i64;
        self.after(for_ms, Event::Mend(links));
    }

    fn lose_requests(&mut self, at: usize) {
        let Some(broker) = self.slots[at].broker.as_ref() else { return };
        let session = broker.zk.session_id();
        let count = self.rng.within(1..6) as u32;
        if self.chance(50) {
            self.ensemble.server.lose_requests(session, count);
        } else {
            self.ensemble.server.lose_replies(session, count);
        }
    }

    /// No more failures. What was cut is mended, who is down starts, who sleeps wakes up.
    pub fn heal(&mut self) {
        self.trace(|| "healed".to_string());
        self.faults = false;
        self.cut_links.clear();
        for at in 0..self.slots.len() {
            if self.slots[at].broker.is_none() {
                self.after(10, Event::Start(at));
            }
        }
    }
}
