//! Partitions of the transaction log that come and go.

use super::super::event::{Event, Marker, MarkerOutcome, Place, Producer};
use super::super::state::TransactionState;
use super::super::status::Status;
use super::world::{EPOCH, PARTITION, TIMEOUT_MS, World, names, place};
use bytestring::ByteString;

const TX: &str = "tx";

fn state(status: Status, partitions: &str) -> TransactionState {
    TransactionState {
        producer_id: 7,
        producer_epoch: 4,
        timeout_ms: TIMEOUT_MS,
        status,
        partitions: names(partitions),
        last_update_ms: 900,
        start_ms: 800,
    }
}

fn at(coordinator_epoch: i32) -> Place {
    Place { partition: PARTITION, coordinator_epoch }
}

#[test]
fn requests_find_out_who_coordinates() {
    let mut w = World::unelected();
    assert_eq!(w.init(TX, None), "init = NOT_COORDINATOR");
    assert_eq!(w.step(Event::Elected(place())), "load 3@10");
    assert_eq!(w.init(TX, None), "init = COORDINATOR_LOAD_IN_PROGRESS");
    assert_eq!(w.add(TX, (7, 0), "t-0"), "add = COORDINATOR_LOAD_IN_PROGRESS");
    assert_eq!(w.end(TX, (7, 0), true), "end = COORDINATOR_LOAD_IN_PROGRESS");
    w.step(Event::Loaded(place(), Vec::new()));
    assert_eq!(w.end(TX, (7, 0), true), "end = INVALID_PRODUCER_ID_MAPPING");
    assert_eq!(w.step(Event::Resigned(PARTITION, None)), "unload 3@10");
    assert_eq!(w.end(TX, (7, 0), true), "end = NOT_COORDINATOR");
}

#[test]
fn decided_transactions_are_finished_after_a_load() {
    let (mut w, out) = World::loaded(vec![(TX, state(Status::PrepareCommit, "t-0 t-1"))]);
    assert_eq!(out, "commit tx 7/4 {t-0, t-1} by 3@10");
    assert_eq!(w.end(TX, (7, 4), true), "end = CONCURRENT_TRANSACTIONS");
    assert_eq!(w.marked(TX, "t-0 t-1", MarkerOutcome::Written), "append tx CompleteCommit 7/4 {}");
    let (_, out) = World::loaded(vec![(TX, state(Status::PrepareAbort, "t-0"))]);
    assert_eq!(out, "abort tx 7/4 {t-0} by 3@10");
    let (_, out) = World::loaded(vec![(TX, state(Status::PrepareAbort, ""))]);
    assert_eq!(out, "append tx CompleteAbort 7/4 {}");
    for status in [Status::Empty, Status::Ongoing, Status::CompleteCommit, Status::CompleteAbort] {
        assert_eq!(World::loaded(vec![(TX, state(status, ""))]).1, "", "{status:?}");
    }
}

#[test]
fn an_open_transaction_goes_on_after_a_load() {
    let (mut w, _) = World::loaded(vec![(TX, state(Status::Ongoing, "t-0"))]);
    assert_eq!(w.add(TX, (7, 4), "t-1"), "append tx Ongoing 7/4 {t-0, t-1}");
    w.appended(TX);
    let state = &w.machine.transaction(PARTITION, TX).expect("loaded").state;
    assert_eq!((state.start_ms, state.last_update_ms), (800, 1000), "its time counts from its beginning");
    w.now_ms = 800 + i64::from(TIMEOUT_MS) + 1;
    assert_eq!(w.step(Event::AbortTimedOut), "append tx PrepareAbort 7/5 {t-0, t-1}");
}

#[test]
fn who_waits_is_told_when_the_partition_goes() {
    let mut w = World::with_transaction(TX, "t-0");
    w.end(TX, (7, 0), true);
    assert_eq!(w.step(Event::Resigned(PARTITION, Some(EPOCH + 1))), "end = NOT_COORDINATOR; unload 3@10");
    assert_eq!(w.appended(TX), "", "too late");
    assert_eq!(w.step(Event::Resigned(PARTITION, Some(EPOCH + 1))), "");
}

#[test]
fn nothing_of_an_old_epoch_touches_the_new_one() {
    let mut w = World::with_transaction(TX, "t-0");
    w.end(TX, (7, 0), true);
    assert_eq!(w.step(Event::Elected(at(12))), "end = NOT_COORDINATOR; unload 3@10; load 3@12");
    assert_eq!(w.step(Event::Elected(at(12))), "");
    assert_eq!(w.step(Event::Elected(at(11))), "");
    assert_eq!(w.step(Event::Resigned(PARTITION, Some(11))), "", "older than the election");
    // A load of the epoch before, and one that is late for its own.
    assert_eq!(w.step(Event::Loaded(place(), Vec::new())), "");
    assert_eq!(w.end(TX, (7, 0), true), "end = COORDINATOR_LOAD_IN_PROGRESS");
    let states = vec![(ByteString::from_static(TX), state(Status::PrepareCommit, "t-0"))];
    assert_eq!(w.step(Event::Loaded(at(12), states)), "commit tx 7/4 {t-0} by 3@12");
    assert_eq!(w.step(Event::Loaded(at(12), Vec::new())), "");
    // Answers to what was asked under the old epoch.
    assert_eq!(w.appended(TX), "");
    assert_eq!(w.marked(TX, "t-0", MarkerOutcome::Written), "");
    assert_eq!(w.step(Event::TombstonesAppended(place(), vec![ByteString::from_static(TX)], Ok(()))), "");
    let old = Marker {
        place: place(),
        transactional_id: ByteString::from_static(TX),
        producer: Producer { id: 7, epoch: 4 },
        commit: true,
        partitions: names("t-0"),
    };
    assert_eq!(w.step(Event::MarkersDue(old.clone())), "");
    let new = Marker { place: at(12), ..old };
    assert_eq!(w.step(Event::MarkersDue(new)), "commit tx 7/4 {t-0} by 3@12");
    assert_eq!(w.end(TX, (7, 4), true), "end = CONCURRENT_TRANSACTIONS", "still not written");
}

#[test]
fn partitions_are_apart() {
    let mut w = World::with_transaction(TX, "t-0");
    let other = Place { partition: 5, coordinator_epoch: 1 };
    assert_eq!(w.step(Event::Elected(other)), "load 5@1");
    assert_eq!(w.step(Event::Resigned(5, None)), "unload 5@1");
    assert_eq!(w.end(TX, (7, 0), true), "append tx PrepareCommit 7/0 {t-0}");
}
