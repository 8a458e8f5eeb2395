//! `/admin/preferred_replica_election`: partitions whose first replica shall lead again.
//!
//! ```text
//! {"version":1,"partitions":[{"topic":"t","partition":0}]}
//! ```

use super::{Bytes, DataError, isr_change};
use crate::common::TopicPartition;

/// Writes it.
pub fn encode<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> Bytes {
    isr_change::encode(partitions)
}

/// Reads it.
pub fn decode(data: &[u8]) -> Result<Vec<TopicPartition>, DataError> {
    isr_change::decode_list("preferred replica election", data)
}
