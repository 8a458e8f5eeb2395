//! What a look at one partition finds, under its mutex.

use super::{Found, Looker, PartitionRequest, Standing};
use crate::common::{BrokerId, LeaderEpoch, Offset};
use crate::replication::error::PartitionError;
use crate::replication::partition::leader::FollowerFetch;
use crate::replication::partition::{Due, PartitionState, Reader};
use crate::replication::partition_machine::IsrChange;
use crate::storage::{Log, LogPosition, ReadError};

/// See [`look_at`].
pub(super) type Looked = Result<(Standing, Found, Option<LogPosition>), PartitionError>;

/// Where the partition stands, and what there is to read; the place of the offset, if it is known. `held_back`: a
/// follower that is not in sync gets nothing for now (KIP-73).
pub(super) fn look_at(
    state: &mut PartitionState,
    request: &PartitionRequest,
    hint: Option<LogPosition>,
    looker: &Looker<'_>,
    held_back: bool,
) -> Looked {
    let limits = looker.limits;
    if limits.from_any_replica {
        state.check_epoch(request.current_leader_epoch)?;
    } else {
        state.check_leader(request.current_leader_epoch)?;
    }
    let log = state.log.as_mut().ok_or(PartitionError::StorageFailed)?;
    let high_watermark = state.machine.high_watermark();
    let stable = log.last_stable_offset(high_watermark);
    let standing = Standing {
        high_watermark: high_watermark.offset,
        last_stable_offset: stable.offset,
        log_start_offset: log.log_start_offset(),
    };
    let offset = request.fetch_offset;
    if let Some(location) = &limits.location
        && let Some(id) = state.machine.preferred_replica(offset, |id| looker.source.is_near(id, location))
    {
        return Ok((standing, Found::Elsewhere(id), hint));
    }
    if let Some((epoch, end_offset)) = divergence(log, request)? {
        return Ok((standing, Found::Diverging(epoch, end_offset), hint));
    }
    if offset < standing.log_start_offset || offset > log.log_end().offset {
        return Err(out_of_range(log, offset));
    }
    let upper = match looker.reader {
        Reader::Follower(_) => log.log_end(),
        Reader::Consumer if limits.read_committed => stable,
        Reader::Consumer => high_watermark,
    };
    if offset >= upper.offset {
        let hint = (offset == upper.offset).then_some(upper).or(hint);
        return Ok((standing, Found::Nothing, hint));
    }
    if let Reader::Follower(id) = looker.reader
        && held_back
        && !state.machine.in_sync_replicas().contains(&id)
    {
        return Ok((standing, Found::HeldBack, hint));
    }
    let mut plan = log.plan_read(offset, upper).map_err(PartitionError::Read)?.with_hint(hint);
    if limits.read_committed {
        plan = plan.with_aborted_transactions();
    }
    // Without an exact place the bytes are not known: more than any minimum then, as Kafka answers at once
    // when the offset is not in the last segment.
    let bytes = hint.filter(|h| h.offset == offset).and_then(|h| h.bytes_until(&upper));
    Ok((standing, Found::Data { plan, bytes: bytes.map_or(usize::MAX / 2, |b| b as usize) }, hint))
}

/// A follower that asks for an offset has everything before it.
pub(super) fn note_follower(
    state: &mut PartitionState,
    due: &mut Due,
    request: &PartitionRequest,
    hint: Option<LogPosition>,
    replica_id: BrokerId,
) -> Result<Option<(IsrChange, String)>, PartitionError> {
    let offset = request.fetch_offset;
    let log_end = state.log.as_ref().map(Log::log_end).filter(|end| end.offset == offset);
    let known = log_end.or(hint.filter(|hint| hint.offset == offset));
    let log_end = known.unwrap_or_else(|| LogPosition::of_offset(offset));
    state.follower_fetched(&FollowerFetch { replica_id, log_end, log_start: request.log_start_offset }, due)
}

fn out_of_range(log: &Log, offset: Offset) -> PartitionError {
    let (log_start_offset, log_end_offset) = (log.log_start_offset(), log.log_end_offset());
    PartitionError::Read(ReadError::OffsetOutOfRange { offset, log_start_offset, log_end_offset })
}

/// Where the client must cut its log. Source of the rules: Kafka 2.8.2 `Partition.readRecords`.
fn divergence(
    log: &Log,
    request: &PartitionRequest,
) -> Result<Option<(LeaderEpoch, Offset)>, PartitionError> {
    let offset = request.fetch_offset;
    if request.last_fetched_epoch < 0 {
        return Ok(None);
    }
    let known = log.end_offset_for_epoch(request.last_fetched_epoch);
    let Some((epoch, end_offset)) = known.filter(|_| offset >= log.log_start_offset()) else {
        return Err(out_of_range(log, offset));
    };
    let diverges = epoch < request.last_fetched_epoch || end_offset < offset;
    Ok(diverges.then_some((epoch, end_offset)))
}
