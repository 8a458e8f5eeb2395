//! Who shall lead: pure functions of assignment, ISR and liveness.
//!
//! Source: `Election.scala` and `PartitionLeaderElectionAlgorithms` in `PartitionStateMachine.scala`.

use super::context::{BrokerIds, Context, LeaderAndIsr};
use crate::common::{BrokerId, TopicPartition};

/// Why a leader is wanted, which decides who may become it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Election {
    /// The leader is gone: the first live replica of the ISR. If none lives, and unclean election is
    /// allowed (here, or by the topic's `unclean.leader.election.enable`), the first live replica.
    Offline {
        /// Unclean election without asking the topic's configuration.
        allow_unclean: bool,
    },
    /// The first replica of the reassignment's target that lives and is in the ISR.
    Reassign,
    /// The first replica of the assignment, if it lives and is in the ISR.
    Preferred,
    /// The first replica of the ISR that lives and is not shutting down; those that are leave the ISR.
    ControlledShutdown,
}

/// A successful election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elected {
    /// The new leader.
    pub leader: BrokerId,
    /// The new ISR. It holds the leader.
    pub isr: BrokerIds,
    /// Who is told.
    pub recipients: BrokerIds,
}

/// Elects a leader for `tp` or finds nobody eligible. `unclean` is the topic's
/// `unclean.leader.election.enable`, asked for only by [`Election::Offline`].
pub fn elect(
    context: &Context,
    tp: &TopicPartition,
    current: &LeaderAndIsr,
    election: Election,
    unclean: bool,
) -> Option<Elected> {
    let assignment = &context.partition(tp)?.assignment;
    let online = |id: &BrokerId| context.is_replica_online(tp, *id);
    let in_sync = |id: &BrokerId| current.isr.contains(id);
    let elected = match election {
        Election::Offline { allow_unclean } => {
            let live: BrokerIds = assignment.replicas.iter().copied().filter(online).collect();
            let clean = live.iter().copied().find(in_sync);
            let leader = clean.or_else(|| live.first().copied().filter(|_| unclean || allow_unclean))?;
            let isr = match clean {
                Some(_) => current.isr.iter().copied().filter(online).collect(),
                None => BrokerIds::from_slice(&[leader]),
            };
            Elected { leader, isr, recipients: live }
        }
        Election::Reassign => {
            let target = assignment.target();
            let leader = target.iter().copied().find(|id| online(id) && in_sync(id))?;
            Elected { leader, isr: current.isr.clone(), recipients: target }
        }
        Election::Preferred => {
            let leader = assignment.replicas.first().copied().filter(|id| online(id) && in_sync(id))?;
            Elected { leader, isr: current.isr.clone(), recipients: assignment.replicas.clone() }
        }
        Election::ControlledShutdown => {
            let reachable: BrokerIds = assignment
                .replicas
                .iter()
                .copied()
                .filter(|id| context.is_replica_reachable(tp, *id))
                .collect();
            let stays = |id: &BrokerId| !context.is_shutting_down(*id);
            let leader = reachable.iter().copied().find(|id| in_sync(id) && stays(id))?;
            let isr = current.isr.iter().copied().filter(stays).collect();
            Elected { leader, isr, recipients: reachable }
        }
    };
    assert!(elected.isr.contains(&elected.leader), "{tp}: elected leader outside the ISR");
    Some(elected)
}

/// True if some replica of the ISR could lead, so that the topic's configuration need not be asked.
pub fn has_live_in_sync_replica(context: &Context, tp: &TopicPartition, current: &LeaderAndIsr) -> bool {
    current.isr.iter().any(|id| context.is_replica_online(tp, *id))
}

/// ISR and leader without `broker`: the last member stays, a leader that leaves is replaced by none.
/// `None` if it is not in the ISR. Source: `ReplicaStateMachine.doRemoveReplicasFromIsr`.
pub fn without_replica(current: &LeaderAndIsr, broker: BrokerId) -> Option<(BrokerId, BrokerIds)> {
    if !current.isr.contains(&broker) {
        return None;
    }
    let leader = if current.leader == broker { crate::common::ids::NO_LEADER } else { current.leader };
    let isr = if current.isr.len() == 1 {
        current.isr.clone()
    } else {
        current.isr.iter().copied().filter(|id| *id != broker).collect()
    };
    Some((leader, isr))
}
