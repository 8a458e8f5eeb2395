//! How many connections there may be: in all (`max.connections`), of a listener (`listener.name.NAME.max.connections`), of
//! an address (`max.connections.per.ip` and its overrides); and how many new ones per second: in all and of a listener
//! (`max.connection.creation.rate`), and of an address (`connection_creation_rate` of an `ip`, KIP-612).
//!
//! Who is one too many waits: nothing more is accepted on its listener until it has a place. Only for an address it is
//! closed, at once if its address has too many, after a while if they come too fast, so that it does not come again at once.
//!
//! The listener of the brokers is protected if there is another one: `max.connections` and the broker's rate do not hold
//! for it, and where it takes more than its part, those of other listeners that were silent for the longest time go.
//!
//! Source: Kafka 2.8.2, `ConnectionQuotas`, `Acceptor` and `Processor.closeExcessConnections` in `SocketServer.scala`.

mod rates;
#[cfg(test)]
mod tests;

use crate::common::rate::Windows;
use futures_util::task::AtomicWaker;
use rates::Rates;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The bounds of one listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListenerLimits {
    /// `listener.name.NAME.max.connections`, else `max.connections`.
    pub connections_max: usize,
    /// The same of `max.connection.creation.rate`: connections per second.
    pub creation_rate_max: u32,
}

/// The configured bounds. They can change while connections are open.
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
    /// By name.
    pub listeners: HashMap<String, ListenerLimits>,
    /// `inter.broker.listener.name`.
    pub inter_broker_listener: String,
    /// `quota.window.num`, `quota.window.size.seconds`.
    pub windows: Windows,
}

impl LimitSettings {
    fn is_protected(&self, listener: &str) -> bool {
        self.listeners.len() > 1 && self.inter_broker_listener == listener
    }
}

#[derive(Debug)]
struct Counts {
    settings: LimitSettings,
    /// Of those that were not told to go.
    total: usize,
    per_listener: HashMap<String, usize>,
    per_address: HashMap<IpAddr, usize>,
    open: slab::Slab<Open>,
    rates: Rates,
}

#[derive(Debug)]
struct Open {
    presence: Arc<Presence>,
    listener: Arc<str>,
}

/// Counts of all listeners of a broker.
#[derive(Debug)]
pub struct ConnectionLimits {
    counts: Mutex<Counts>,
    released: Notify,
}

/// What a connection shares with the counts.
#[derive(Debug)]
pub struct Presence {
    last_active_ms: AtomicI64,
    must_go: AtomicBool,
    waker: AtomicWaker,
}

impl Presence {
    /// Active at this moment of the coarse monotonic clock, as all times here.
    pub fn new(now_ms: i64) -> Presence {
        Presence {
            last_active_ms: AtomicI64::new(now_ms),
            must_go: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }

    /// The peer has sent something.
    pub fn is_active(&self, now_ms: i64) {
        self.last_active_ms.store(now_ms, Ordering::Relaxed);
    }

    /// When the peer sent something last.
    pub fn last_active_ms(&self) -> i64 {
        self.last_active_ms.load(Ordering::Relaxed)
    }

    /// True once the connection is one too many.
    pub fn must_go(&self) -> bool {
        self.must_go.load(Ordering::Acquire)
    }

    /// Woken when [`Presence::must_go`] becomes true.
    pub fn wake_to_go(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    fn send_away(&self) {
        self.must_go.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// A connection's place in the counts; given back when dropped.
#[derive(Debug)]
pub struct Slot {
    limits: Arc<ConnectionLimits>,
    address: IpAddr,
    key: usize,
    /// See there.
    pub presence: Arc<Presence>,
}

/// What the counts say to a new connection.
#[derive(Debug)]
pub enum Admission {
    /// It may stay.
    Admitted(Slot),
    /// Its address has too many: close it.
    TooManyFromAddress(usize),
    /// They come too fast from its address: close it after as many milliseconds.
    TooFastFromAddress(i64),
    /// The broker or the listener is full: wait for [`ConnectionLimits::released`].
    Full,
}

impl ConnectionLimits {
    /// Counts from zero.
    pub fn new(settings: LimitSettings) -> Arc<ConnectionLimits> {
        let counts = Counts {
            settings,
            total: 0,
            per_listener: HashMap::new(),
            per_address: HashMap::new(),
            open: slab::Slab::new(),
            rates: Rates::default(),
        };
        Arc::new(ConnectionLimits { counts: Mutex::new(counts), released: Notify::new() })
    }

    /// Other bounds from now on. Whoever waits for a place looks again; who is too many now has to go.
    pub fn update(&self, settings: LimitSettings) {
        let mut counts = self.lock();
        counts.settings = settings;
        counts.send_away_excess();
        drop(counts);
        self.released.notify_waiters();
    }

    /// How many connections an address may open in a second; `address` none: each that has no rate of its own. Without a
    /// rate there is no bound.
    pub fn set_address_rate(&self, address: Option<IpAddr>, rate: Option<f64>) {
        self.lock().rates.set_address_rate(address, rate);
    }

    /// A connection has arrived: for how many milliseconds nothing more is accepted on its listener, and it has to wait.
    pub fn arrived(&self, listener: &str, now_ms: i64) -> i64 {
        let counts = &mut *self.lock();
        counts.rates.arrived(&counts.settings, listener, now_ms)
    }

    /// Asks for a place for a connection that has arrived.
    pub fn admit(self: &Arc<Self>, listener: &str, address: IpAddr, now_ms: i64) -> Admission {
        let mut guard = self.lock();
        let counts = &mut *guard;
        if !counts.has_room(listener) {
            return Admission::Full;
        }
        let wait_ms = counts.rates.of_address(&counts.settings, listener, address, now_ms);
        if wait_ms > 0 {
            return Admission::TooFastFromAddress(wait_ms);
        }
        let settings = &counts.settings;
        let max = *settings.per_address_overrides.get(&address).unwrap_or(&settings.per_address_max);
        if counts.per_address.get(&address).copied().unwrap_or(0) >= max {
            return Admission::TooManyFromAddress(max);
        }
        counts.total += 1;
        *counts.per_address.entry(address).or_insert(0) += 1;
        match counts.per_listener.get_mut(listener) {
            Some(count) => *count += 1,
            None => drop(counts.per_listener.insert(listener.to_string(), 1)),
        }
        let presence = Arc::new(Presence::new(now_ms));
        let key = counts.open.insert(Open { presence: Arc::clone(&presence), listener: Arc::from(listener) });
        counts.send_away_excess();
        Admission::Admitted(Slot { limits: Arc::clone(self), address, key, presence })
    }

    /// Ends when a connection has gone, or bounds have changed, since this was called.
    pub fn released(&self) -> Notified<'_> {
        self.released.notified()
    }

    /// Connections at the moment.
    pub fn total(&self) -> usize {
        self.lock().open.len()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().expect("no panic while the counts are locked")
    }
}

impl Counts {
    fn has_room(&self, listener: &str) -> bool {
        let of_listener = self.per_listener.get(listener).copied().unwrap_or(0);
        let max = self.settings.listeners.get(listener).map_or(usize::MAX, |limits| limits.connections_max);
        of_listener < max
            && (self.settings.is_protected(listener) || self.total < self.settings.connections_max)
    }

    /// Those that were silent for the longest time, of listeners that are not protected.
    fn send_away_excess(&mut self) {
        let excess = self.total.saturating_sub(self.settings.connections_max);
        if excess == 0 {
            return;
        }
        let may_go = |open: &&Open| !open.presence.must_go() && !self.settings.is_protected(&open.listener);
        let mut candidates: Vec<&Open> = self.open.iter().map(|(_, open)| open).filter(may_go).collect();
        candidates.sort_unstable_by_key(|open| open.presence.last_active_ms());
        for open in candidates.into_iter().take(excess) {
            open.presence.send_away();
            self.total -= 1;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut guard = self.limits.lock();
        let counts = &mut *guard;
        if !self.presence.must_go() {
            counts.total -= 1;
        }
        let open = counts.open.remove(self.key);
        if let Some(count) = counts.per_listener.get_mut(&*open.listener) {
            *count -= 1;
        }
        if let Some(count) = counts.per_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.per_address.remove(&self.address);
            }
        }
        drop(guard);
        self.limits.released.notify_waiters();
    }
}
