use super::*;
use crate::storage::producer_snapshot;

fn batch(producer_id: i64, epoch: i16, base_sequence: i32, count: i32, base_offset: i64) -> BatchInfo {
    BatchInfo {
        base_offset,
        size_bytes: 100,
        partition_leader_epoch: 0,
        magic: 2,
        crc: 0,
        attributes: 0,
        last_offset_delta: count - 1,
        base_timestamp: 1000,
        max_timestamp: 1000,
        producer_id,
        producer_epoch: epoch,
        base_sequence,
        records_count: count,
    }
}

fn transactional(mut info: BatchInfo) -> BatchInfo {
    info.attributes |= 0x10;
    info
}

fn marker_batch(producer_id: i64, epoch: i16, base_offset: i64) -> BatchInfo {
    let mut info = transactional(batch(producer_id, epoch, -1, 1, base_offset));
    info.attributes |= 0x20;
    info
}

fn try_append(
    state: &mut ProducerState,
    info: &BatchInfo,
    marker: Option<EndMarker>,
    origin: AppendOrigin,
) -> Result<Option<CompletedTxn>, AppendError> {
    let topic_partition = TopicPartition::new("t", 0);
    let check = Check { origin, topic_partition: &topic_partition };
    let mut update = state.prepare(info.producer_id);
    let completed = update.append(info, LogPosition::of_offset(info.base_offset), marker, &check)?;
    state.commit(update);
    if let Some(completed) = &completed {
        state.complete(completed);
    }
    state.set_end_offset(info.next_offset());
    Ok(completed)
}

fn append(state: &mut ProducerState, info: &BatchInfo) -> Result<(), AppendError> {
    try_append(state, info, None, AppendOrigin::Client).map(drop)
}

#[test]
fn sequences_must_follow_each_other() {
    let mut state = ProducerState::default();
    append(&mut state, &batch(1, 0, 0, 10, 0)).expect("first");
    append(&mut state, &batch(1, 0, 10, 5, 10)).expect("next");
    let error = append(&mut state, &batch(1, 0, 16, 1, 15)).expect_err("gap");
    assert_eq!(
        error.to_string(),
        "Out of order sequence number for producer 1 at offset 15 in partition t-0: 16 (incoming seq. \
         number), 14 (current end sequence number)"
    );
    assert_eq!(error.code(), crate::common::ErrorCode::OutOfOrderSequenceNumber);
    append(&mut state, &batch(1, 1, 3, 1, 15)).expect_err("a new epoch begins with 0");
    append(&mut state, &batch(1, 1, 0, 1, 15)).expect("new epoch");
    assert!(matches!(append(&mut state, &batch(1, 0, 15, 1, 16)), Err(AppendError::InvalidProducerEpoch(_))));
    append(&mut state, &batch(2, 3, 77, 1, 16)).expect("an unknown producer may begin anywhere");
    append(&mut state, &batch(2, 3, 78, i32::MAX - 77, 17)).expect("up to the largest");
    append(&mut state, &batch(2, 3, 0, 1, 18)).expect("then around");
}

#[test]
fn five_batches_are_remembered() {
    let mut state = ProducerState::default();
    for n in 0..7 {
        append(&mut state, &batch(1, 0, n * 2, 2, i64::from(n) * 2)).expect("append");
    }
    for n in 0..7 {
        let found = state.find_duplicate(&batch(1, 0, n * 2, 2, 99));
        assert_eq!(found.map(|b| b.first_offset()), (n >= 2).then_some(i64::from(n) * 2));
    }
    assert_eq!(state.find_duplicate(&batch(1, 0, 13, 1, 99)), None, "another range is no duplicate");
    assert_eq!(state.find_duplicate(&batch(1, 1, 12, 2, 99)), None, "nor is another epoch");
}

#[test]
fn transactions_bound_readers_until_their_marker_is_replicated() {
    let mut state = ProducerState::default();
    append(&mut state, &transactional(batch(1, 0, 0, 5, 10))).expect("first");
    append(&mut state, &transactional(batch(2, 0, 0, 5, 15))).expect("second");
    append(&mut state, &transactional(batch(1, 0, 5, 5, 20))).expect("more of the first");
    assert_eq!(state.first_unstable().map(|p| p.offset), Some(10));
    let error = append(&mut state, &batch(1, 0, 10, 1, 25)).expect_err("outside its transaction");
    assert!(matches!(error, AppendError::InvalidTxnState(_)), "{error}");

    let abort = EndMarker { aborted: true, coordinator_epoch: 4, timestamp: 7 };
    let completed = try_append(&mut state, &marker_batch(1, 0, 25), Some(abort), AppendOrigin::Coordinator)
        .expect("abort");
    let completed = completed.expect("a transaction ended");
    assert_eq!(completed, CompletedTxn { producer_id: 1, first_offset: 10, last_offset: 25, aborted: true });
    assert_eq!(state.last_stable_offset_at(&completed), 15);
    assert_eq!(state.first_unstable().map(|p| p.offset), Some(10), "the marker is not replicated");
    state.forget_completed_below(25);
    assert_eq!(state.first_unstable().map(|p| p.offset), Some(10));
    state.forget_completed_below(26);
    assert_eq!(state.first_unstable().map(|p| p.offset), Some(15));

    let zombie = EndMarker { coordinator_epoch: 3, ..abort };
    let error = try_append(&mut state, &marker_batch(1, 0, 26), Some(zombie), AppendOrigin::Coordinator);
    assert!(matches!(error, Err(AppendError::TransactionCoordinatorFenced(_))));
    let late = try_append(&mut state, &marker_batch(1, 0, 26), Some(abort), AppendOrigin::Coordinator);
    assert_eq!(late.expect("an empty transaction"), None);
}

#[test]
fn replicated_batches_are_taken_as_they_are() {
    let mut state = ProducerState::default();
    try_append(&mut state, &batch(1, 5, 0, 1, 0), None, AppendOrigin::Replication).expect("first");
    try_append(&mut state, &batch(1, 4, 7, 1, 1), None, AppendOrigin::Replication).expect("older epoch");
    assert_eq!(state.sorted()[0].1.producer_epoch, 4);
}

#[test]
fn snapshots_round_trip() {
    let mut state = ProducerState::default();
    for n in 0..3 {
        append(&mut state, &batch(1, 0, n * 2, 2, i64::from(n) * 2)).expect("append");
    }
    append(&mut state, &transactional(batch(9, 3, 0, 1, 6))).expect("append");
    let commit = EndMarker { aborted: false, coordinator_epoch: 1, timestamp: 5 };
    try_append(&mut state, &marker_batch(4, 2, 7), Some(commit), AppendOrigin::Coordinator).expect("marker");
    let bytes = producer_snapshot::encode(&state);
    let entries = producer_snapshot::decode(&bytes).expect("decode");
    assert_eq!(entries.len(), 3);
    let again = ProducerState::from_entries(8, entries);
    assert_eq!(producer_snapshot::encode(&again), bytes);
    assert_eq!(again.first_unstable().map(|p| p.offset), Some(6));
    assert_eq!(again.sorted()[0].1.batches.len(), 1, "only the last batch survives");
    assert_eq!(producer_snapshot::encode(&ProducerState::default()).len(), 10);

    let mut wrong = bytes.clone();
    wrong[20] ^= 1;
    assert!(producer_snapshot::decode(&wrong).expect_err("crc").starts_with("Snapshot is corrupt"));
    let mut newer = bytes.clone();
    newer[1] = 2;
    assert_eq!(
        producer_snapshot::decode(&newer).expect_err("version"),
        "Snapshot contained an unknown file version 2"
    );
    for len in 0..bytes.len() {
        producer_snapshot::decode(&bytes[..len]).expect_err("cut");
    }
}

#[test]
fn idle_producers_expire_unless_a_transaction_is_open() {
    let mut state = ProducerState::default();
    append(&mut state, &batch(1, 0, 0, 1, 0)).expect("append");
    append(&mut state, &transactional(batch(2, 0, 0, 1, 1))).expect("append");
    state.remove_expired(1000 + 499, 500);
    assert_eq!(state.sorted().len(), 2);
    state.remove_expired(1000 + 500, 500);
    assert_eq!(state.sorted().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [2]);
}

#[test]
fn batches_that_a_snapshot_left_out_are_recalled_if_they_lead_to_the_same_end() {
    let mut full = ProducerState::default();
    let mut noted = ProducerState::default();
    for at in 0..7 {
        let info = batch(1, 0, at * 10, 10, i64::from(at) * 10);
        append(&mut full, &info).expect("in order");
        noted.note_batch(&info);
    }
    append(&mut full, &batch(2, 0, 0, 1, 70)).expect("another producer");
    let mut loaded = full.clone();
    loaded.producers.values_mut().for_each(|entry| drop(entry.batches.drain(..entry.batches.len() - 1)));
    assert_eq!(loaded.find_duplicate(&batch(1, 0, 30, 10, 0)), None);
    loaded.take_batches_of(&noted);
    assert_eq!(loaded.sorted(), full.sorted());
    // What was noted ends elsewhere, or is of another epoch.
    for info in [batch(1, 0, 70, 1, 71), batch(1, 1, 0, 1, 71)] {
        noted.note_batch(&info);
        let before = loaded.clone();
        loaded.take_batches_of(&noted);
        assert_eq!(loaded.sorted(), before.sorted());
    }
}
