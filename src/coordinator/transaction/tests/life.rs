//! What producers ask for, and what they get.

use super::super::event::{Event, MarkerOutcome};
use super::super::state::TransactionState;
use super::super::status::Status;
use super::world::{EXPIRATION_MS, TIMEOUT_MS, World, names, place};
use bytestring::ByteString;

const TX: &str = "tx";

#[test]
fn a_transaction_commits() {
    let mut w = World::with_producer(TX);
    assert_eq!(w.add(TX, (7, 0), "t-0 t-1"), "append tx Ongoing 7/0 {t-0, t-1}");
    assert_eq!(w.appended(TX), "add = 7/0");
    assert_eq!(w.add(TX, (7, 0), "t-1"), "append tx Ongoing 7/0 {t-0, t-1}");
    assert_eq!(w.appended(TX), "add = 7/0");
    assert_eq!(w.add(TX, (7, 0), "u-5"), "append tx Ongoing 7/0 {t-0, t-1, u-5}");
    assert_eq!(w.appended(TX), "add = 7/0");
    assert_eq!(w.end(TX, (7, 0), true), "append tx PrepareCommit 7/0 {t-0, t-1, u-5}");
    // The answer comes with the decision; the markers follow.
    assert_eq!(w.appended(TX), "end = 7/0; commit tx 7/0 {t-0, t-1, u-5} by 3@10");
    assert_eq!(w.marked(TX, "t-0 u-5", MarkerOutcome::Written), "");
    assert_eq!(w.marked(TX, "t-1", MarkerOutcome::Written), "append tx CompleteCommit 7/0 {}");
    assert_eq!(w.appended(TX), "");
    // The next one begins with the same epoch.
    assert_eq!(w.add(TX, (7, 0), "t-0"), "append tx Ongoing 7/0 {t-0}");
}

#[test]
fn a_transaction_aborts_and_a_repeated_end_is_answered() {
    let mut w = World::with_transaction(TX, "t-0");
    assert_eq!(w.end(TX, (7, 0), false), "append tx PrepareAbort 7/0 {t-0}");
    assert_eq!(w.end(TX, (7, 0), false), "end = CONCURRENT_TRANSACTIONS");
    assert_eq!(w.appended(TX), "end = 7/0; abort tx 7/0 {t-0} by 3@10");
    assert_eq!(w.end(TX, (7, 0), false), "end = CONCURRENT_TRANSACTIONS");
    assert_eq!(w.end(TX, (7, 0), true), "end = CONCURRENT_TRANSACTIONS");
    assert_eq!(w.add(TX, (7, 0), "t-0"), "add = CONCURRENT_TRANSACTIONS");
    assert_eq!(w.init(TX, None), "init = CONCURRENT_TRANSACTIONS");
    w.marked(TX, "t-0", MarkerOutcome::Written);
    assert_eq!(w.end(TX, (7, 0), false), "end = CONCURRENT_TRANSACTIONS");
    assert_eq!(w.appended(TX), "");
    assert_eq!(w.end(TX, (7, 0), false), "end = 7/0");
    assert_eq!(w.end(TX, (7, 0), true), "end = INVALID_TXN_STATE");
}

#[test]
fn requests_are_checked_in_the_order_of_kafka() {
    let mut w = World::with_producer(TX);
    assert_eq!(w.init("", None), "init = INVALID_REQUEST");
    assert_eq!(w.add("", (7, 0), "t-0"), "add = INVALID_REQUEST");
    assert_eq!(w.end("", (7, 0), true), "end = INVALID_REQUEST");
    assert_eq!(w.add("other", (7, 0), "t-0"), "add = INVALID_PRODUCER_ID_MAPPING");
    assert_eq!(w.end("other", (7, 0), true), "end = INVALID_PRODUCER_ID_MAPPING");
    assert_eq!(w.add(TX, (8, 0), "t-0"), "add = INVALID_PRODUCER_ID_MAPPING");
    assert_eq!(w.end(TX, (8, 0), true), "end = INVALID_PRODUCER_ID_MAPPING");
    for epoch in [-1, 1, i16::MAX] {
        assert_eq!(w.add(TX, (7, epoch), "t-0"), "add = PRODUCER_FENCED");
        assert_eq!(w.end(TX, (7, epoch), true), "end = PRODUCER_FENCED");
    }
    assert_eq!(w.end(TX, (7, 0), true), "end = INVALID_TXN_STATE");
    assert_eq!(w.end(TX, (7, 0), false), "end = INVALID_TXN_STATE");
    let mut init = |timeout_ms| {
        w.step(Event::InitProducerId(super::super::event::InitProducerId {
            reply: "init",
            partition: 4,
            transactional_id: ByteString::from_static(TX),
            timeout_ms,
            expected: None,
            fresh_id: None,
        }))
    };
    for timeout_ms in [0, -1, 900_001] {
        assert_eq!(init(timeout_ms), "init = INVALID_TRANSACTION_TIMEOUT");
    }
    assert_eq!(init(900_000), "init = NOT_COORDINATOR");
}

#[test]
fn nothing_happens_while_a_record_is_on_its_way() {
    let mut w = World::new();
    assert_eq!(w.init(TX, None), "append tx Empty 7/0 {}");
    assert_eq!(w.init(TX, None), "init = CONCURRENT_TRANSACTIONS");
    // Nobody has that epoch yet.
    assert_eq!(w.add(TX, (7, -1), "t-0"), "add = PRODUCER_FENCED");
    assert_eq!(w.appended(TX), "init = 7/0");
    w.add(TX, (7, 0), "t-0");
    assert_eq!(w.add(TX, (7, 0), "t-1"), "add = CONCURRENT_TRANSACTIONS");
    assert_eq!(w.end(TX, (7, 0), true), "end = CONCURRENT_TRANSACTIONS");
    assert_eq!(w.init(TX, None), "init = CONCURRENT_TRANSACTIONS");
    assert_eq!(w.appended(TX), "add = 7/0");
    assert_eq!(w.appended(TX), "", "an append that nobody waits for");
}

#[test]
fn two_that_ask_for_a_new_id_get_one_after_the_other() {
    let mut w = World::new();
    assert_eq!(w.init_only(TX, None), "new producer id");
    assert_eq!(w.init_only(TX, None), "new producer id");
    let (first, second) = (w.asking(), w.asking());
    assert_eq!(w.step(Event::ProducerId(first, Ok(1))), "append tx Empty 1/0 {}");
    assert_eq!(w.step(Event::ProducerId(second, Ok(2))), "init = CONCURRENT_TRANSACTIONS");
    assert_eq!(w.appended(TX), "init = 1/0");
    assert_eq!(w.init(TX, None), "append tx Empty 1/1 {}");
}

#[test]
fn a_new_producer_fences_the_old_one() {
    let mut w = World::with_transaction(TX, "t-0");
    assert_eq!(w.init(TX, None), "append tx PrepareAbort 7/1 {t-0}");
    // From this moment on, not only once the record is committed.
    assert_eq!(w.add(TX, (7, 0), "t-1"), "add = PRODUCER_FENCED");
    assert_eq!(w.end(TX, (7, 0), true), "end = PRODUCER_FENCED");
    assert_eq!(w.appended(TX), "init = CONCURRENT_TRANSACTIONS; abort tx 7/1 {t-0} by 3@10");
    assert_eq!(w.marked(TX, "t-0", MarkerOutcome::Written), "append tx CompleteAbort 7/1 {}");
    assert_eq!(w.init(TX, None), "init = CONCURRENT_TRANSACTIONS");
    w.appended(TX);
    assert_eq!(w.init(TX, None), "append tx Empty 7/2 {}");
    assert_eq!(w.appended(TX), "init = 7/2");
    assert_eq!(w.add(TX, (7, 1), "t-0"), "add = PRODUCER_FENCED");
}

#[test]
fn a_producer_goes_on_with_a_new_epoch() {
    let mut w = World::with_producer(TX);
    assert_eq!(w.init(TX, Some((7, 0))), "append tx Empty 7/1 {}");
    assert_eq!(w.appended(TX), "init = 7/1");
    // The same again: the answer was lost.
    assert_eq!(w.init(TX, Some((7, 0))), "append tx Empty 7/1 {}");
    assert_eq!(w.appended(TX), "init = 7/1");
    assert_eq!(w.init(TX, Some((7, 1))), "append tx Empty 7/2 {}");
    assert_eq!(w.appended(TX), "init = 7/2");
    for stale in [(7, 0), (7, 3), (8, 2), (-2, 2)] {
        assert_eq!(w.init(TX, Some(stale)), "init = PRODUCER_FENCED", "{stale:?}");
    }
    // A new producer makes the lost answer worthless.
    w.init(TX, None);
    assert_eq!(w.appended(TX), "init = 7/3");
    assert_eq!(w.init(TX, Some((7, 2))), "init = PRODUCER_FENCED");
}

#[test]
fn who_is_fenced_cannot_abort_the_transaction_of_the_new_one() {
    let mut w = World::with_producer(TX);
    w.init(TX, None);
    w.appended(TX);
    w.add(TX, (7, 1), "t-0");
    w.appended(TX);
    assert_eq!(w.init(TX, Some((7, 0))), "init = PRODUCER_FENCED");
    assert_eq!(w.end(TX, (7, 1), true), "append tx PrepareCommit 7/1 {t-0}");
}

fn state(status: Status, epoch: i16, partitions: &str) -> TransactionState {
    TransactionState {
        producer_id: 7,
        producer_epoch: epoch,
        timeout_ms: TIMEOUT_MS,
        status,
        partitions: names(partitions),
        last_update_ms: 1000,
        start_ms: if status == Status::Empty { -1 } else { 1000 },
    }
}

#[test]
fn a_used_up_epoch_gives_a_new_producer_id() {
    let (mut w, _) = World::loaded(vec![(TX, state(Status::Empty, i16::MAX - 2, ""))]);
    assert_eq!(w.init(TX, Some((7, i16::MAX - 2))), "append tx Empty 7/32766 {}");
    assert_eq!(w.appended(TX), "init = 7/32766");
    assert_eq!(w.init_only(TX, Some((7, i16::MAX - 1))), "new producer id");
    let request = w.asking();
    assert_eq!(w.step(Event::ProducerId(request, Ok(99))), "append tx Empty 99/0 {}");
    assert_eq!(w.appended(TX), "init = 99/0");
    // The producer that did not hear of it.
    assert_eq!(w.init(TX, Some((7, i16::MAX - 1))), "append tx Empty 99/0 {}");
    assert_eq!(w.appended(TX), "init = 99/0");
    assert_eq!(w.init(TX, Some((7, 5))), "init = PRODUCER_FENCED");
    assert_eq!(w.init(TX, Some((99, 0))), "append tx Empty 99/1 {}");
}

#[test]
fn the_last_epoch_is_left_for_fencing() {
    let (mut w, _) = World::loaded(vec![(TX, state(Status::Ongoing, i16::MAX - 1, "t-0"))]);
    assert_eq!(w.init(TX, None), "append tx PrepareAbort 7/32767 {t-0}");
    w.appended(TX);
    w.marked(TX, "t-0", MarkerOutcome::Written);
    w.appended(TX);
    assert_eq!(w.init(TX, None), "append tx Empty 7/0 {}", "of the first fresh id, which is 7, too");
}

#[test]
fn an_empty_set_of_partitions_begins_a_transaction_that_ends_at_once() {
    let mut w = World::with_producer(TX);
    assert_eq!(w.add(TX, (7, 0), ""), "append tx Ongoing 7/0 {}");
    w.appended(TX);
    assert_eq!(w.end(TX, (7, 0), true), "append tx PrepareCommit 7/0 {}");
    assert_eq!(w.appended(TX), "end = 7/0; append tx CompleteCommit 7/0 {}");
    assert_eq!(w.appended(TX), "");
}

#[test]
fn what_is_open_too_long_is_aborted() {
    let mut w = World::with_transaction(TX, "t-0");
    w.now_ms += i64::from(TIMEOUT_MS);
    assert_eq!(w.step(Event::AbortTimedOut), "", "not more than the timeout");
    w.now_ms += 1;
    assert_eq!(w.step(Event::AbortTimedOut), "append tx PrepareAbort 7/1 {t-0}");
    assert_eq!(w.step(Event::AbortTimedOut), "");
    assert_eq!(w.appended(TX), "abort tx 7/1 {t-0} by 3@10");
    assert_eq!(w.step(Event::AbortTimedOut), "");
    w.marked(TX, "t-0", MarkerOutcome::Written);
    w.appended(TX);
    assert_eq!(w.end(TX, (7, 0), true), "end = PRODUCER_FENCED");
    assert_eq!(w.init(TX, Some((7, 0))), "init = PRODUCER_FENCED");
}

#[test]
fn ids_that_nobody_uses_are_forgotten() {
    let (mut w, _) = World::loaded(vec![
        ("open", state(Status::Ongoing, 0, "t-0")),
        ("done", state(Status::CompleteCommit, 0, "")),
    ]);
    w.now_ms = 1000 + EXPIRATION_MS - 1;
    assert_eq!(w.step(Event::RemoveExpired), "");
    w.now_ms += 1;
    assert_eq!(w.step(Event::RemoveExpired), "tombstones done");
    assert_eq!(w.step(Event::RemoveExpired), "");
    assert_eq!(w.init("done", None), "init = CONCURRENT_TRANSACTIONS");
    let ids = vec![ByteString::from_static("done")];
    let failed = Err(super::super::event::AppendFailure::Unavailable);
    assert_eq!(w.step(Event::TombstonesAppended(place(), ids.clone(), failed)), "");
    assert_eq!(w.step(Event::RemoveExpired), "tombstones done");
    assert_eq!(w.step(Event::TombstonesAppended(place(), ids, Ok(()))), "");
    assert_eq!(w.end("done", (7, 0), true), "end = INVALID_PRODUCER_ID_MAPPING");
    assert_eq!(w.step(Event::RemoveExpired), "", "an open transaction never expires");
}

#[test]
fn many_tombstones_go_into_several_batches() {
    let ids: Vec<String> = (0..5).map(|n| format!("{n}").repeat(5000)).collect();
    let mut w = World::unelected();
    w.step(Event::Elected(place()));
    let states = ids.iter().map(|id| (ByteString::from(id.as_str()), state(Status::Empty, 0, ""))).collect();
    w.step(Event::Loaded(place(), states));
    w.now_ms += EXPIRATION_MS;
    assert_eq!(w.step(Event::RemoveExpired).matches("tombstones").count(), 2);
}
