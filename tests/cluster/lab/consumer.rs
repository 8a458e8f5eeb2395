//! A consumer that reads while the cluster fails: what it has seen once must stay.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};

use super::TOPIC;
use crate::several::look_up;
use crate::support::client::topic_name;
use crate::support::{Rng, Wire, read_batches};

const PATIENCE: Duration = Duration::from_millis(2500);
const WAIT_MS: i32 = 200;

/// How far a consumer is.
#[derive(Default)]
pub struct Position {
    next: AtomicUsize,
    is_over: AtomicBool,
}

impl Position {
    /// How many records it has seen.
    pub fn seen(&self) -> usize {
        self.next.load(Ordering::SeqCst)
    }

    pub fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

/// Reads a partition from its beginning until the position says that it is over. Record N must say N: neither lost nor
/// twice nor out of order.
pub fn consume(partition: i32, addresses: &[String], mut rng: Rng, position: &Position) {
    let version = rng.pick(&[4, 9, 10]);
    while !position.is_over.load(Ordering::SeqCst) {
        let asked = &addresses[rng.within(0..addresses.len() as u64) as usize];
        if let Some((leader, _)) = look_up([asked], TOPIC, partition)
            && let Ok(wire) = Wire::try_connect_within(&addresses[leader as usize], PATIENCE)
        {
            // An error is the end of this connection.
            let _ = read(wire, version, partition, position);
        }
        // No synchronisation: only not to spin while there is no leader.
        thread::sleep(Duration::from_millis(20));
    }
}

/// Until the broker does not lead any more.
fn read(mut wire: Wire, version: i16, partition: i32, position: &Position) -> io::Result<()> {
    while !position.is_over.load(Ordering::SeqCst) {
        let next = position.next.load(Ordering::SeqCst);
        let asked = FetchPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(-1)
            .with_fetch_offset(next as i64)
            .with_partition_max_bytes(1 << 18);
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(WAIT_MS)
            .with_min_bytes(1)
            .with_max_bytes(1 << 18)
            .with_session_epoch(-1)
            .with_topics(vec![
                FetchTopic::default().with_topic(topic_name(TOPIC)).with_partitions(vec![asked]),
            ]);
        let response = wire.try_call(version, &request)?;
        let found = &response.responses[0].partitions[0];
        if found.error_code != 0 {
            return Ok(());
        }
        let batches = found.records.clone().unwrap_or_default();
        for record in read_batches(batches).into_iter().filter(|record| record.offset >= next as i64) {
            let expected = position.next.load(Ordering::SeqCst);
            assert_eq!(record.offset, expected as i64, "offset consumed from partition {partition}");
            let value = record.value.unwrap_or_default();
            let says = format!("{expected} ");
            assert!(
                value.starts_with(says.as_bytes()),
                "record {expected} of partition {partition}: {value:?}"
            );
            position.next.store(expected + 1, Ordering::SeqCst);
        }
    }
    Ok(())
}
