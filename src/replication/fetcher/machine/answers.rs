//! What an answer means for the logs.

use super::{Entry, FetcherMachine, Phase, TARGET};
use crate::common::{ErrorCode, LeaderEpoch, Offset, TopicPartition};
use crate::replication::fetcher::messages::{
    EpochQuestion, FetchAnswer, Fetched, FetchedPartition, FollowerLog, LogFailure, OffsetQuestion,
};
use crate::replication::fetcher::truncation::{EpochEnd, Remark, Truncation, truncation};
use log::{debug, error, info, warn};

impl<L: FollowerLog> FetcherMachine<L> {
    /// Takes the answer to a fetch in.
    pub fn on_fetched(&mut self, answer: FetchAnswer, now_ms: i64) {
        let was_full = self.session.is_full();
        let names: Vec<_> = answer.partitions.iter().map(|partition| &partition.name).collect();
        if !self.session.answered(answer.error, answer.session_id, names.into_iter()) {
            info!(target: TARGET, "{}The leader was unable to process the {} fetch request: {}", self.settings.ident,
                if was_full { "full" } else { "incremental" }, answer.error.name());
            // Once at once, as the session may just be gone; then not without a pause.
            if std::mem::replace(&mut self.refused, true) {
                self.paused_until_ms = Some(now_ms + self.settings.backoff_ms.max(1));
            }
            return;
        }
        self.refused = false;
        for partition in answer.partitions {
            self.take_partition(partition, now_ms);
        }
    }

    fn take_partition(&mut self, answer: FetchedPartition, now_ms: i64) {
        let name = answer.name;
        let Some(asked) = self.session.known(&name).copied() else { return };
        // It may have been taken away and given back, with another leader epoch, while the request was under way.
        let is_asked_for = |entry: &Entry<L>| {
            entry.is_ready()
                && entry.fetch_offset == asked.fetch_offset
                && entry.leader_epoch == asked.current_leader_epoch
        };
        if !self.entries.get(&name).is_some_and(is_asked_for) {
            return self.unheard.push(name);
        }
        let ident = &self.settings.ident;
        match answer.error {
            ErrorCode::None => match answer.diverging.filter(|_| self.settings.truncates_on_fetch) {
                Some(end) => {
                    self.take_epoch_end(&name, end, now_ms);
                    self.unheard.push(name);
                }
                None => {
                    let fetched = Fetched {
                        fetch_offset: asked.fetch_offset,
                        records: answer.records,
                        high_watermark: answer.high_watermark,
                        log_start_offset: answer.log_start_offset,
                    };
                    self.append(&name, &fetched, now_ms);
                }
            },
            ErrorCode::OffsetOutOfRange => {
                info!(target: TARGET, "{ident}Offset {} of partition {name} is out of range for the leader", asked.fetch_offset);
                self.enter(&name, Phase::AskingEnd);
            }
            error => self.take_error(&name, error, now_ms),
        }
    }

    fn append(&mut self, name: &TopicPartition, fetched: &Fetched, now_ms: i64) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let view = match entry.log.append(entry.leader_epoch, fetched) {
            Ok(view) => view,
            Err(LogFailure::Rejected(why)) => {
                error!(target: TARGET, "{}Error while processing data for partition {name} at offset {}: {why}",
                    self.settings.ident, fetched.fetch_offset);
                if let Ok(view) = entry.log.look(entry.leader_epoch) {
                    entry.take(&view);
                }
                return self.delay(name, self.settings.backoff_ms, now_ms);
            }
            Err(failure) => return self.give_up(name, &failure),
        };
        entry.retries = 0;
        entry.lag = Some((fetched.high_watermark - view.log_end_offset).max(0));
        if view.log_end_offset != entry.fetch_offset {
            self.turns += 1;
            entry.turn = self.turns;
        }
        if entry.take(&view) {
            self.touched.push(name.clone());
        }
    }

    /// What an error means for a partition, whatever was asked.
    fn take_error(&mut self, name: &TopicPartition, error: ErrorCode, now_ms: i64) {
        let Some(entry) = self.entries.get(name) else { return };
        let (ident, epoch) = (&self.settings.ident, entry.leader_epoch);
        match error {
            ErrorCode::FencedLeaderEpoch => {
                info!(target: TARGET, "{ident}Partition {name} has an older epoch ({epoch}) than the current leader. \
                    Will await the new LeaderAndIsr state before resuming fetching.");
                self.remove(name);
                warn!(target: TARGET, "{}Partition {name} marked as failed", self.settings.ident);
            }
            ErrorCode::UnknownLeaderEpoch => {
                debug!(target: TARGET, "{ident}Remote broker has a smaller leader epoch for partition {name} than \
                    this replica's current leader epoch of {epoch}.");
                self.delay_briefly(name, now_ms);
            }
            ErrorCode::NotLeaderOrFollower => {
                debug!(target: TARGET, "{ident}Remote broker is not the leader for partition {name}, which could \
                    indicate that the partition is being moved");
                self.delay_briefly(name, now_ms);
            }
            ErrorCode::UnknownTopicOrPartition => {
                warn!(target: TARGET, "{ident}Received {} from the leader for partition {name}. This error may be \
                    returned transiently when the partition is being created or deleted, but it is not expected to \
                    persist.", error.name());
                self.delay_briefly(name, now_ms);
            }
            _ => {
                error!(target: TARGET, "{ident}Error for partition {name} at offset {}: {}", entry.fetch_offset, error.name());
                self.delay(name, self.settings.backoff_ms, now_ms);
            }
        }
    }

    /// Takes the answer to [`Ask::Epochs`](crate::replication::fetcher::messages::Ask::Epochs) in: what was asked, with error and end; none where the leader was silent.
    pub fn on_epochs(&mut self, answers: Vec<(EpochQuestion, Option<(ErrorCode, EpochEnd)>)>, now_ms: i64) {
        for (asked, answer) in answers {
            let name = &asked.name;
            if !self.still_asks(name, asked.current_leader_epoch, |phase| phase == Phase::Truncating) {
                continue;
            }
            match answer {
                None => self.delay(name, self.settings.backoff_ms, now_ms),
                Some((ErrorCode::None, end)) => self.take_epoch_end(name, end, now_ms),
                Some((error, _)) => self.take_error(name, error, now_ms),
            }
        }
    }

    fn take_epoch_end(&mut self, name: &TopicPartition, end: EpochEnd, now_ms: i64) {
        let Some(entry) = self.entries.get(name) else { return };
        let found = entry.log.look(entry.leader_epoch).and_then(|view| {
            let own = entry.log.end_offset_for_epoch(entry.leader_epoch, end.leader_epoch)?;
            Ok(truncation(end, view.high_watermark, view.log_end_offset, own))
        });
        match found {
            Err(failure) => self.give_up(name, &failure),
            Ok(cut) => {
                self.tell(name, end, &cut);
                self.cut(name, cut.offset, cut.complete, now_ms);
            }
        }
    }

    fn tell(&self, name: &TopicPartition, end: EpochEnd, cut: &Truncation) {
        let (ident, EpochEnd { leader_epoch, end_offset }) = (&self.settings.ident, end);
        let offset = cut.offset;
        match cut.remark {
            None => {}
            Some(Remark::UnknownToLeader) => {
                warn!(target: TARGET, "{ident}Based on replica's leader epoch, leader \
                replied with an unknown offset in {name}. The initial fetch offset {offset} will be used for truncation.")
            }
            Some(Remark::WithoutEpoch) => {
                warn!(target: TARGET, "{ident}Leader or replica is on protocol version where \
                leader epoch is not considered in the OffsetsForLeaderEpoch response. The leader's offset {end_offset} \
                will be used for truncation in {name}.")
            }
            Some(Remark::UnknownToFollower) => {
                info!(target: TARGET, "{ident}Based on replica's leader epoch, leader \
                replied with epoch {leader_epoch} unknown to the replica for {name}. Will truncate to {offset} and send \
                another leader epoch request to the leader.")
            }
            Some(Remark::OlderThanAll) => {
                warn!(target: TARGET, "{ident}Based on replica's leader epoch, leader replied \
                with epoch {leader_epoch} below any replica's tracked epochs for {name}. The leader's offset only \
                {end_offset} will be used for truncation.")
            }
        }
    }

    /// Cuts a log; then it is fetched, or asked about again.
    pub(super) fn cut(&mut self, name: &TopicPartition, offset: Offset, complete: bool, now_ms: i64) {
        let fetches = complete || self.settings.truncates_on_fetch;
        // What is fetched at the same place again gets the same answer.
        let repeats = if fetches { Phase::Fetching } else { Phase::Truncating };
        let Some(entry) = self.entries.get_mut(name) else { return };
        match entry.log.truncate_to(entry.leader_epoch, offset) {
            Ok(view) => {
                let stuck = !entry.take(&view) && entry.phase == repeats;
                self.enter(name, repeats);
                if stuck {
                    self.delay(name, self.settings.backoff_ms, now_ms);
                }
            }
            Err(failure) => self.give_up(name, &failure),
        }
    }

    /// Takes the answer to [`Ask::Offsets`](crate::replication::fetcher::messages::Ask::Offsets) in: what was asked, with error and offset; none where the leader was
    /// silent.
    pub fn on_offsets(&mut self, answers: Vec<(OffsetQuestion, Option<(ErrorCode, Offset)>)>, now_ms: i64) {
        for (asked, answer) in answers {
            let name = &asked.name;
            let is_asked = |phase| match phase {
                Phase::AskingEnd => !asked.earliest,
                Phase::AskingStart { .. } => asked.earliest,
                _ => false,
            };
            if !self.still_asks(name, asked.current_leader_epoch, is_asked) {
                continue;
            }
            match answer {
                Some((ErrorCode::None, offset)) => self.reset(name, offset, now_ms),
                Some((error, _)) => {
                    info!(target: TARGET, "{}Could not fetch offset for {name} due to error: {}", self.settings.ident, error.name());
                    self.enter(name, Phase::Fetching);
                    self.take_error(name, error, now_ms);
                }
                None => {
                    self.enter(name, Phase::Fetching);
                    self.delay(name, self.settings.backoff_ms, now_ms);
                }
            }
        }
    }

    /// The fetch offset was out of range: the leader's log is shorter (an unclean election: what is beyond its end is
    /// lost), or begins later.
    fn reset(&mut self, name: &TopicPartition, offset: Offset, now_ms: i64) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let own_end = match entry.log.look(entry.leader_epoch) {
            Ok(view) => view.log_end_offset,
            Err(failure) => return self.give_up(name, &failure),
        };
        let changed = match entry.phase {
            Phase::AskingEnd if offset < own_end => {
                warn!(target: TARGET, "{}Reset fetch offset for partition {name} from {own_end} to current leader's \
                    latest offset {offset}", self.settings.ident);
                entry.lag = Some(0);
                entry.log.truncate_to(entry.leader_epoch, offset)
            }
            Phase::AskingEnd => return self.enter(name, Phase::AskingStart { leader_end: offset }),
            Phase::AskingStart { leader_end } => {
                warn!(target: TARGET, "{}Reset fetch offset for partition {name} from {own_end} to current leader's \
                    start offset {offset}", self.settings.ident);
                entry.lag = Some((leader_end - own_end.max(offset)).max(0));
                match offset > own_end {
                    true => entry.log.restart_at(entry.leader_epoch, offset),
                    false => entry.log.look(entry.leader_epoch),
                }
            }
            Phase::Truncating | Phase::Fetching => return,
        };
        match changed {
            Ok(view) => {
                let stuck = !entry.take(&view);
                self.enter(name, Phase::Fetching);
                if stuck {
                    // The same question gets the same answer, unless the leader moved meanwhile.
                    self.delay_briefly(name, now_ms);
                }
            }
            Err(failure) => self.give_up(name, &failure),
        }
    }

    fn still_asks(&self, name: &TopicPartition, epoch: LeaderEpoch, phase: impl Fn(Phase) -> bool) -> bool {
        let asks = |entry: &Entry<L>| {
            entry.leader_epoch == epoch && phase(entry.phase) && entry.delayed_until_ms.is_none()
        };
        self.entries.get(name).is_some_and(asks)
    }
}
