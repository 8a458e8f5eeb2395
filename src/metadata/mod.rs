//! Floor 3: what the controller has told this broker about the cluster.

pub mod cache;
pub mod snapshot;

pub use cache::MetadataCache;
pub use snapshot::{BrokerNode, ClusterSnapshot, Endpoint, PartitionMetadata, TopicMetadata};
