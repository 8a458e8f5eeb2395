//! Expected numbers are those of Kafka's formulas, worked out by hand.

use super::*;

const WINDOWS: Windows = Windows { count: 11, seconds: 1 };
const ANN: Client<'static> = Client { user: "ann", client_id: "c1" };

fn owner(user: Option<Option<&str>>, client: Option<Option<&str>>) -> Owner {
    Owner { user: user.map(Name::of), client: client.map(Name::of) }
}

#[test]
fn the_most_special_quota_counts() {
    let quota = RateQuota::new(WINDOWS, Some(1.0));
    let levels = [
        (None, Some(None), 2.0),
        (None, Some(Some("c1")), 3.0),
        (Some(None), None, 4.0),
        (Some(None), Some(None), 5.0),
        (Some(None), Some(Some("c1")), 6.0),
        (Some(Some("ann")), None, 7.0),
        (Some(Some("ann")), Some(None), 8.0),
        (Some(Some("ann")), Some(Some("c1")), 9.0),
    ];
    assert_eq!(quota.bound(ANN), Some(1.0), "that of the configuration");
    for (user, client, bound) in levels {
        quota.set(owner(user, client), Some(bound));
        assert_eq!(quota.bound(ANN), Some(bound), "{user:?} {client:?}");
    }
    assert_eq!(quota.bound(Client { client_id: "c2", ..ANN }), Some(8.0));
    assert_eq!(quota.bound(Client { client_id: "", ..ANN }), Some(7.0), "without a name no client's quota");
    assert_eq!(quota.bound(Client { user: "bob", ..ANN }), Some(6.0));
    for (user, client, bound) in levels.into_iter().rev() {
        assert_eq!(quota.bound(ANN), Some(bound));
        quota.set(owner(user, client), None);
    }
    assert_eq!(quota.bound(ANN), Some(1.0));
    assert!(quota.is_enabled());
}

#[test]
fn without_quotas_nothing_is_counted() {
    let quota = RateQuota::new(WINDOWS, None);
    assert!(!quota.is_enabled());
    quota.set(owner(None, Some(Some("c1"))), Some(5.0));
    assert!(quota.is_enabled());
    assert_eq!(quota.record(Client { client_id: "c2", ..ANN }, 1e12, 0), 0, "another client");
    assert_eq!(quota.at_once_max(Client { client_id: "c2", ..ANN }), f64::MAX);
    assert_eq!(quota.at_once_max(ANN), 50.0);
    quota.set(owner(None, Some(Some("c1"))), None);
    assert!(!quota.is_enabled());
}

#[test]
fn who_takes_more_is_silent_until_the_rate_is_right() {
    let quota = RateQuota::new(WINDOWS, None);
    quota.set(owner(None, Some(None)), Some(500.0));
    // Ten windows count from the start.
    assert_eq!(quota.record(ANN, 5000.0, 1000), 0);
    // 5300 in 10.5 s is less than 500 a second; another 50 more than 5250.
    assert_eq!(quota.record(ANN, 250.0, 1500), 0);
    assert_eq!(quota.record(ANN, 525.0, 1500), 1050, "(5775/10.5 - 500) / 500 * 10.5 s");
    quota.take_back(ANN, 525.0, 1500);
    assert_eq!(quota.record(ANN, 0.0, 1500), 0, "it got nothing");
    // The first window is over after eleven seconds.
    assert_eq!(quota.record(ANN, 5000.0, 12_000), 0);
    assert_eq!(quota.record(ANN, 0.0, 12_000), 0);
    assert_eq!(quota.record(ANN, 500.0, 12_000), 1000);
    quota.set(owner(None, Some(None)), Some(1000.0));
    assert_eq!(quota.record(ANN, 0.0, 12_000), 0, "the new quota counts at once");
}

#[test]
fn clients_with_one_quota_by_name_share_it() {
    let quota = RateQuota::new(WINDOWS, None);
    quota.set(owner(Some(None), None), Some(100.0));
    assert_eq!(quota.record(ANN, 1000.0, 0), 0);
    assert!(quota.record(Client { client_id: "c2", ..ANN }, 100.0, 0) > 0, "the same user");
    assert_eq!(quota.record(Client { user: "bob", client_id: "c1" }, 1000.0, 0), 0, "each user has his own");
}

#[test]
fn a_quota_of_nothing_mutes_for_as_long_as_can_be_said() {
    let quota = RateQuota::new(WINDOWS, None);
    quota.set(owner(None, Some(None)), Some(0.0));
    assert_eq!(quota.record(ANN, 1.0, 0), i64::from(i32::MAX));
}

#[test]
fn idle_clients_are_forgotten() {
    let quota = RateQuota::new(WINDOWS, None);
    quota.set(owner(None, Some(None)), Some(1.0));
    for id in 0..100 {
        quota.record(Client { client_id: &id.to_string(), ..ANN }, 1.0, IDLE_MS_MAX);
    }
    quota.record(ANN, 1.0, 3 * IDLE_MS_MAX);
    assert_eq!(quota.lock().sensors.len(), 1);
}

#[test]
fn a_strict_quota_refuses_what_comes_after_it_was_exhausted() {
    let quota = BucketQuota::new(WINDOWS, None);
    assert_eq!(MutationQuota::of(&quota, ANN, true).record(1_000_000, 0), Ok(()), "no quota");
    quota.set(owner(None, Some(None)), Some(2.0));
    let strict = MutationQuota::of(&quota, ANN, true);
    // A burst of 22 is there at first; who has one credit may take any number.
    assert_eq!(strict.record(21, 1000), Ok(()));
    assert_eq!(strict.record(11, 1000), Ok(()));
    assert_eq!(strict.throttle_ms(1000), 0, "the one that exhausts it is let through, unpunished");
    assert_eq!(strict.record(1, 1000), Err(QuotaExceeded));
    assert_eq!(strict.throttle_ms(1000), 5000, "10 credits at 2 a second");
    assert_eq!(strict.throttle_ms(4000), 2000);
    assert_eq!(strict.throttle_ms(60_000), 0);
    let later = MutationQuota::of(&quota, ANN, true);
    assert_eq!(later.record(1, 5999), Err(QuotaExceeded));
    assert_eq!(later.record(1, 6000), Ok(()));
}

#[test]
fn a_permissive_quota_mutes_only() {
    let quota = BucketQuota::new(WINDOWS, None);
    quota.set(owner(None, Some(None)), Some(2.0));
    let permissive = MutationQuota::of(&quota, ANN, false);
    assert_eq!(permissive.record(22, 0), Ok(()));
    assert_eq!(permissive.throttle_ms(0), 0);
    assert_eq!(permissive.record(4, 0), Ok(()));
    assert_eq!(permissive.throttle_ms(0), 2000);
    assert_eq!(permissive.record(4, 0), Ok(()));
    assert_eq!(permissive.throttle_ms(0), 4000);
}
