//! A signal in the middle of a start.

use crate::session::Session;
use crate::support::client::{create_topic, leaders};
use crate::support::{Broker, Rng, ZooKeeper, wait_for};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

/// Longer than the test: what is gone after the end of the process was given up, not timed out.
const SESSION_TIMEOUT_MS: &str = "60000";
const SEED: u64 = 0x5167;

#[test]
fn whenever_it_comes_the_session_ends_at_once_and_the_next_start_is_a_usual_one() {
    let zookeeper = ZooKeeper::start();
    let session = Session::open(&zookeeper.address());
    let settings = [("zookeeper.session.timeout.ms", SESSION_TIMEOUT_MS)];
    let mut broker = Broker::start(&zookeeper.address(), &settings);
    create_topic(&mut broker.connect(), "t", 1);
    assert_eq!(broker.terminate().code(), Some(143));
    let mut rng = Rng::new(SEED);
    for turn in 0..12 {
        let wait = Duration::from_millis(rng.within(0..150));
        let said_before = broker.log().len();
        broker.launch();
        std::thread::sleep(wait);
        let status = broker.terminate();
        let said = broker.log()[said_before..].to_string();
        let is_ended_by_it = status.code() == Some(143) || status.signal() == Some(libc::SIGTERM);
        assert!(is_ended_by_it, "turn {turn}, after {wait:?}: {status}\n{said}");
        for path in ["/brokers/ids/0", "/controller"] {
            assert!(
                session.get(path).is_none(),
                "turn {turn}, after {wait:?}: {path} is still there\n{said}"
            );
        }
        assert!(!said.contains("ERROR"), "turn {turn}, after {wait:?}:\n{said}");
    }
    broker.start_again();
    wait_for("a leader of t", || (leaders(&mut broker.connect(), "t") == 1).then_some(()));
}
