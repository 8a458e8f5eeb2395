//! What a client may take: bytes that it produces and fetches, time of the threads, partitions that it creates and
//! deletes (KIP-13, KIP-124, KIP-599). Who takes more is told for how long to be silent, and is not listened to until
//! then (KIP-219).
//!
//! A quota belongs to a user, a client-id, or a pair of them, each by name or as the default; the first of these that
//! there is counts for a connection, and all connections for which it counts by the same names share it:
//!
//! ```text
//! user+client, user+default, user, default+client, default+default, default user, client, default client
//! ```
//! Nothing is counted where no quota is defined: [`Quota::is_enabled`] is one relaxed load. Times are those of one
//! monotonic clock, in milliseconds. Source: Kafka 2.8.2, `ClientQuotaManager.scala`, `ControllerMutationQuotaManager.scala`.

mod meter;
mod mutations;

use crate::common::rate::Rate;
pub use crate::common::rate::Windows;
use meter::Bucket;
pub use mutations::{MutationQuota, QuotaExceeded};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

/// What nobody used for so long is forgotten.
const IDLE_MS_MAX: i64 = 3_600_000;

/// A name, or the default of all names.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Name {
    /// Whoever has no quota by name.
    Default,
    /// This one.
    Named(String),
}

impl Name {
    /// None is the default.
    pub fn of(name: Option<&str>) -> Name {
        name.map_or(Name::Default, |name| Name::Named(name.to_string()))
    }
}

/// Whose quota: at least one of the two is there.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Owner {
    /// The user.
    pub user: Option<Name>,
    /// The client-id.
    pub client: Option<Name>,
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client<'a> {
    /// Its principal's name.
    pub user: &'a str,
    /// What it calls itself; empty if it does not.
    pub client_id: &'a str,
}

/// What is measured together: user and client-id, empty where they do not count.
type Tags = (String, String);

#[derive(Debug)]
struct Sensor<M> {
    meter: M,
    bound: Option<f64>,
    used_ms: i64,
}

#[derive(Debug)]
struct State<M> {
    quotas: HashMap<Owner, f64>,
    /// Of client-ids without any other quota (`quota.producer.default`).
    default: Option<f64>,
    sensors: HashMap<Tags, Sensor<M>>,
    purged_ms: i64,
}

/// One kind of quota.
#[derive(Debug)]
pub struct Quota<M> {
    windows: Windows,
    enabled: AtomicBool,
    state: Mutex<State<M>>,
}

/// A quota of a rate.
pub type RateQuota = Quota<Rate>;
/// A quota that refills.
pub type BucketQuota = Quota<Bucket>;

impl<M: Default> Quota<M> {
    /// Without quotas but, perhaps, one for client-ids that have no other.
    pub fn new(windows: Windows, default: Option<f64>) -> Quota<M> {
        let state = State { quotas: HashMap::new(), default, sensors: HashMap::new(), purged_ms: 0 };
        Quota { windows, enabled: AtomicBool::new(default.is_some()), state: Mutex::new(state) }
    }

    /// True if anybody has a quota.
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    /// Gives or takes away a quota.
    pub fn set(&self, owner: Owner, bound: Option<f64>) {
        let mut state = self.lock();
        match bound {
            Some(bound) => drop(state.quotas.insert(owner, bound)),
            None => drop(state.quotas.remove(&owner)),
        }
        let mut sensors = std::mem::take(&mut state.sensors);
        for (tags, sensor) in &mut sensors {
            sensor.bound = state.limit(tags);
        }
        state.sensors = sensors;
        self.enabled.store(state.default.is_some() || !state.quotas.is_empty(), Ordering::Relaxed);
    }

    /// The quota that counts for a client; none if there is none.
    pub fn bound(&self, client: Client<'_>) -> Option<f64> {
        let state = self.lock();
        state.limit(&state.tags(client))
    }

    fn with_sensor<R>(
        &self,
        client: Client<'_>,
        now_ms: i64,
        action: impl FnOnce(&mut M, f64, Windows) -> R,
    ) -> Option<R> {
        let mut state = self.lock();
        let tags = state.tags(client);
        if !state.sensors.contains_key(&tags) {
            state.forget_idle(now_ms);
            let bound = state.limit(&tags);
            let sensor = Sensor { meter: M::default(), bound, used_ms: now_ms };
            state.sensors.insert(tags.clone(), sensor);
        }
        let sensor = state.sensors.get_mut(&tags)?;
        sensor.used_ms = now_ms;
        let bound = sensor.bound?;
        Some(action(&mut sensor.meter, bound, self.windows))
    }

    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().expect("no panic while quotas are locked")
    }
}

impl Quota<Rate> {
    /// Counts, and says for how long the client has to be silent.
    pub fn record(&self, client: Client<'_>, value: f64, now_ms: i64) -> i64 {
        let recorded = self.with_sensor(client, now_ms, |rate, bound, windows| {
            rate.record(value, now_ms, windows);
            rate.throttle_ms(bound, now_ms, windows)
        });
        recorded.unwrap_or(0)
    }

    /// As if it had not been counted: the client got nothing.
    pub fn take_back(&self, client: Client<'_>, value: f64, now_ms: i64) {
        self.with_sensor(client, now_ms, |rate, _, windows| rate.record(-value, now_ms, windows));
    }

    /// More at once than this would exceed the quota, however long the client was silent.
    pub fn at_once_max(&self, client: Client<'_>) -> f64 {
        let windows = (self.windows.count() - 1) as f64 * (self.windows.window_ms() / 1000) as f64;
        self.bound(client).map_or(f64::MAX, |bound| bound * windows)
    }
}

impl<M> State<M> {
    /// By which names a client is measured.
    fn tags(&self, client: Client<'_>) -> Tags {
        let has =
            |user: Option<Name>, client: Option<Name>| self.quotas.contains_key(&Owner { user, client });
        let user = || Some(Name::Named(client.user.to_string()));
        let id = || Some(Name::Named(client.client_id.to_string()));
        let default = || Some(Name::Default);
        let (both, user_only, client_only) = (
            (client.user.to_string(), client.client_id.to_string()),
            (client.user.to_string(), String::new()),
            (String::new(), client.client_id.to_string()),
        );
        if has(user(), id()) || has(user(), default()) {
            both
        } else if has(user(), None) {
            user_only
        } else if has(default(), id()) || has(default(), default()) {
            both
        } else if has(default(), None) {
            user_only
        } else {
            client_only
        }
    }

    fn limit(&self, (user, client): &Tags) -> Option<f64> {
        let get = |user, client| self.quotas.get(&Owner { user, client }).copied();
        let name = |name: &String| Some(Name::Named(name.clone()));
        let default = || Some(Name::Default);
        match (user.is_empty(), client.is_empty()) {
            (false, false) => get(name(user), name(client))
                .or_else(|| get(name(user), default()))
                .or_else(|| get(default(), name(client)))
                .or_else(|| get(default(), default())),
            (false, true) => get(name(user), None).or_else(|| get(default(), None)),
            (true, false) => get(None, name(client)).or_else(|| get(None, default())).or(self.default),
            (true, true) => None,
        }
    }

    /// Client-ids are the clients' to invent: those that are not used any more must not fill the memory.
    fn forget_idle(&mut self, now_ms: i64) {
        if now_ms - self.purged_ms < IDLE_MS_MAX / 60 {
            return;
        }
        self.purged_ms = now_ms;
        self.sensors.retain(|_, sensor| now_ms - sensor.used_ms < IDLE_MS_MAX);
    }
}

/// Keys of quotas, as AlterClientQuotas and znodes name them.
pub mod key {
    /// Bytes per second that are produced.
    pub const PRODUCE: &str = "producer_byte_rate";
    /// Bytes per second that are fetched.
    pub const FETCH: &str = "consumer_byte_rate";
    /// Percent of a thread's time.
    pub const REQUEST: &str = "request_percentage";
    /// Partitions per second that are created or deleted.
    pub const MUTATION: &str = "controller_mutation_rate";
}

/// All quotas of clients.
#[derive(Debug)]
pub struct ClientQuotas {
    /// Bytes of produce requests.
    pub produce: RateQuota,
    /// Bytes of fetch answers.
    pub fetch: RateQuota,
    /// Percent of a thread's time that all requests take.
    pub request: RateQuota,
    /// Partitions that are created and deleted.
    pub mutations: BucketQuota,
    /// A request's time never mutes for longer than a window.
    pub request_throttle_ms_max: i64,
}

impl ClientQuotas {
    /// `client` windows are for all but the changes of topics; defaults are those of client-ids without a quota.
    pub fn new(
        client: Windows,
        controller: Windows,
        produce_default: Option<f64>,
        fetch_default: Option<f64>,
    ) -> ClientQuotas {
        ClientQuotas {
            produce: Quota::new(client, produce_default),
            fetch: Quota::new(client, fetch_default),
            request: Quota::new(client, None),
            mutations: Quota::new(controller, None),
            request_throttle_ms_max: client.window_ms(),
        }
    }

    /// Puts all quotas of an owner into force; those that `bound_of` does not have by [`key`] are taken away.
    pub fn set(&self, owner: &Owner, bound_of: impl Fn(&str) -> Option<f64>) {
        self.produce.set(owner.clone(), bound_of(key::PRODUCE));
        self.fetch.set(owner.clone(), bound_of(key::FETCH));
        self.request.set(owner.clone(), bound_of(key::REQUEST));
        self.mutations.set(owner.clone(), bound_of(key::MUTATION));
    }
}

#[cfg(test)]
mod tests;
