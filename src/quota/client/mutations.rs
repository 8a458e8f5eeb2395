//! The quota of topic changes during one request (KIP-599).

use super::{BucketQuota, Client};
use std::sync::{Mutex, MutexGuard};

/// A change is refused: THROTTLING_QUOTA_EXCEEDED.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QuotaExceeded;

/// What one request does. A strict one refuses changes while the quota is exhausted, and lets the one through that
/// exhausts it; the other kind, for requests of versions that do not know the refusal, lets all through and only mutes.
#[derive(Debug)]
pub struct MutationQuota<'a> {
    /// None if nobody has a quota.
    quota: Option<(&'a BucketQuota, Client<'a>)>,
    strict: bool,
    /// For how long to be silent, and since when. Topics of one request are changed at the same time.
    throttled: Mutex<(i64, i64)>,
}

impl<'a> MutationQuota<'a> {
    /// Without bounds.
    pub fn unbounded() -> MutationQuota<'static> {
        MutationQuota { quota: None, strict: false, throttled: Mutex::default() }
    }

    /// That of a client.
    pub fn of(quota: &'a BucketQuota, client: Client<'a>, strict: bool) -> MutationQuota<'a> {
        let quota = quota.is_enabled().then_some((quota, client));
        MutationQuota { quota, strict, throttled: Mutex::default() }
    }

    /// About to create or delete so many partitions.
    pub fn record(&self, partitions: usize, now_ms: i64) -> Result<(), QuotaExceeded> {
        let Some((quota, client)) = self.quota else { return Ok(()) };
        let strict = self.strict;
        let throttle_ms = quota.with_sensor(client, now_ms, |bucket, bound, windows| {
            if strict {
                let exhausted_ms = bucket.throttle_ms(bound, now_ms, windows);
                if exhausted_ms > 0 {
                    return exhausted_ms;
                }
            }
            bucket.record(partitions as f64, bound, now_ms, windows);
            if strict { 0 } else { bucket.throttle_ms(bound, now_ms, windows) }
        });
        let throttle_ms = throttle_ms.unwrap_or(0);
        if throttle_ms == 0 {
            return Ok(());
        }
        *self.lock() = (throttle_ms, now_ms);
        if strict { Err(QuotaExceeded) } else { Ok(()) }
    }

    /// For how long the client has to be silent, as of now.
    pub fn throttle_ms(&self, now_ms: i64) -> i32 {
        let (throttle_ms, recorded_ms) = *self.lock();
        (throttle_ms - (now_ms - recorded_ms)).clamp(0, i64::from(i32::MAX)) as i32
    }

    fn lock(&self) -> MutexGuard<'_, (i64, i64)> {
        self.throttled.lock().expect("no panic while a throttle is locked")
    }
}
