//! What coordinators ask of the partitions of their internal topics: appends that are committed before
//! anything is answered, reads that rebuild a state, and word of who leads.

use super::error::PartitionError;
use super::partition::{Append, Appender, Partition, RequiredAcks};
use super::ticket::{AppendResult, Ticket, TicketWait};
use crate::common::{LeaderEpoch, Offset, clock};
use crate::record::batch::Batches;
use crate::record::validator::prepare_client_records;
use crate::storage::read_slice;
use bytes::Bytes;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Told what becomes of the partitions of one internal topic. Called on a blocking thread, in order, while
/// decisions of the controller are applied: hands over and returns.
pub trait PartitionListener: Send + Sync {
    /// This broker leads `partition` since `leader_epoch`.
    fn became_leader(&self, partition: Arc<Partition>, leader_epoch: LeaderEpoch);

    /// Another broker leads since `leader_epoch`.
    fn became_follower(&self, partition: i32, leader_epoch: LeaderEpoch);

    /// The partition was taken away or deleted, or its directory failed.
    fn stopped(&self, partition: i32);
}

/// Resolves once the records are in the log of every in-sync replica, or why they are not.
pub struct CoordinatorAppend(TicketWait);

impl Future for CoordinatorAppend {
    type Output = AppendResult;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<AppendResult> {
        let refused = Err(PartitionError::TimedOut);
        Pin::new(&mut self.0).poll(cx).map(|results| results.into_iter().next().flatten().unwrap_or(refused))
    }
}

impl Partition {
    /// Appends v2 batches of a coordinator on this broker, if it still leads with `leader_epoch`. They are in
    /// line when this returns, whether or not the result is awaited, and in the order of the calls.
    pub fn append_as_coordinator(
        self: &Arc<Self>,
        records: Bytes,
        leader_epoch: LeaderEpoch,
        timeout_ms: i64,
    ) -> CoordinatorAppend {
        self.append_as_coordinator_with(records, leader_epoch, RequiredAcks::All, timeout_ms)
    }

    /// The same, that resolves as soon as `acks` says (`offsets.commit.required.acks`).
    pub fn append_as_coordinator_with(
        self: &Arc<Self>,
        records: Bytes,
        leader_epoch: LeaderEpoch,
        acks: RequiredAcks,
        timeout_ms: i64,
    ) -> CoordinatorAppend {
        let ticket = Ticket::new(1);
        let settings = self.settings();
        match prepare_client_records(&records, settings.coordinator_rules(), clock::now_ms()) {
            Ok(batches) => self.enqueue(Append {
                batches,
                appender: Appender::Coordinator { leader_epoch },
                acks,
                ticket: Arc::clone(&ticket),
                slot: 0,
            }),
            Err(error) => ticket.complete(0, Err(PartitionError::Records(error.code))),
        }
        CoordinatorAppend(TicketWait::new(ticket, Some(timeout_ms)))
    }

    /// Whole batches from `offset` up to the log end, about `max_bytes` of them, at least one; empty at the
    /// end. An offset before the log's start reads from the start. Blocks on the disk.
    pub fn read_for_loading(&self, offset: Offset, max_bytes: usize) -> Result<Bytes, PartitionError> {
        let plan = self.with_state(|state| {
            let log = state.log.as_ref().ok_or(PartitionError::StorageFailed)?;
            let from = offset.max(log.log_start_offset());
            log.plan_read(from, log.log_end()).map_err(PartitionError::Read)
        })?;
        let read = plan.execute(max_bytes, true).map_err(|error| self.storage_failed(&error))?;
        match &read.records {
            Some(slice) => {
                let bytes = read_slice(slice).map_err(|_| PartitionError::StorageFailed)?;
                Ok(bytes.slice(..Batches::new(&bytes).last_position()))
            }
            None => Ok(Bytes::new()),
        }
    }
}
