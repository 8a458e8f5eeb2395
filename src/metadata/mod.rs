//! Floor 3: what the controller has told this broker about the cluster.

pub mod cache;
pub mod features;
pub mod producer_ids;
pub mod snapshot;

pub use cache::MetadataCache;
pub use features::FinalizedFeatures;
pub use producer_ids::ProducerIds;
pub use snapshot::{BrokerNode, ClusterSnapshot, Endpoint, PartitionMetadata, TopicMetadata};
