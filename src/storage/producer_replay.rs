//! Rebuilds producer state from batches that are in the log.

use super::append_types::AppendOrigin;
use super::end_marker;
use super::header_scan::HeaderScan;
use super::partition_dir::PartitionDir;
use super::producer_snapshot::Snapshots;
use super::producer_state::{Check, CompletedTxn, ProducerState};
use super::read_plan::LogPosition;
use super::segment::Segment;
use super::segment_scan::{self, Scanned};
use crate::common::Offset;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

/// How much of a log's end is looked through for the batches that snapshots leave out: more than the producers of
/// one partition have in flight.
const RECALL_BYTES: u32 = 16 << 20;
/// A producer gives up after two minutes (`delivery.timeout.ms`): what is older is not sent again.
const RECALL_MS: i64 = 10 * 60_000;

/// What is replayed.
pub(crate) struct Start<'a> {
    /// All segments, rising.
    pub(crate) segments: &'a [Arc<Segment>],
    pub(crate) log_start_offset: Offset,
}

/// Teaches `state` one batch, as it stands in the log. Gives the transaction that it completes, not yet moved
/// to the completed ones.
pub(crate) fn learn(
    state: &mut ProducerState,
    dir: &PartitionDir,
    batch: &Scanned<'_>,
) -> Option<CompletedTxn> {
    let info = &batch.info;
    if !info.has_producer_id() {
        return None;
    }
    let marker = end_marker::parse(info, batch.bytes);
    let check = Check { origin: AppendOrigin::Replication, topic_partition: &dir.topic_partition };
    let mut update = state.prepare(info.producer_id);
    // What stands in the log is never refused.
    let completed = update.append(info, LogPosition::of_offset(info.base_offset), marker, &check).ok()?;
    state.commit(update);
    completed
}

/// Brings `state` from its end offset to `to`, and takes snapshots at the bases of the last two segments and
/// at `to`, so that a later truncation need not replay all. Gives the offsets of new snapshots.
pub(crate) fn replay(
    dir: &PartitionDir,
    start: &Start<'_>,
    state: &mut ProducerState,
    snapshots: &mut Snapshots,
    to: Offset,
) -> io::Result<Vec<Offset>> {
    let mut taken = Vec::new();
    let segments = start.segments;
    let last_two = segments.len().saturating_sub(2);
    let from = state.end_offset();
    let first = segments.partition_point(|segment| segment.base_offset() <= from).saturating_sub(1);
    for (at, segment) in segments.iter().enumerate().skip(first) {
        if from >= to || segment.base_offset() >= to {
            break;
        }
        let begin = segment.base_offset().max(state.end_offset()).max(start.log_start_offset);
        state.set_end_offset(begin);
        if at >= last_two && begin == segment.base_offset() {
            taken.extend(snapshots.take(dir, state, start.log_start_offset)?);
        }
        replay_segment(dir, segment, state, begin, to)?;
    }
    state.set_end_offset(to);
    taken.extend(snapshots.take(dir, state, start.log_start_offset)?);
    Ok(taken)
}

fn replay_segment(
    dir: &PartitionDir,
    segment: &Segment,
    state: &mut ProducerState,
    from: Offset,
    to: Offset,
) -> io::Result<()> {
    let position = segment.lookup(from)?;
    segment_scan::scan(&*segment.file.log()?, position, segment.size, |batch| {
        if batch.info.base_offset >= to && batch.info.last_offset() >= to {
            return Ok(ControlFlow::Break(()));
        }
        if batch.info.last_offset() >= from {
            if let Some(completed) = learn(state, dir, &batch) {
                state.complete(&completed);
            }
            state.set_end_offset(batch.info.next_offset());
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(())
}

/// Adds to every producer the batches before its last, as far as the end of the log still has them. A snapshot holds
/// only the last one; but after a restart a producer sends again all that it had in flight, and what was written
/// must be known as duplicates. Apache Kafka answers OUT_OF_ORDER_SEQUENCE_NUMBER there. Nothing is read if no
/// producer was active lately.
pub(crate) fn recall_batches(
    segments: &[Arc<Segment>],
    state: &mut ProducerState,
    now_ms: i64,
) -> io::Result<()> {
    if !state.has_active_since(now_ms - RECALL_MS) {
        return Ok(());
    }
    let mut found = ProducerState::default();
    for (segment, from) in tail(segments)? {
        let fd = segment.file.log()?;
        let mut headers = HeaderScan::new(&fd, from, segment.size);
        while let Some((_, info)) = headers.next_batch()? {
            if info.has_producer_id() && !info.is_control() {
                found.note_batch(&info);
            }
        }
        segment.file.rest();
    }
    state.take_batches_of(&found);
    Ok(())
}

/// The last segments, rising, each with the position of a batch, together not much over [`RECALL_BYTES`].
fn tail(segments: &[Arc<Segment>]) -> io::Result<Vec<(&Arc<Segment>, u32)>> {
    let mut tail = Vec::new();
    let mut left = RECALL_BYTES;
    for segment in segments.iter().rev() {
        if segment.size > left {
            let offset = segment.offset_after(segment.size - left)?;
            // Without an index entry there, the next segments must do.
            if let Some(offset) = offset {
                tail.push((segment, segment.lookup(offset)?));
            }
            break;
        }
        left -= segment.size;
        tail.push((segment, 0));
    }
    tail.reverse();
    Ok(tail)
}
