//! A producer as Kafka's `KafkaProducer` behaves seen from outside: records gather in batches per
//! partition, one thread sends them to the leaders and tells each record how it ended.

mod accumulator;
mod meter;
mod murmur2;
mod sender;
pub mod settings;
mod transactions;

pub use settings::{Partitioner, ProducerSettings};

use super::exception::Exception;
use super::metrics::Metrics;
use crate::common::{ErrorCode, Offset, clock, random};
use accumulator::{Accumulator, PendingRecord};
use bytes::Bytes;
use bytestring::ByteString;
use meter::Meter;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use transactions::Transactions;

/// A record to be sent.
#[derive(Clone, Debug, Default)]
pub struct ProducerRecord {
    /// Topic.
    pub topic: ByteString,
    /// Partition; `None`: by key, or the one that sticks.
    pub partition: Option<i32>,
    /// Key.
    pub key: Option<Bytes>,
    /// Value.
    pub value: Option<Bytes>,
    /// Milliseconds since 1970; `None`: now.
    pub timestamp_ms: Option<i64>,
}

/// Where a record came to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordPlace {
    /// Partition.
    pub partition: i32,
    /// Offset, or -1 with `acks=0`.
    pub offset: Offset,
}

/// Called once per record, from the sending thread or from [`Producer::send`] itself.
pub type Callback = Box<dyn FnOnce(Result<RecordPlace, Exception>) + Send>;

/// Leaders of the partitions of a topic, by partition number; `None`: no leader.
type Leaders = Vec<Option<i32>>;

/// What is known of a topic.
enum TopicState {
    /// Asked for.
    Wanted,
    Known(Leaders),
    /// Asking again will not help.
    Invalid(Exception),
}

struct State {
    topics: HashMap<ByteString, TopicState>,
    accumulator: Accumulator,
    /// By topic: the partition of records without a key.
    sticky: HashMap<ByteString, i32>,
    /// By topic: whose turn it is.
    turns: HashMap<ByteString, u64>,
    is_closing: bool,
    /// True while somebody waits for everything to be answered.
    is_flushing: bool,
    /// True while batches are with the sending thread.
    is_sending: bool,
}

struct Shared {
    settings: ProducerSettings,
    state: Mutex<State>,
    changed: Condvar,
    /// With a `transactional.id`. Locked after `state`, if both are.
    transactions: Option<Mutex<Transactions>>,
    meter: Mutex<Meter>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meter(&self) -> MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn transactions(&self) -> Option<MutexGuard<'_, Transactions>> {
        self.transactions.as_ref().map(|all| all.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A running producer.
pub struct Producer {
    shared: Arc<Shared>,
    sender: Mutex<Option<JoinHandle<()>>>,
}

impl Producer {
    /// Starts the sending thread; connects to nobody yet.
    pub fn start(settings: ProducerSettings) -> Producer {
        let state = State {
            topics: HashMap::new(),
            accumulator: Accumulator::new(settings.batch_size, settings.linger_ms),
            sticky: HashMap::new(),
            turns: HashMap::new(),
            is_closing: false,
            is_flushing: false,
            is_sending: false,
        };
        let id = settings.transactional_id.clone();
        let transactions = id.map(|id| Mutex::new(Transactions::new(id, &settings)));
        let shared = Arc::new(Shared {
            settings,
            state: Mutex::new(state),
            changed: Condvar::new(),
            transactions,
            meter: Mutex::new(Meter::new()),
        });
        let for_sender = shared.clone();
        let sender = std::thread::spawn(move || sender::run(&for_sender));
        Producer { shared, sender: Mutex::new(Some(sender)) }
    }

    /// Puts a record into the batch of its partition; waits up to `max.block.ms` for metadata and room. How it
    /// ends is told to `callback`.
    pub fn send(&self, record: ProducerRecord, callback: Callback) {
        if let Err((exception, callback)) = self.try_send(record, callback) {
            callback(Err(exception));
        }
    }

    fn try_send(&self, record: ProducerRecord, callback: Callback) -> Result<(), (Exception, Callback)> {
        let settings = &self.shared.settings;
        let size = accumulator::size_upper_bound(record.key.as_deref(), record.value.as_deref());
        let serialized = size + accumulator::BATCH_OVERHEAD;
        let limits = [
            (settings.max_request_size, "the value of the max.request.size configuration"),
            (
                settings.buffer_memory,
                "the total memory buffer you have configured with the buffer.memory configuration",
            ),
        ];
        for (limit, name) in limits {
            if serialized as i64 > limit {
                let text = if name.starts_with("the value") {
                    format!(
                        "The message is {serialized} bytes when serialized which is larger than {limit}, which is {name}."
                    )
                } else {
                    format!("The message is {serialized} bytes when serialized which is larger than {name}.")
                };
                return Err((Exception::api("RecordTooLargeException", text), callback));
            }
        }
        let deadline_ms = clock::monotonic_ms() + settings.max_block_ms;
        let mut state = match self.wait_for_topic(&record.topic, deadline_ms) {
            Ok(state) => state,
            Err(exception) => return Err((exception, callback)),
        };
        while state.accumulator.bytes() + size as i64 > settings.buffer_memory {
            let text = format!(
                "Failed to allocate memory within the configured max blocking time {} ms.",
                settings.max_block_ms
            );
            match self.wait(state, deadline_ms) {
                Some(again) => state = again,
                None => return Err((Exception::api("BufferExhaustedException", text), callback)),
            }
        }
        let partition = match state.partition_of(&record, size, settings.partitioner) {
            Ok(partition) => partition,
            Err(exception) => return Err((exception, callback)),
        };
        let pending = PendingRecord {
            timestamp_ms: record.timestamp_ms.unwrap_or_else(clock::now_ms),
            key: record.key,
            value: record.value,
            size,
            callback,
        };
        state.accumulator.append(&record.topic, partition, pending);
        self.shared.changed.notify_all();
        Ok(())
    }

    /// The state once the topic's partitions are known.
    fn wait_for_topic(
        &self,
        topic: &ByteString,
        deadline_ms: i64,
    ) -> Result<MutexGuard<'_, State>, Exception> {
        let mut state = self.shared.lock();
        loop {
            match state.topics.get(topic) {
                Some(TopicState::Known(leaders)) if !leaders.is_empty() => return Ok(state),
                Some(TopicState::Invalid(exception)) => {
                    let first = exception.clone();
                    // Kafka says it in full once.
                    if first.is(ErrorCode::InvalidTopicException) {
                        let again = Exception::of_error(ErrorCode::InvalidTopicException, Some(topic));
                        state.topics.insert(topic.clone(), TopicState::Invalid(again));
                    }
                    return Err(first);
                }
                Some(_) => {}
                None => {
                    state.topics.insert(topic.clone(), TopicState::Wanted);
                    self.shared.changed.notify_all();
                }
            }
            state = self.wait(state, deadline_ms).ok_or_else(|| {
                let waited = self.shared.settings.max_block_ms;
                Exception::timeout(format!("Topic {topic} not present in metadata after {waited} ms."))
            })?;
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, deadline_ms: i64) -> Option<MutexGuard<'a, State>> {
        let left = deadline_ms - clock::monotonic_ms();
        if left <= 0 {
            return None;
        }
        let waited = self.shared.changed.wait_timeout(state, Duration::from_millis(left as u64));
        Some(waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// True if nothing can be sent outside of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.shared.settings.transactional_id.is_some()
    }

    /// What the producer measured.
    pub fn metrics(&self) -> Metrics {
        let settings = &self.shared.settings;
        let free = settings.buffer_memory - self.shared.lock().accumulator.bytes();
        self.shared.meter().table(&settings.client.client_id, (free, settings.buffer_memory))
    }

    /// Waits until everything that was sent is answered.
    pub fn flush(&self) {
        let mut state = self.shared.lock();
        state.is_flushing = true;
        self.shared.changed.notify_all();
        while !state.accumulator.is_empty() || state.is_sending {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_flushing = false;
    }

    fn with_transactions<T>(
        &self,
        act: impl FnOnce(&mut Transactions) -> Result<T, Exception>,
    ) -> Result<T, Exception> {
        match self.shared.transactions() {
            Some(mut transactions) => act(&mut transactions),
            None => Err(Exception::new(
                "java.lang.IllegalStateException",
                "Cannot use transactional methods without enabling transactions by setting the transactional.id \
                 configuration property",
            )),
        }
    }

    /// Fences older producers of the same `transactional.id`. To be called once, before the first transaction.
    pub fn init_transactions(&self) -> Result<(), Exception> {
        self.with_transactions(Transactions::init)
    }

    /// Opens a transaction.
    pub fn begin_transaction(&self) -> Result<(), Exception> {
        self.with_transactions(Transactions::begin)
    }

    /// Sends what waits, and commits. Fails if a record of the transaction failed.
    pub fn commit_transaction(&self) -> Result<(), Exception> {
        self.flush();
        self.with_transactions(|transactions| transactions.end(true))
    }

    /// Sends what waits, and ends. Later calls do nothing.
    pub fn close(&self) {
        self.shared.lock().is_closing = true;
        self.shared.changed.notify_all();
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // A sender that panicked has said so.
            let _ = sender.join();
        }
    }
}

impl State {
    /// The given partition, else as the partitioner says.
    fn partition_of(
        &mut self,
        record: &ProducerRecord,
        size: usize,
        partitioner: Partitioner,
    ) -> Result<i32, Exception> {
        let Some(TopicState::Known(leaders)) = self.topics.get(&record.topic) else {
            return Err(Exception::timeout(format!("Topic {} not present in metadata.", record.topic)));
        };
        let count = leaders.len() as i32;
        if let Some(partition) = record.partition {
            if (0..count).contains(&partition) {
                return Ok(partition);
            }
            return Err(Exception::new(
                "org.apache.kafka.common.KafkaException",
                format!(
                    "Invalid partition given with record: {partition} is not in the range [0...{count})."
                ),
            ));
        }
        if partitioner == Partitioner::RoundRobin {
            return Ok(self.next_in_turn(&record.topic));
        }
        if let (Some(key), Partitioner::Default) = (&record.key, partitioner) {
            return Ok((murmur2::murmur2(key) & 0x7fff_ffff) % count);
        }
        if let Some(partition) = self.sticky.get(&record.topic)
            && *partition < count
            && self.accumulator.has_room(&record.topic, *partition, size)
        {
            return Ok(*partition);
        }
        let previous = self.sticky.get(&record.topic).copied();
        let led: Vec<i32> = (0..count).filter(|partition| leaders[*partition as usize].is_some()).collect();
        let mut choice = if led.is_empty() { (0..count).collect() } else { led };
        if choice.len() > 1 {
            choice.retain(|partition| Some(*partition) != previous);
        }
        let partition = choice[random::below(choice.len() as u64) as usize];
        self.sticky.insert(record.topic.clone(), partition);
        Ok(partition)
    }
    /// The partition after the last one, among those with a leader if there are any.
    fn next_in_turn(&mut self, topic: &ByteString) -> i32 {
        let turn = self.turns.entry(topic.clone()).or_insert(random::below(1 << 31));
        let now = *turn;
        *turn = turn.wrapping_add(1);
        let Some(TopicState::Known(leaders)) = self.topics.get(topic) else { return 0 };
        let led: Vec<usize> = (0..leaders.len()).filter(|partition| leaders[*partition].is_some()).collect();
        let choice = if led.is_empty() { (0..leaders.len()).collect() } else { led };
        choice[now as usize % choice.len()] as i32
    }
}
