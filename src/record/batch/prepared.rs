//! Batches on their way into a leader's log.

use super::{BASE_OFFSET_AT, BatchInfo, LEADER_EPOCH_AT, MAGIC_AT, SIZE_AT};
use crate::common::{LeaderEpoch, Offset};
use bytes::Bytes;

/// A validated batch, ready for a leader's log: see `validator`.
///
/// `info` is exact for all formats: `base_offset` counts from 0 within its request, `last_offset_delta` and
/// `records_count` are the true ones also of a compressed v0/v1 wrapper. The base offset and the leader epoch
/// inside `bytes` mean nothing: [`PreparedBatch::place`] gives the bytes for the offset that the log chose.
#[derive(Clone, PartialEq, Debug)]
pub struct PreparedBatch {
    /// The header as described above.
    pub info: BatchInfo,
    /// The whole batch.
    pub bytes: Bytes,
}

/// A batch at its place in the log: write `head`, then `rest`. `head` replaces the first bytes of the batch,
/// so that the bytes of the request need not be copied: one vectored write takes both.
#[derive(Clone, PartialEq, Debug)]
pub struct PlacedBatch {
    /// The header as it will be read back from the log.
    pub info: BatchInfo,
    /// Offset, size, and leader epoch (v2) or CRC (v0, v1).
    pub head: [u8; MAGIC_AT],
    /// Everything from the magic on.
    pub rest: Bytes,
}

impl PreparedBatch {
    /// The batch with its first record at `base_offset`, appended under `leader_epoch`.
    ///
    /// Offsets inside of a compressed entry of format 0 are absolute: it is compressed anew, so that the size
    /// of the result (`info.size_bytes`) may differ a little from that of `self`.
    pub fn place(&self, base_offset: Offset, leader_epoch: LeaderEpoch) -> PlacedBatch {
        if self.info.magic == 0 && self.info.is_compressed() && base_offset != 0 {
            let (info, bytes) = super::super::convert::move_v0_wrapper(&self.info, &self.bytes, base_offset);
            return PreparedBatch { info, bytes }.place_header(base_offset, leader_epoch);
        }
        self.place_header(base_offset, leader_epoch)
    }

    fn place_header(&self, base_offset: Offset, leader_epoch: LeaderEpoch) -> PlacedBatch {
        let mut head = [0; MAGIC_AT];
        head.copy_from_slice(&self.bytes[..MAGIC_AT]);
        let mut info = self.info;
        info.base_offset = base_offset;
        if info.magic == 2 {
            info.partition_leader_epoch = leader_epoch;
            head[BASE_OFFSET_AT..SIZE_AT].copy_from_slice(&base_offset.to_be_bytes());
            head[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&leader_epoch.to_be_bytes());
        } else {
            head[BASE_OFFSET_AT..SIZE_AT].copy_from_slice(&info.last_offset().to_be_bytes());
        }
        PlacedBatch { info, head, rest: self.bytes.slice(MAGIC_AT..) }
    }
}
