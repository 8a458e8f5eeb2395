//! Calls that read or write many nodes: pipelined, so that neither side waits for the other.

use super::ZkClient;
use crate::zk::error::ZkError;
use crate::zk::types::{ANY_VERSION, Op, OpResult, Stat};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};

/// How many requests of a call that reads or writes many nodes are under way at a time.
#[derive(Clone, Copy)]
pub(in crate::zk) struct InFlight {
    pub reads_max: usize,
    pub writes_max: usize,
}

impl ZkClient {
    /// Reads that shall be under way at a time.
    pub fn reads_in_flight_max(&self) -> usize {
        self.in_flight.reads_max
    }

    /// Writes that shall be under way at a time.
    pub fn writes_in_flight_max(&self) -> usize {
        self.in_flight.writes_max
    }

    /// [`ZkClient::get`] of many nodes, pipelined, in their order.
    pub async fn get_many(&self, paths: Vec<String>) -> Result<Vec<Option<(Bytes, Stat)>>, ZkError> {
        let gets = stream::iter(paths).map(|path| async move { self.get(&path).await });
        gets.buffered(self.in_flight.reads_max).collect::<Vec<_>>().await.into_iter().collect()
    }

    /// [`ZkClient::exists`] of many nodes, pipelined, in their order.
    pub async fn exists_many(&self, paths: Vec<String>) -> Result<Vec<Option<Stat>>, ZkError> {
        let stats = stream::iter(paths).map(|path| async move { self.exists(&path).await });
        stats.buffered(self.in_flight.reads_max).collect::<Vec<_>>().await.into_iter().collect()
    }

    /// [`ZkClient::children`] of many nodes, pipelined, in their order.
    pub async fn children_many(&self, paths: Vec<String>) -> Result<Vec<Vec<String>>, ZkError> {
        let lists = stream::iter(paths).map(|path| async move { self.children(&path).await });
        lists.buffered(self.in_flight.reads_max).collect::<Vec<_>>().await.into_iter().collect()
    }

    /// [`ZkClient::multi`] many times, pipelined: each succeeds or fails for itself, in their order.
    pub async fn multi_many(&self, multis: Vec<Vec<Op>>) -> Vec<Result<Vec<OpResult>, ZkError>> {
        let multis = stream::iter(multis).map(|ops| self.multi(ops));
        multis.buffered(self.in_flight.writes_max).collect().await
    }

    /// Deletes nodes, pipelined; missing ones are fine.
    pub async fn delete_many(&self, paths: impl Iterator<Item = String>) -> Result<(), ZkError> {
        let deletes = paths.map(|path| vec![Op::delete(path, ANY_VERSION)]).collect();
        let mut failed = self.multi_many(deletes).await.into_iter().filter_map(Result::err);
        failed.find(|error| !error.is_no_node()).map_or(Ok(()), Err)
    }
}
