//! How fast connections come: to the broker, to a listener, from an address.
//!
//! A connection counts when it arrives. One that is not accepted for its address does not count after all.

use super::LimitSettings;
use crate::common::rate::{Rate, Windows};
use std::collections::HashMap;
use std::net::IpAddr;

/// Addresses that are remembered before those that have been silent are looked for.
const ADDRESSES_MIN: usize = 1024;
/// Settings and quotas of this value mean no bound.
const UNBOUNDED: u32 = i32::MAX as u32;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Rates {
    broker: Rate,
    listeners: HashMap<String, Rate>,
    addresses: HashMap<IpAddr, Rate>,
    purge_at: usize,
    /// Of an address that has none of its own.
    default_bound: Option<f64>,
    bounds: HashMap<IpAddr, f64>,
}

impl Rates {
    pub(super) fn set_address_rate(&mut self, address: Option<IpAddr>, rate: Option<f64>) {
        match (address, rate) {
            (None, rate) => self.default_bound = rate,
            (Some(address), Some(rate)) => drop(self.bounds.insert(address, rate)),
            (Some(address), None) => drop(self.bounds.remove(&address)),
        }
    }

    /// For how long the listener is not listened to: until both rates are within their bounds, but no longer than one
    /// window.
    pub(super) fn arrived(&mut self, settings: &LimitSettings, listener: &str, now_ms: i64) -> i64 {
        let windows = settings.windows;
        let of_broker = match settings.is_protected(listener) {
            true => 0,
            false => count(&mut self.broker, settings.creation_rate_max, now_ms, windows),
        };
        let max = settings.listeners.get(listener).map_or(UNBOUNDED, |limits| limits.creation_rate_max);
        let rate = match self.listeners.get_mut(listener) {
            Some(rate) => rate,
            None => self.listeners.entry(listener.to_string()).or_default(),
        };
        of_broker.max(count(rate, max, now_ms, windows))
    }

    /// For how long a connection from an address is kept waiting before it is closed; 0: it is within the bound.
    pub(super) fn of_address(
        &mut self,
        settings: &LimitSettings,
        listener: &str,
        address: IpAddr,
        now_ms: i64,
    ) -> i64 {
        let bound = self.bounds.get(&address).copied().or(self.default_bound);
        let Some(bound) = bound.filter(|bound| *bound < f64::from(UNBOUNDED)) else { return 0 };
        let windows = settings.windows;
        if self.addresses.len() >= self.purge_at.max(ADDRESSES_MIN) {
            self.addresses.retain(|_, rate| !rate.is_empty(now_ms, windows));
            self.purge_at = 2 * self.addresses.len();
        }
        let rate = self.addresses.entry(address).or_default();
        rate.record(1.0, now_ms, windows);
        let wait_ms = rate.throttle_ms(bound, now_ms, windows).min(windows.window_ms());
        if wait_ms > 0 {
            rate.record(-1.0, now_ms, windows);
            if !settings.is_protected(listener) {
                self.broker.record(-1.0, now_ms, windows);
            }
            if let Some(rate) = self.listeners.get_mut(listener) {
                rate.record(-1.0, now_ms, windows);
            }
        }
        wait_ms
    }
}

fn count(rate: &mut Rate, max: u32, now_ms: i64, windows: Windows) -> i64 {
    rate.record(1.0, now_ms, windows);
    match max {
        UNBOUNDED.. => 0,
        max => rate.throttle_ms(f64::from(max), now_ms, windows).min(windows.window_ms()),
    }
}
