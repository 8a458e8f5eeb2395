//! Free ports.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::sync::Mutex;

/// Below the range from which the kernel takes ports of outgoing connections (32768 and up): only a server that
/// chooses the same number could get in between.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A loopback port on which nobody listens, never given twice by one process. Chosen at random, so that test
/// processes that run at the same time stay out of each other's way.
pub fn free_port() -> u16 {
    let mut given = GIVEN.lock().expect("no panic while held");
    let given = given.get_or_insert_default();
    for attempt in 0..1000 {
        let random = RandomState::new().hash_one(attempt);
        let port = PORTS.start + (random % u64::from(PORTS.end - PORTS.start)) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && given.insert(port) {
            return port;
        }
    }
    panic!("no free port in {PORTS:?}");
}
