//! A processor: reads the next inputs, writes an output for each, commits its position, in transactions.
//!
//! As clients do over one connection, it sends the next request once the one before is answered or given up; what is
//! given up has been carried out by then, or never will be.

use ottla::coordinator::transaction::Producer;
use std::collections::BTreeMap;

/// What it does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Ask for a producer id; with a producer, for its next epoch (KIP-360).
    Init,
    /// Look where the group stands.
    ReadPosition,
    /// Add the outputs' partitions and that of the positions.
    Add,
    /// Write outputs from this input on.
    Produce(i64),
    /// Commit the position.
    CommitPosition,
    /// End the transaction.
    End { commit: bool },
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Processor {
    pub phase: Phase,
    pub producer: Option<Producer>,
    /// Next sequence by partition.
    pub sequences: BTreeMap<usize, i64>,
    /// The next input, and the end of what the open transaction takes.
    pub position: i64,
    pub batch_end: i64,
    /// The reply that it waits for, and for how many more steps.
    pub waiting: Option<(u64, u32)>,
}

impl Processor {
    pub fn new() -> Processor {
        Processor {
            phase: Phase::Init,
            producer: None,
            sequences: BTreeMap::new(),
            position: 0,
            batch_end: 0,
            waiting: None,
        }
    }

    /// Begins anew, as after a restart.
    pub fn restart(&mut self) {
        *self = Processor::new();
    }

    /// Takes its producer id and epoch.
    pub fn initialized(&mut self, producer: Producer) {
        if self.producer != Some(producer) {
            self.sequences.clear();
        }
        self.producer = Some(producer);
        self.phase = Phase::ReadPosition;
    }
}
