//! Moves of replicas between the log directories of this broker (KIP-113).
//!
//! Source: Kafka 2.8.2, `ReplicaManager.alterReplicaLogDirs`, `maybeAddLogDirFetchers`.

use super::ReplicaManager;
use crate::common::TopicPartition;
use crate::replication::Partition;
use crate::replication::mover::Mover;
use crate::storage::CreateError;
use log::{error, info, warn};
use std::path::Path;
use std::sync::Arc;

const TARGET: &str = "kafka.server.ReplicaManager";

/// Why a replica is not moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MoveError {
    /// With what is added to it, the topic's name would be too long for a directory.
    NameTooLong,
    /// The broker has no such directory.
    UnknownDirectory,
    /// The directory, the one of the log, or any other failed: the copy may stand there already.
    StorageFailed,
    /// There is no such replica here. If one comes, its log is made in the directory that was wanted.
    NotHosted,
}

impl ReplicaManager {
    /// Has logs moved with `mover`. Called once, before the controller's first decision arrives.
    pub fn move_with(&self, mover: Mover) {
        // A second call would change nothing.
        let _ = self.mover.set(mover);
    }

    /// Ends the copying, before the logs are closed.
    pub fn stop_moving(&self) {
        if let Some(mover) = self.mover.get() {
            mover.stop();
        }
    }

    /// Moves the replica of a partition into a directory; a move to another one that is under way ends. Blocks on the
    /// disk.
    pub fn move_log(&self, name: &TopicPartition, directory: &Path) -> Result<(), MoveError> {
        let _one_at_a_time = self.applying.lock().expect("no panic while decisions are applied");
        let moved = self.move_one(name, directory);
        if let Err(error) = &moved {
            warn!(target: TARGET, "Unable to alter log dirs for {name}: {error:?}");
        }
        moved
    }

    fn move_one(&self, name: &TopicPartition, directory: &Path) -> Result<(), MoveError> {
        if !self.logs.can_have_future(name) {
            return Err(MoveError::NameTooLong);
        }
        let directories = self.logs.directories();
        match directories.iter().find(|(path, _)| **path == *directory) {
            None => return Err(MoveError::UnknownDirectory),
            Some((_, online)) if !online => return Err(MoveError::StorageFailed),
            Some(_) => {}
        }
        let Some(partition) = self.find(&name.topic, name.partition) else {
            self.logs.prefer_directory(name, directory).map_err(|_| MoveError::UnknownDirectory)?;
            return Err(MoveError::NotHosted);
        };
        let current = partition.with_state(|state| {
            state.log.as_ref().map(|log| (Arc::clone(log.log_dir()), Arc::clone(log.config())))
        });
        let (current, config) = current.ok_or(MoveError::StorageFailed)?;
        match partition.moves_to() {
            Some(under_way) if *under_way == *directory => return Ok(()),
            Some(under_way) => {
                info!(target: TARGET, "The move of {name} to {} is given up", under_way.display());
                self.drop_future(&partition);
            }
            None => {}
        }
        if *current == *directory {
            return Ok(());
        }
        if directories.iter().any(|(_, online)| !online) {
            return Err(MoveError::StorageFailed);
        }
        let future = self.logs.create_future(name, &config, directory).map_err(|error| {
            error!(target: TARGET, "Cannot create the future log of {name}: {error}");
            if let CreateError::Storage(failure) = &error {
                self.context.storage_failed(failure);
            }
            MoveError::StorageFailed
        })?;
        self.start_move(&partition, future);
        Ok(())
    }

    fn start_move(&self, partition: &Arc<Partition>, future: crate::storage::Log) {
        match partition.start_move(future) {
            None => {
                if let Some(mover) = self.mover.get() {
                    mover.add(Arc::clone(partition));
                }
            }
            Some(future) => self.delete_log(future),
        }
    }

    /// Goes on with a move that a stop of the broker interrupted.
    pub(super) fn resume_move(&self, partition: &Arc<Partition>) {
        let Some(future) = self.logs.claim_future(&partition.name) else { return };
        let current = self.logs.directory_of(&partition.name);
        if current.as_ref() == Some(future.log_dir()) {
            return self.delete_log(future);
        }
        self.start_move(partition, future);
    }

    /// Deletes the copy of a log.
    pub(super) fn drop_future(&self, partition: &Partition) {
        if let Some(future) = partition.take_future() {
            self.delete_log(future);
        }
    }

    /// The log's directory failed: what was copied elsewhere stays there for the next start.
    pub(super) fn leave_future(&self, partition: &Partition, failed: &Path) {
        if let Some(future) = partition.take_future()
            && **future.log_dir() != *failed
        {
            self.logs.give_back(future);
        }
    }

    fn delete_log(&self, log: crate::storage::Log) {
        if let Err(failure) = self.logs.delete(log) {
            self.context.storage_failed(&failure);
        }
    }
}
