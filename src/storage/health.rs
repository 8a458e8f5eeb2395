//! Whether a log directory works.
//!
//! The first failure is final: every log of the directory refuses everything from that moment on, before anybody
//! hears of it through the broker. A sync that failed once is therefore never tried again: the kernel drops the
//! dirty pages, says so once, and a second sync would succeed without the data. Source: KIP-112; Kafka 2.8.2,
//! `LogDirFailureChannel.scala`.

use super::error::StorageError;
use std::sync::OnceLock;

/// See the module. Shared by a log directory and all logs in it.
#[derive(Debug, Default)]
pub(crate) struct Health {
    failure: OnceLock<StorageError>,
}

impl Health {
    /// Notes a failure; the first one stays.
    pub(crate) fn fail(&self, error: &StorageError) {
        self.failure.get_or_init(|| error.clone());
    }

    /// The failure, if there was one.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        self.failure.get().map_or(Ok(()), |failure| Err(failure.clone()))
    }
}
