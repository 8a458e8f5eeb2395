//! Log directories that Apache Kafka wrote, opened by us; what we leave, compared with what Kafka leaves.

mod appends;
mod cleaner;
mod dump;
mod fixtures;
mod groups;
mod start_failures;
mod support;
