use super::*;
use std::task::Wake;

const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));
const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
/// It has a bound of its own: one connection.
const C: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 9));

fn unbounded() -> LimitSettings {
    let listener = ListenerLimits { connections_max: 1000, creation_rate_max: i32::MAX as u32 };
    LimitSettings {
        connections_max: 1000,
        per_address_max: 1000,
        per_address_overrides: HashMap::from([(C, 1)]),
        creation_rate_max: i32::MAX as u32,
        listeners: HashMap::from([("CLIENTS".to_string(), listener)]),
        inter_broker_listener: "BROKERS".to_string(),
        windows: Windows { count: 11, seconds: 1 },
    }
}

/// With a listener for brokers, too.
fn two_listeners() -> LimitSettings {
    let mut settings = unbounded();
    let of_clients = settings.listeners["CLIENTS"];
    settings.listeners.insert("BROKERS".to_string(), of_clients);
    settings
}

fn admit(limits: &Arc<ConnectionLimits>, listener: &str, address: IpAddr) -> Slot {
    match limits.admit(listener, address, 0) {
        Admission::Admitted(slot) => slot,
        other => panic!("{other:?}"),
    }
}

fn is_full(limits: &Arc<ConnectionLimits>, listener: &str) -> bool {
    matches!(limits.admit(listener, B, 0), Admission::Full)
}

#[test]
fn counts_follow_the_slots() {
    let limits =
        ConnectionLimits::new(LimitSettings { connections_max: 3, per_address_max: 2, ..unbounded() });
    let first = admit(&limits, "CLIENTS", A);
    let _second = admit(&limits, "CLIENTS", A);
    assert!(matches!(limits.admit("CLIENTS", A, 0), Admission::TooManyFromAddress(2)));
    let _third = admit(&limits, "CLIENTS", C);
    assert!(is_full(&limits, "CLIENTS"));
    drop(first);
    assert!(matches!(limits.admit("CLIENTS", C, 0), Admission::TooManyFromAddress(1)));
    assert_eq!(limits.total(), 2);
    admit(&limits, "CLIENTS", B);
}

#[test]
fn a_listener_has_a_bound_of_its_own() {
    let mut settings = two_listeners();
    settings.listeners.get_mut("CLIENTS").unwrap().connections_max = 1;
    let limits = ConnectionLimits::new(settings);
    let first = admit(&limits, "CLIENTS", A);
    assert!(is_full(&limits, "CLIENTS"));
    let _other = admit(&limits, "BROKERS", A);
    drop(first);
    assert!(!is_full(&limits, "CLIENTS"));
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn the_listener_of_the_brokers_has_room_always() {
    let limits = ConnectionLimits::new(LimitSettings { connections_max: 2, ..two_listeners() });
    let (one, two) = (admit(&limits, "CLIENTS", A), admit(&limits, "CLIENTS", A));
    one.presence.is_active(20);
    two.presence.is_active(10);
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    two.presence.wake_to_go(&Waker::from(Arc::clone(&woken)));
    assert!(is_full(&limits, "CLIENTS"));
    let _broker = admit(&limits, "BROKERS", B);
    assert_eq!((one.presence.must_go(), two.presence.must_go()), (false, true), "silent for longer");
    assert!(woken.0.load(Ordering::SeqCst));
    drop(two);
    assert!(is_full(&limits, "CLIENTS"), "its place is taken");
    let brokers: Vec<Slot> = (0..3).map(|_| admit(&limits, "BROKERS", B)).collect();
    assert!(one.presence.must_go() && brokers.iter().all(|slot| !slot.presence.must_go()));
    drop((one, brokers));
    assert_eq!(limits.total(), 1);
    admit(&limits, "CLIENTS", A);
}

#[test]
fn one_listener_alone_is_not_protected() {
    let mut settings = LimitSettings { connections_max: 1, ..unbounded() };
    settings.inter_broker_listener = "CLIENTS".to_string();
    let limits = ConnectionLimits::new(settings);
    let _first = admit(&limits, "CLIENTS", A);
    assert!(is_full(&limits, "CLIENTS"));
}

#[test]
fn bounds_can_change() {
    let limits = ConnectionLimits::new(LimitSettings { connections_max: 2, ..unbounded() });
    let (one, two) = (admit(&limits, "CLIENTS", A), admit(&limits, "CLIENTS", A));
    two.presence.is_active(7);
    assert!(is_full(&limits, "CLIENTS"));
    limits.update(LimitSettings { connections_max: 3, ..unbounded() });
    let three = admit(&limits, "CLIENTS", A);
    three.presence.is_active(9);
    limits.update(LimitSettings { connections_max: 1, ..unbounded() });
    let must_go = [&one, &two, &three].map(|slot| slot.presence.must_go());
    assert_eq!(must_go, [true, true, false]);
    drop((one, two));
    assert!(is_full(&limits, "CLIENTS"));
    drop(three);
    admit(&limits, "CLIENTS", A);
}

/// For how long each of `count` connections that arrive at once has to wait, the last one first.
fn arrive(limits: &ConnectionLimits, listener: &str, count: usize, now_ms: i64) -> Vec<i64> {
    let mut waits: Vec<i64> = (0..count).map(|_| limits.arrived(listener, now_ms)).collect();
    waits.reverse();
    waits
}

#[test]
fn connections_of_the_broker_come_as_fast_as_its_rate_allows() {
    let limits = ConnectionLimits::new(LimitSettings { creation_rate_max: 2, ..two_listeners() });
    // Twenty in the last ten seconds, as far as it is known: then one more is half a second too early.
    let waits = arrive(&limits, "CLIENTS", 21, 5000);
    assert_eq!((waits[0], waits[1..].iter().sum::<i64>()), (500, 0));
    assert_eq!(limits.arrived("CLIENTS", 5000), 1000);
    assert_eq!(limits.arrived("CLIENTS", 5000), 1000, "one window at most");
    assert_eq!(limits.arrived("BROKERS", 5000), 0, "protected");
    assert_eq!(limits.arrived("CLIENTS", 16_000), 0, "long ago");
    limits.update(LimitSettings { creation_rate_max: 1000, ..two_listeners() });
    assert_eq!(arrive(&limits, "CLIENTS", 100, 16_000).iter().sum::<i64>(), 0);
}

#[test]
fn a_listener_has_a_rate_of_its_own() {
    let mut settings = two_listeners();
    settings.listeners.get_mut("BROKERS").unwrap().creation_rate_max = 1;
    let limits = ConnectionLimits::new(settings);
    let waits = arrive(&limits, "BROKERS", 11, 0);
    assert_eq!((waits[0], waits[1]), (1000, 0));
    assert_eq!(limits.arrived("CLIENTS", 0), 0);
}

#[test]
fn an_address_that_comes_too_fast_is_closed_after_a_while() {
    let limits = ConnectionLimits::new(LimitSettings { creation_rate_max: 4, ..unbounded() });
    limits.set_address_rate(None, Some(2.0));
    limits.set_address_rate(Some(B), Some(1.0));
    let closed_after = |address, now_ms| match limits.admit("CLIENTS", address, now_ms) {
        Admission::Admitted(_) => 0,
        Admission::TooFastFromAddress(wait_ms) => wait_ms,
        other => panic!("{other:?}"),
    };
    for _ in 0..10 {
        assert_eq!((limits.arrived("CLIENTS", 0), closed_after(B, 0)), (0, 0));
    }
    for _ in 0..100 {
        let both = (limits.arrived("CLIENTS", 0), closed_after(B, 0));
        assert_eq!(both, (0, 1000), "who is not accepted does not count, neither here nor for the broker");
    }
    assert_eq!(limits.total(), 0, "nor does it take a place");
    for _ in 0..20 {
        assert_eq!(closed_after(A, 0), 0, "the default");
    }
    assert_eq!(closed_after(A, 0), 500);
    limits.set_address_rate(Some(A), Some(f64::from(i32::MAX)));
    assert_eq!(closed_after(A, 0), 0, "what stands for no bound");
    limits.set_address_rate(Some(B), None);
    assert_eq!(closed_after(B, 0), 0, "the default now");
    limits.set_address_rate(None, None);
    for _ in 0..100 {
        assert_eq!(closed_after(B, 0), 0);
    }
}
