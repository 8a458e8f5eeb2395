//! How many connections there may be: in all (`max.connections`), per address (`max.connections.per.ip`
//! and its overrides), and new ones per second (`max.connection.creation.rate`, KIP-612).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;

/// The configured bounds. They can change while connections are open; those stay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LimitSettings {
    /// `max.connections`.
    pub connections_max: usize,
    /// `max.connections.per.ip`.
    pub per_address_max: usize,
    /// `max.connections.per.ip.overrides`.
    pub per_address_overrides: HashMap<IpAddr, usize>,
    /// `max.connection.creation.rate`, connections per second.
    pub creation_rate_max: u32,
}

#[derive(Debug)]
struct Counts {
    settings: LimitSettings,
    total: usize,
    per_address: HashMap<IpAddr, usize>,
    /// Start of the current second and connections accepted in it.
    second_start_ms: i64,
    accepted_in_second: u32,
}

/// Counts of all listeners of a broker.
#[derive(Debug)]
pub struct ConnectionLimits {
    counts: Mutex<Counts>,
    released: Notify,
}

/// A connection's place in the counts; given back when dropped.
#[derive(Debug)]
pub struct Slot {
    limits: Arc<ConnectionLimits>,
    address: IpAddr,
}

/// What the counts say to a new connection.
#[derive(Debug)]
pub enum Admission {
    /// It may stay.
    Admitted(Slot),
    /// Its address has too many: close it.
    TooManyFromAddress(usize),
    /// The broker is full: wait for [`ConnectionLimits::wait_released`].
    Full,
    /// Too many in this second: wait as many milliseconds.
    TooFast(i64),
}

impl ConnectionLimits {
    /// Counts from zero.
    pub fn new(settings: LimitSettings) -> Arc<ConnectionLimits> {
        let counts = Counts {
            settings,
            total: 0,
            per_address: HashMap::new(),
            second_start_ms: 0,
            accepted_in_second: 0,
        };
        Arc::new(ConnectionLimits { counts: Mutex::new(counts), released: Notify::new() })
    }

    /// Other bounds from now on. Whoever waits for a place looks again.
    pub fn update(&self, settings: LimitSettings) {
        self.lock().settings = settings;
        self.released.notify_waiters();
        // One who is about to wait.
        self.released.notify_one();
    }

    /// Asks for a place.
    pub fn admit(self: &Arc<Self>, address: IpAddr, now_ms: i64) -> Admission {
        let mut counts = self.lock();
        let settings = &counts.settings;
        let max = *settings.per_address_overrides.get(&address).unwrap_or(&settings.per_address_max);
        if counts.per_address.get(&address).copied().unwrap_or(0) >= max {
            return Admission::TooManyFromAddress(max);
        }
        if counts.total >= counts.settings.connections_max {
            return Admission::Full;
        }
        if now_ms - counts.second_start_ms >= 1000 {
            counts.second_start_ms = now_ms;
            counts.accepted_in_second = 0;
        }
        if counts.accepted_in_second >= counts.settings.creation_rate_max {
            return Admission::TooFast(counts.second_start_ms + 1000 - now_ms);
        }
        counts.accepted_in_second += 1;
        counts.total += 1;
        *counts.per_address.entry(address).or_insert(0) += 1;
        Admission::Admitted(Slot { limits: Arc::clone(self), address })
    }

    /// Ends when a connection has gone since the last call.
    pub async fn wait_released(&self) {
        self.released.notified().await;
    }

    /// Connections at the moment.
    pub fn total(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().expect("no panic while the counts are locked")
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.limits.lock();
        counts.total -= 1;
        if let Some(count) = counts.per_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.per_address.remove(&self.address);
            }
        }
        drop(counts);
        self.limits.released.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(
        connections_max: usize,
        per_address_max: usize,
        creation_rate_max: u32,
    ) -> Arc<ConnectionLimits> {
        let overrides = HashMap::from([(IpAddr::from([127, 0, 0, 9]), 1)]);
        ConnectionLimits::new(LimitSettings {
            connections_max,
            per_address_max,
            per_address_overrides: overrides,
            creation_rate_max,
        })
    }

    #[test]
    fn counts_follow_the_slots() {
        let limits = limits(3, 2, 1000);
        let (a, b, c) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]), [127, 0, 0, 9].into());
        let first = limits.admit(a, 0);
        let _second = limits.admit(a, 0);
        assert!(matches!(limits.admit(a, 0), Admission::TooManyFromAddress(2)));
        let _third = limits.admit(c, 0);
        assert!(matches!(limits.admit(c, 0), Admission::TooManyFromAddress(1)));
        assert!(matches!(limits.admit(b, 0), Admission::Full));
        drop(first);
        assert_eq!(limits.total(), 2);
        assert!(matches!(limits.admit(b, 0), Admission::Admitted(_)));
    }

    #[test]
    fn bounds_can_change() {
        let limits = limits(1, 9, 1000);
        let a = IpAddr::from([127, 0, 0, 1]);
        let _first = limits.admit(a, 0);
        assert!(matches!(limits.admit(a, 0), Admission::Full));
        let more = LimitSettings { connections_max: 2, ..limits.lock().settings.clone() };
        limits.update(more);
        assert!(matches!(limits.admit(a, 0), Admission::Admitted(_)));
    }

    #[test]
    fn the_rate_is_counted_by_the_second() {
        let limits = limits(100, 100, 2);
        let a = IpAddr::from([127, 0, 0, 1]);
        let _held = (limits.admit(a, 5000), limits.admit(a, 5000));
        assert!(matches!(limits.admit(a, 5400), Admission::TooFast(600)));
        assert!(matches!(limits.admit(a, 6000), Admission::Admitted(_)));
    }
}
