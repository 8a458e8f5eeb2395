//! Records and markers that fail.

use super::super::event::{AppendFailure, Event, MarkerOutcome};
use super::world::{TIMEOUT_MS, World};

const TX: &str = "tx";

#[test]
fn a_record_that_fails_changes_nothing() {
    let table = [
        (AppendFailure::Unavailable, "COORDINATOR_NOT_AVAILABLE"),
        (AppendFailure::NotLeader, "NOT_COORDINATOR"),
        (AppendFailure::Refused, "UNKNOWN_SERVER_ERROR"),
    ];
    for (failure, code) in table {
        let mut w = World::with_transaction(TX, "t-0");
        w.add(TX, (7, 0), "t-1");
        assert_eq!(w.not_appended(TX, failure), format!("add = {code}"));
        assert_eq!(w.end(TX, (7, 0), true), "append tx PrepareCommit 7/0 {t-0}");
        assert_eq!(w.not_appended(TX, failure), format!("end = {code}"));
        assert_eq!(w.end(TX, (7, 0), false), "append tx PrepareAbort 7/0 {t-0}");
    }
}

#[test]
fn an_id_whose_first_record_fails_is_unknown() {
    let mut w = World::new();
    w.init(TX, None);
    assert_eq!(w.not_appended(TX, AppendFailure::Unavailable), "init = COORDINATOR_NOT_AVAILABLE");
    assert_eq!(w.add(TX, (7, -1), "t-0"), "add = INVALID_PRODUCER_ID_MAPPING");
    assert_eq!(w.init(TX, None), "append tx Empty 8/0 {}");
}

#[test]
fn a_producer_id_that_is_not_to_be_had_is_told() {
    let mut w = World::new();
    w.init_only(TX, None);
    let request = w.asking();
    let code = crate::common::ErrorCode::CoordinatorLoadInProgress;
    assert_eq!(w.step(Event::ProducerId(request, Err(code))), "init = COORDINATOR_LOAD_IN_PROGRESS");
}

#[test]
fn a_fence_that_fails_does_not_raise_the_epoch_twice() {
    let mut w = World::with_transaction(TX, "t-0");
    assert_eq!(w.init(TX, None), "append tx PrepareAbort 7/1 {t-0}");
    assert_eq!(w.not_appended(TX, AppendFailure::Unavailable), "init = COORDINATOR_NOT_AVAILABLE");
    assert_eq!(w.end(TX, (7, 0), true), "end = PRODUCER_FENCED", "the old producer stays fenced");
    assert_eq!(w.init(TX, None), "append tx PrepareAbort 7/1 {t-0}");
    w.not_appended(TX, AppendFailure::Unavailable);
    w.now_ms += i64::from(TIMEOUT_MS) + 1;
    assert_eq!(w.step(Event::AbortTimedOut), "append tx PrepareAbort 7/1 {t-0}");
    w.appended(TX);
    w.marked(TX, "t-0", MarkerOutcome::Written);
    w.appended(TX);
    w.init(TX, None);
    assert_eq!(w.appended(TX), "init = 7/2");
    w.add(TX, (7, 2), "t-0");
    w.appended(TX);
    assert_eq!(w.init(TX, None), "append tx PrepareAbort 7/3 {t-0}", "the next fence raises it again");
}

#[test]
fn an_abort_that_fails_is_no_fence() {
    let mut w = World::with_transaction(TX, "t-0");
    w.end(TX, (7, 0), false);
    w.not_appended(TX, AppendFailure::Unavailable);
    assert_eq!(w.init(TX, None), "append tx PrepareAbort 7/1 {t-0}");
}

#[test]
fn the_last_record_is_repeated_until_it_is_there() {
    let mut w = World::with_transaction(TX, "t-0");
    w.end(TX, (7, 0), true);
    w.appended(TX);
    w.marked(TX, "t-0", MarkerOutcome::Written);
    let again = "append tx CompleteCommit 7/0 {} after 50";
    assert_eq!(w.not_appended(TX, AppendFailure::Unavailable), again);
    assert_eq!(w.end(TX, (7, 0), true), "end = CONCURRENT_TRANSACTIONS");
    assert_eq!(w.not_appended(TX, AppendFailure::Refused), again);
    assert_eq!(w.appended(TX), "");
    assert_eq!(w.end(TX, (7, 0), true), "end = 7/0");
}

#[test]
fn the_last_record_is_left_to_the_next_coordinator() {
    let mut w = World::with_transaction(TX, "t-0");
    w.end(TX, (7, 0), true);
    w.appended(TX);
    w.marked(TX, "t-0", MarkerOutcome::Written);
    assert_eq!(w.not_appended(TX, AppendFailure::NotLeader), "");
    assert_eq!(w.add(TX, (7, 0), "t-0"), "add = CONCURRENT_TRANSACTIONS");
}

#[test]
fn markers_that_fail_are_sent_again_for_their_partitions_only() {
    let mut w = World::with_transaction(TX, "t-0 t-1 t-2");
    w.end(TX, (7, 0), true);
    w.appended(TX);
    assert_eq!(w.marked(TX, "t-0", MarkerOutcome::Written), "");
    assert_eq!(w.marked(TX, "t-2", MarkerOutcome::Retry), "commit tx 7/0 {t-2} by 3@10 after 50");
    assert_eq!(w.marked(TX, "t-1", MarkerOutcome::Skipped), "");
    assert_eq!(w.marked(TX, "t-2", MarkerOutcome::Retry), "commit tx 7/0 {t-2} by 3@10 after 50");
    assert_eq!(w.marked(TX, "t-2", MarkerOutcome::Written), "append tx CompleteCommit 7/0 {}");
    assert_eq!(w.marked(TX, "t-2", MarkerOutcome::Retry), "", "too late");
}

#[test]
fn a_fenced_coordinator_leaves_the_transaction_alone() {
    let mut w = World::with_transaction(TX, "t-0 t-1");
    w.end(TX, (7, 0), true);
    w.appended(TX);
    assert_eq!(w.marked(TX, "t-0", MarkerOutcome::Fenced), "");
    assert_eq!(w.marked(TX, "t-1", MarkerOutcome::Written), "");
    assert_eq!(w.end(TX, (7, 0), true), "end = CONCURRENT_TRANSACTIONS");
    assert_eq!(w.init(TX, None), "init = CONCURRENT_TRANSACTIONS");
}
