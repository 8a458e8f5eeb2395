//! The producer's side of transactions (KIP-98): its identity, the partitions of the transaction that is open,
//! and its end.
//!
//! Invariant: a partition is told to the coordinator before the first batch of a transaction goes to it.

use super::settings::ProducerSettings;
use crate::common::{ErrorCode, ProducerEpoch, ProducerId, clock};
use crate::protocol::ApiRequest;
use crate::protocol::messages::add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnTopic};
use crate::protocol::messages::end_txn::EndTxnRequest;
use crate::protocol::messages::find_coordinator::FindCoordinatorRequest;
use crate::protocol::messages::init_producer_id::InitProducerIdRequest;
use crate::tools::client::{Address, Connection, Network};
use crate::tools::exception::Exception;
use bytestring::ByteString;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// `FindCoordinatorRequest.CoordinatorType.TRANSACTION`
const TRANSACTION: i8 = 1;

/// Who writes: producer id and epoch.
pub type Identity = (ProducerId, ProducerEpoch);

/// Where the transactions of a producer stand.
pub struct Transactions {
    id: ByteString,
    timeout_ms: i32,
    /// How long a call may be tried.
    patience_ms: i64,
    network: Network,
    coordinator: Option<Connection>,
    /// Given by the coordinator; `None` before [`Transactions::init`].
    pub identity: Option<Identity>,
    is_open: bool,
    partitions: BTreeSet<(ByteString, i32)>,
    /// What spoiled the transaction that is open.
    pub failure: Option<Exception>,
}

impl Transactions {
    /// Connects to nobody yet.
    pub fn new(id: ByteString, settings: &ProducerSettings) -> Transactions {
        Transactions {
            id,
            timeout_ms: settings.transaction_timeout_ms,
            patience_ms: settings.max_block_ms,
            network: Network::new(settings.client.clone()),
            coordinator: None,
            identity: None,
            is_open: false,
            partitions: BTreeSet::new(),
            failure: None,
        }
    }

    /// Fences older producers of this id, ends what they left, and gets an identity.
    pub fn init(&mut self) -> Result<(), Exception> {
        let request = InitProducerIdRequest {
            transactional_id: Some(self.id.clone()),
            transaction_timeout_ms: self.timeout_ms,
            ..Default::default()
        };
        let response = self.call("InitProducerId", &request, |response| response.error_code)?;
        self.identity = Some((response.producer_id, response.producer_epoch));
        Ok(())
    }

    /// Opens a transaction.
    pub fn begin(&mut self) -> Result<(), Exception> {
        if self.identity.is_none() {
            return Err(illegal_state("Cannot begin a transaction before initTransactions"));
        }
        if self.is_open {
            return Err(illegal_state("A transaction is open already"));
        }
        self.is_open = true;
        Ok(())
    }

    /// Tells the coordinator of partitions that the transaction did not write to before.
    pub fn add(&mut self, partitions: BTreeSet<(ByteString, i32)>) -> Result<(), Exception> {
        let new: BTreeSet<(ByteString, i32)> = partitions.difference(&self.partitions).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let (producer_id, producer_epoch) = self.identity.unwrap_or((-1, -1));
        let mut topics: BTreeMap<ByteString, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in &new {
            topics.entry(topic.clone()).or_default().push(*partition);
        }
        let topic = |(name, partitions)| AddPartitionsToTxnTopic { name, partitions, ..Default::default() };
        let request = AddPartitionsToTxnRequest {
            transactional_id: self.id.clone(),
            producer_id,
            producer_epoch,
            topics: topics.into_iter().map(topic).collect(),
            ..Default::default()
        };
        self.call("AddPartitionsToTxn", &request, |response| {
            let codes = response.results.iter().flat_map(|topic| &topic.results).map(|row| row.error_code);
            // Partitions that were not tried because of others say so; the others say why.
            let is_reason = |code: &i16| {
                !matches!(ErrorCode::from_code(*code), ErrorCode::None | ErrorCode::OperationNotAttempted)
            };
            codes.clone().find(is_reason).unwrap_or_else(|| codes.max().unwrap_or(0))
        })?;
        self.partitions.extend(new);
        Ok(())
    }

    /// Ends the transaction; everything that belongs to it must have been answered before.
    pub fn end(&mut self, commit: bool) -> Result<(), Exception> {
        if !self.is_open {
            return Err(illegal_state("No transaction is open"));
        }
        if commit && let Some(failure) = &self.failure {
            let message = "Cannot execute transactional method because we are in an error state";
            let class = "org.apache.kafka.common.KafkaException";
            return Err(Exception::new(class, message).caused_by(failure.clone()));
        }
        if !self.partitions.is_empty() {
            let (producer_id, producer_epoch) = self.identity.unwrap_or((-1, -1));
            let request = EndTxnRequest {
                transactional_id: self.id.clone(),
                producer_id,
                producer_epoch,
                committed: commit,
                ..Default::default()
            };
            self.call("EndTxn", &request, |response| response.error_code)?;
        }
        self.partitions.clear();
        self.failure = None;
        self.is_open = false;
        Ok(())
    }

    /// Asks the coordinator until it answers without an error that may pass.
    fn call<R: ApiRequest>(
        &mut self,
        name: &str,
        request: &R,
        error_of: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response, Exception> {
        let deadline_ms = clock::monotonic_ms() + self.patience_ms;
        let timeout_ms = self.network.settings().request_timeout_ms;
        let backoff = Duration::from_millis(self.network.settings().retry_backoff_ms.max(1) as u64);
        loop {
            if self.coordinator.is_none() {
                self.coordinator = self.find_coordinator(deadline_ms)?;
            }
            match self.coordinator.as_mut().map(|connection| connection.call(request, timeout_ms)) {
                Some(Ok(response)) => match ErrorCode::from_code(error_of(&response)) {
                    ErrorCode::None => return Ok(response),
                    ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => self.coordinator = None,
                    ErrorCode::CoordinatorLoadInProgress
                    | ErrorCode::ConcurrentTransactions
                    | ErrorCode::UnknownTopicOrPartition => {}
                    code => return Err(Exception::of_error(code, None)),
                },
                Some(Err(_)) => self.coordinator = None,
                None => {}
            }
            if clock::monotonic_ms() >= deadline_ms {
                let patience_ms = self.patience_ms;
                return Err(Exception::timeout(format!(
                    "Timeout expired after {patience_ms}milliseconds while awaiting {name}"
                )));
            }
            std::thread::sleep(backoff);
        }
    }

    fn find_coordinator(&mut self, deadline_ms: i64) -> Result<Option<Connection>, Exception> {
        let request =
            FindCoordinatorRequest { key: self.id.clone(), key_type: TRANSACTION, ..Default::default() };
        let (timeout_ms, client_id) =
            (self.network.settings().request_timeout_ms, self.network.settings().client_id.clone());
        let Some((id, connection)) = self.network.any(deadline_ms) else { return Ok(None) };
        let Ok(response) = connection.call(&request, timeout_ms) else {
            self.network.disconnect(id);
            return Ok(None);
        };
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {
                let port = u16::try_from(response.port).unwrap_or(0);
                let address = Address { host: response.host.to_string(), port };
                Ok(Connection::open(&address, &client_id, timeout_ms).ok())
            }
            code @ ErrorCode::TransactionalIdAuthorizationFailed => Err(Exception::of_error(code, None)),
            _ => Ok(None),
        }
    }
}

fn illegal_state(message: &str) -> Exception {
    Exception::new("java.lang.IllegalStateException", message)
}
