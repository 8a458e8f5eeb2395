//! How the ISRs that leaders want are written: by themselves, or by the controller (KIP-497).

use super::bug::Bug;
use super::ensemble::at_once;
use super::network::Body;
use super::setup::{TOPIC, name};
use super::world::{Inner, World};
use ottla::common::{BrokerId, ErrorCode, TopicPartition};
use ottla::controller::context::LeaderAndIsr;
use ottla::replication::partition_machine::{IsrChange, IsrState};
use ottla::replication::replica_manager::WantedIsr;
use ottla::zk::data::{PartitionState, isr_change};
use ottla::zk::{ANY_VERSION, ZkError, notifications, paths};

const RETRY_MS: i64 = 50;
const ANSWER_MS: i64 = 250;

/// A change of an ISR, from the wish to the outcome.
pub enum IsrStep {
    Write(WantedIsr),
    /// The ISR as it stands now in the same leader epoch, or a refusal.
    Outcome(WantedIsr, Option<IsrState>),
    /// The controller is to hear of it.
    Tell(TopicPartition),
    /// Ask the controller.
    Ask(WantedIsr),
    /// It did not answer.
    Unanswered(u64),
}

/// What is known of a change.
enum Found {
    Changed(Option<IsrState>),
    Unknown,
}

impl World {
    /// Followers that lag leave the ISR.
    pub fn look_at_isr(&mut self, at: usize) {
        for partition in self.setup.partitions() {
            if let Some(hosted) = self.broker(at).partition(partition) {
                hosted.shrink_isr();
            }
        }
        let every_ms = self.setup.replica_lag_ms / 2;
        self.later(at, every_ms, Inner::LookAtIsr);
    }

    pub fn take_wanted_isrs(&mut self, at: usize) {
        while let Ok(wanted) = self.broker(at).wanted.try_recv() {
            let WantedIsr { name, change } = &wanted;
            let members = change.in_sync_replicas.clone();
            self.trace(|| format!("broker {at} wants ISR {members:?} for {name}"));
            let partition =
                self.broker(at).replicas.find(&name.topic, name.partition).expect("it wants this");
            let old = partition.with_state(|state| state.machine.in_sync_replicas().to_vec());
            let grows = change.in_sync_replicas.len() > old.len();
            let stand = |isr| IsrState { in_sync_replicas: isr, zk_version: change.zk_version };
            match self.setup.bug {
                Some(Bug::IsrNeverGrows) if grows => continue,
                Some(Bug::AcksFromOldIsr) if grows => partition.isr_is(change, stand(old)),
                Some(Bug::AcksFromNewIsr) if !grows => {
                    partition.isr_is(change, stand(change.in_sync_replicas.clone()))
                }
                _ => {}
            }
            let after_ms = self.rng.within(1..30) as i64;
            let step = match self.setup.asks_controller() {
                true => IsrStep::Ask(wanted),
                false => IsrStep::Write(wanted),
            };
            self.later(at, after_ms, Inner::Isr(step));
        }
    }

    pub fn isr_step(&mut self, at: usize, step: IsrStep) -> Result<(), String> {
        match step {
            IsrStep::Write(wanted) => self.write_isr(at, wanted),
            IsrStep::Outcome(wanted, written) => {
                let WantedIsr { name, change } = wanted;
                let Some(partition) = self.broker(at).replicas.find(&name.topic, name.partition) else {
                    return Ok(());
                };
                match written {
                    Some(state) => partition.isr_is(&change, state),
                    None => partition.isr_refused(&change, "the controller has decided"),
                }
            }
            IsrStep::Tell(name) => {
                let zk = self.broker(at).zk.clone();
                let told =
                    at_once(notifications::notify(&zk, &paths::isr_change(), isr_change::encode([&name])));
                if told.is_none_or(|told| told.is_err()) {
                    self.later(at, RETRY_MS, Inner::Isr(IsrStep::Tell(name)));
                }
            }
            IsrStep::Ask(wanted) => self.ask_controller(at, wanted),
            IsrStep::Unanswered(token) => {
                let lost = self.has(Bug::IsrOutcomeLost);
                if let Some(wanted) = self.broker(at).asked_isr.remove(&token)
                    && !lost
                {
                    self.ask_controller(at, wanted);
                }
            }
        }
        Ok(())
    }

    /// As `replication::isr_writer` does it: again until the outcome is known.
    fn write_isr(&mut self, at: usize, wanted: WantedIsr) {
        let WantedIsr { name, change } = &wanted;
        let path = paths::partition_state(&name.topic, name.partition);
        let state = PartitionState {
            controller_epoch: change.controller_epoch,
            leader: change.leader,
            leader_epoch: change.leader_epoch,
            isr: change.in_sync_replicas.clone(),
        };
        let unconditional = self.has(Bug::IsrWrittenUnconditionally);
        let version = if unconditional { ANY_VERSION } else { change.zk_version };
        let zk = self.broker(at).zk.clone();
        let outcome = match at_once(zk.set(&path, state.encode(), version)) {
            Some(Ok(stat)) => {
                let isr = change.in_sync_replicas.clone();
                Found::Changed(Some(IsrState { in_sync_replicas: isr, zk_version: stat.version }))
            }
            Some(Err(ZkError::NoNode { .. })) => Found::Changed(None),
            Some(Err(ZkError::BadVersion { .. })) => self.look(at, &wanted),
            _ => Found::Unknown,
        };
        match outcome {
            Found::Changed(outcome) => self.isr_is_known(at, wanted, outcome),
            Found::Unknown if self.has(Bug::IsrOutcomeLost) => {}
            Found::Unknown => self.later(at, RETRY_MS, Inner::Isr(IsrStep::Write(wanted))),
        }
    }

    /// What stands in ZooKeeper instead: an earlier attempt's, another ISR of the same leader, or somebody else's word.
    fn look(&mut self, at: usize, wanted: &WantedIsr) -> Found {
        let WantedIsr { name, change } = wanted;
        let zk = self.broker(at).zk.clone();
        let path = paths::partition_state(&name.topic, name.partition);
        let Some(Ok(found)) = at_once(zk.get(&path)) else { return Found::Unknown };
        let Some((data, stat)) = found else { return Found::Changed(None) };
        if stat.version == change.zk_version {
            return Found::Unknown;
        }
        let state = PartitionState::decode(&data).expect("well formed");
        let same = (state.leader, state.leader_epoch) == (change.leader, change.leader_epoch);
        Found::Changed(same.then_some(IsrState { in_sync_replicas: state.isr, zk_version: stat.version }))
    }

    fn isr_is_known(&mut self, at: usize, wanted: WantedIsr, outcome: Option<IsrState>) {
        let after_ms = self.rng.within(0..20) as i64;
        if outcome.is_some() && !self.setup.asks_controller() {
            let name = wanted.name.clone();
            self.later(at, after_ms + 3, Inner::Isr(IsrStep::Tell(name)));
        }
        self.later(at, after_ms, Inner::Isr(IsrStep::Outcome(wanted, outcome)));
    }

    fn ask_controller(&mut self, at: usize, wanted: WantedIsr) {
        let token = self.token();
        let broker = self.broker(at);
        let (controller, broker_epoch) = (broker.metadata.current().controller_id, broker.epoch);
        broker.asked_isr.insert(token, wanted.clone());
        self.later(at, ANSWER_MS, Inner::Isr(IsrStep::Unanswered(token)));
        if let Some(controller) = controller {
            self.send(at as BrokerId, controller, Body::AlterIsr { token, broker_epoch, wanted });
        }
    }

    pub fn isr_altered(&mut self, at: usize, token: u64, result: Result<LeaderAndIsr, ErrorCode>) {
        let Some(wanted) = self.broker(at).asked_isr.remove(&token) else { return };
        let same = |state: &LeaderAndIsr| {
            (state.leader, state.leader_epoch) == (wanted.change.leader, wanted.change.leader_epoch)
        };
        let outcome = match result.ok().filter(same) {
            Some(state) => {
                let isr = state.isr.into_vec();
                Found::Changed(Some(IsrState { in_sync_replicas: isr, zk_version: state.zk_version }))
            }
            None => self.look(at, &wanted),
        };
        match outcome {
            Found::Changed(outcome) => self.isr_is_known(at, wanted, outcome),
            Found::Unknown => self.later(at, RETRY_MS, Inner::Isr(IsrStep::Ask(wanted))),
        }
    }

    /// The planted bug: whoever fetches is in sync.
    pub fn grow_isr(&mut self, at: usize, id: BrokerId, partition: i32) -> Result<(), String> {
        let Some((state, version)) = self.ensemble.state(TOPIC, partition) else { return Ok(()) };
        if state.leader != at as BrokerId || state.isr.contains(&id) {
            return Ok(());
        }
        let change = IsrChange {
            in_sync_replicas: [&state.isr[..], &[id]].concat(),
            leader: state.leader,
            leader_epoch: state.leader_epoch,
            controller_epoch: state.controller_epoch,
            zk_version: version,
        };
        self.write_isr(at, WantedIsr { name: name(partition), change });
        Ok(())
    }
}
