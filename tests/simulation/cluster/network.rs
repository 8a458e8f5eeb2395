//! What brokers and clients send each other. Requests and answers get lost, late, and there twice; what was sent to a
//! process that has died since goes with its connection, what it had sent itself still arrives.

use super::disk::Entry;
use super::world::{Event, World};
use bytes::Bytes;
use ottla::common::{BrokerId, ErrorCode, Offset};
use ottla::controller::context::LeaderAndIsr;
use ottla::controller::effect::ControlBody;
use ottla::controller::{ControlRequest, ControlResponse};
use ottla::replication::fetcher::messages::{EpochQuestion, FetchAnswer, FetchQuestion, OffsetQuestion};
use ottla::replication::fetcher::truncation::EpochEnd;
use ottla::replication::replica_manager::WantedIsr;
use std::sync::Arc;

/// The address of all clients.
pub const CLIENTS: BrokerId = -1;

#[derive(Clone)]
pub enum Body {
    Control { token: u64, request: Arc<ControlRequest> },
    Controlled { token: u64, response: Box<ControlResponse> },
    Fetch { exchange: u64, question: FetchQuestion },
    Fetched { exchange: u64, answer: FetchAnswer },
    Epochs { exchange: u64, questions: Vec<EpochQuestion> },
    EpochEnds { exchange: u64, ends: Vec<(EpochQuestion, Option<(ErrorCode, EpochEnd)>)> },
    Offsets { exchange: u64, questions: Vec<OffsetQuestion> },
    Listed { exchange: u64, offsets: Vec<(OffsetQuestion, Option<(ErrorCode, Offset)>)> },
    AlterIsr { token: u64, broker_epoch: i64, wanted: WantedIsr },
    IsrAltered { token: u64, result: Result<LeaderAndIsr, ErrorCode> },
    Produce { partition: i32, all: bool, records: Bytes },
    Consume { partition: i32, epoch: i32, offset: Offset },
    Consumed { partition: i32, offset: Offset, found: Result<Vec<Entry>, ErrorCode> },
}

impl Body {
    fn is_request(&self) -> bool {
        matches!(
            self,
            Body::Control { .. } | Body::Fetch { .. } | Body::Epochs { .. } | Body::AlterIsr { .. }
        )
    }

    /// For people who read the story of a run.
    pub fn words(&self) -> String {
        match self {
            Body::Control { request, .. } => match &request.body {
                ControlBody::LeaderAndIsr(_) => "LeaderAndIsr".to_string(),
                ControlBody::StopReplica(_) => "StopReplica".to_string(),
                ControlBody::UpdateMetadata(_) => "UpdateMetadata".to_string(),
            },
            Body::Controlled { .. } => "answer".to_string(),
            Body::Fetch { question, .. } => {
                let asked = question.session.partitions.iter().map(|(name, position)| {
                    let (epoch, offset) = (position.current_leader_epoch, position.fetch_offset);
                    format!(" {name} at {offset} in epoch {epoch}")
                });
                format!("fetch{}", asked.collect::<String>())
            }
            Body::Fetched { answer, .. } => {
                let told = answer.partitions.iter().map(|partition| {
                    let (name, error, committed) =
                        (&partition.name, partition.error, partition.high_watermark);
                    let (bytes, cut) = (partition.records.len(), partition.diverging);
                    format!(" {name} {error} committed {committed} bytes {bytes} diverging {cut:?}")
                });
                format!("fetched {}{}", answer.error, told.collect::<String>())
            }
            Body::Epochs { .. } => "epochs".to_string(),
            Body::EpochEnds { ends, .. } => {
                let told = ends
                    .iter()
                    .map(|(asked, end)| format!(" {} of {}: {end:?}", asked.leader_epoch, asked.name));
                format!("ends of epochs{}", told.collect::<String>())
            }
            Body::Offsets { .. } => "offsets".to_string(),
            Body::Listed { .. } => "listed".to_string(),
            Body::AlterIsr { wanted, .. } => format!("alter ISR {wanted:?}"),
            Body::IsrAltered { result, .. } => format!("ISR altered {result:?}"),
            Body::Produce { partition, all, .. } => format!("produce {partition} all: {all}"),
            Body::Consume { partition, offset, .. } => format!("consume {partition} at {offset}"),
            Body::Consumed { .. } => "consumed".to_string(),
        }
    }
}

/// Something on its way.
#[derive(Clone)]
pub struct Message {
    pub from: BrokerId,
    pub from_life: u64,
    pub to: BrokerId,
    pub to_life: u64,
    pub body: Body,
}

impl World {
    pub fn life_of(&self, broker: BrokerId) -> u64 {
        usize::try_from(broker).map_or(0, |at| self.slots[at].life)
    }

    pub fn is_cut(&self, from: BrokerId, to: BrokerId) -> bool {
        from != to && self.cut_links.contains(&(from, to))
    }

    pub fn send(&mut self, from: BrokerId, to: BrokerId, body: Body) {
        let message = Message { from, from_life: self.life_of(from), to, to_life: self.life_of(to), body };
        self.send_again(message);
    }

    fn send_again(&mut self, message: Message) {
        if self.is_cut(message.from, message.to) {
            return;
        }
        let is_local = message.from == message.to;
        if !is_local && self.mishap(self.weather.loss) {
            return;
        }
        if !is_local && message.body.is_request() && self.mishap(self.weather.twice) {
            let delay_ms = self.delay_ms();
            self.after(delay_ms, Event::Deliver(message.clone()));
        }
        let delay_ms = if is_local { 1 } else { self.delay_ms() };
        self.after(delay_ms, Event::Deliver(message));
    }

    fn delay_ms(&mut self) -> i64 {
        if self.mishap(self.weather.late) {
            self.rng.within(10..500) as i64
        } else {
            self.rng.within(1..9) as i64
        }
    }

    /// An attempt that was given up, its connection closed. Only what leader epochs order may come all the same.
    fn is_overtaken(&self, message: &Message) -> bool {
        let Body::Control { token, request } = &message.body else { return false };
        let sender = &self.slots[message.from as usize];
        let gone = sender.life != message.from_life
            || sender.broker.as_ref().is_none_or(|sender| !sender.control.is_sending(message.to, *token));
        gone && matches!(request.body, ControlBody::UpdateMetadata(_))
    }

    pub fn deliver(&mut self, message: Message) -> Result<(), String> {
        if self.is_cut(message.from, message.to) {
            return Ok(());
        }
        let Ok(at) = usize::try_from(message.to) else { return self.hear(message.body) };
        let slot = &self.slots[at];
        if slot.broker.is_none() || slot.life != message.to_life {
            return Ok(());
        }
        if slot.paused_until_ms > self.now_ms {
            let wait_ms = slot.paused_until_ms - self.now_ms;
            self.after(wait_ms, Event::Deliver(message));
            return Ok(());
        }
        if self.is_overtaken(&message) {
            return Ok(());
        }
        // Nothing is accepted before the broker is registered.
        if self.broker(at).epoch == 0 {
            self.after(10, Event::Deliver(message));
            return Ok(());
        }
        self.trace(|| format!("{} {} -> {}", message.body.words(), message.from, message.to));
        let (from, from_life) = (message.from, message.from_life);
        match message.body {
            Body::Control { token, request } => self.obey(at, from, token, &request)?,
            Body::Controlled { token, response } => self.controlled(at, from, token, *response)?,
            Body::Fetch { exchange, question } => {
                self.serve_fetch(at, (from, from_life), exchange, question)?
            }
            Body::Fetched { exchange, answer } => self.fetched(at, from, exchange, answer)?,
            Body::Epochs { exchange, questions } => self.serve_epochs(at, from, exchange, questions),
            Body::EpochEnds { exchange, ends } => self.epochs_answered(at, from, exchange, ends),
            Body::Offsets { exchange, questions } => self.serve_offsets(at, from, exchange, questions),
            Body::Listed { exchange, offsets } => self.offsets_answered(at, from, exchange, offsets),
            Body::AlterIsr { token, broker_epoch, wanted } => {
                self.alter_isr(at, from, (token, broker_epoch), wanted)?
            }
            Body::IsrAltered { token, result } => self.isr_altered(at, token, result),
            Body::Produce { partition, all, records } => self.produce(at, partition, all, &records)?,
            Body::Consume { partition, epoch, offset } => self.consume(at, partition, epoch, offset),
            Body::Consumed { .. } => unreachable!("only clients hear this"),
        }
        self.settle(at)
    }
}
