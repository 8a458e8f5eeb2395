//! What a pass did, in the words of Kafka's `log-cleaner.log`.

use super::pass::Cleaned;
use crate::common::Offset;
use crate::record::batch::BatchInfo;
use std::fmt::Write;

/// Counts of one pass.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stats {
    began_ms: i64,
    indexed_ms: i64,
    ended_ms: i64,
    map_bytes: u64,
    map_records: u64,
    bytes: (u64, u64),
    records: (u64, u64),
    invalid_records: u64,
    utilization: f64,
}

impl Stats {
    pub(super) fn new(now_ms: i64) -> Stats {
        Stats { began_ms: now_ms, indexed_ms: now_ms, ended_ms: now_ms, ..Stats::default() }
    }

    pub(super) fn indexed(&mut self, bytes: u64, records: u64) {
        self.map_bytes += bytes;
        self.map_records += records;
    }

    pub(super) fn index_done(&mut self, now_ms: i64, utilization: f64) {
        self.indexed_ms = now_ms;
        self.utilization = utilization;
    }

    /// A batch went through; `written` bytes of it stay.
    pub(super) fn cleaned(&mut self, info: &BatchInfo, cleaned: &Cleaned, written: usize) {
        self.bytes.0 += info.size_bytes as u64;
        self.bytes.1 += written as u64;
        self.records.0 += u64::from(cleaned.records.0);
        self.records.1 += u64::from(cleaned.records.1);
        self.invalid_records += u64::from(cleaned.invalid);
    }

    pub(super) fn all_done(&mut self, now_ms: i64) {
        self.ended_ms = now_ms;
    }

    pub(super) fn invalid_records(&self) -> u64 {
        self.invalid_records
    }

    /// Kafka's lines for thread number `id`.
    pub(super) fn text(&self, id: usize, log: &str, from: Offset, to: Offset) -> String {
        let mb = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
        // At least a millisecond: rates of a tiny log are not infinite.
        let seconds = |ms: i64| ms.max(1) as f64 / 1000.0;
        let whole = seconds(self.ended_ms - self.began_ms);
        let index = seconds(self.indexed_ms - self.began_ms);
        let clean = seconds(self.ended_ms - self.indexed_ms);
        let (read, written) = (mb(self.bytes.0), mb(self.bytes.1));
        let less = |after: u64, before: u64| 100.0 * (1.0 - after as f64 / before.max(1) as f64);
        let mut text =
            format!("\n\tLog cleaner thread {id} cleaned log {log} (dirty section = [{from}, {to}])\n");
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\t{read:.1} MB of log processed in {whole:.1} seconds ({:.1} MB/sec).\n\
             \tIndexed {:.1} MB in {index:.1} seconds ({:.1} Mb/sec, {:.1}% of total time)\n\
             \tBuffer utilization: {:.1}%\n\
             \tCleaned {read:.1} MB in {clean:.1} seconds ({:.1} Mb/sec, {:.1}% of total time)\n\
             \tStart size: {read:.1} MB ({} messages)\n\
             \tEnd size: {written:.1} MB ({} messages)\n\
             \t{:.1}% size reduction ({:.1}% fewer messages)\n",
            read / whole,
            mb(self.map_bytes),
            mb(self.map_bytes) / index,
            100.0 * index / whole,
            100.0 * self.utilization,
            read / clean,
            100.0 * clean / whole,
            self.records.0,
            self.records.1,
            less(self.bytes.1, self.bytes.0),
            less(self.records.1, self.records.0),
        );
        text
    }
}
