//! Heartbeat, LeaveGroup, the end of sessions, and how a member goes.

use super::machine::{Group, LOG, State};
use super::step::Step;
use crate::common::ErrorCode;
use bytestring::ByteString;
use log::info;

/// Whom a request claims to come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberRef {
    /// The member's id; may be empty where the instance id tells.
    pub member_id: ByteString,
    /// Of a static member.
    pub instance_id: Option<ByteString>,
}

impl Group {
    /// The member is alive. The code tells it whether it has to join again.
    pub(super) fn heartbeat(
        &mut self,
        member: &MemberRef,
        generation: i32,
        step: &Step<'_>,
    ) -> Result<(), ErrorCode> {
        self.check_member(member, generation)?;
        match self.state {
            State::Empty => Err(ErrorCode::UnknownMemberId),
            State::PreparingRebalance => {
                self.renew_session(&member.member_id, step);
                Err(ErrorCode::RebalanceInProgress)
            }
            State::CompletingRebalance | State::Stable => {
                self.renew_session(&member.member_id, step);
                Ok(())
            }
        }
    }

    /// The checks of everything that only a current member may do.
    pub(super) fn check_member(&self, member: &MemberRef, generation: i32) -> Result<(), ErrorCode> {
        self.check_instance(&member.member_id, member.instance_id.as_ref())?;
        if !self.members.contains_key(&member.member_id) {
            return Err(ErrorCode::UnknownMemberId);
        }
        if generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        Ok(())
    }

    /// One member leaves.
    pub(super) fn leave(&mut self, member: &MemberRef, step: &mut Step<'_>) -> Result<(), ErrorCode> {
        let id = &member.member_id;
        if !id.is_empty() {
            self.check_instance(id, member.instance_id.as_ref())?;
        }
        if self.pending_members.contains_key(id) {
            if member.instance_id.is_some() {
                return Err(ErrorCode::UnknownMemberId);
            }
            self.pending_members.remove(id);
            if self.state == State::PreparingRebalance {
                self.try_complete_join(step);
            }
            return Ok(());
        }
        let by_instance = member.instance_id.as_ref().and_then(|instance| self.static_members.get(instance));
        let found = by_instance.or_else(|| self.members.get_key_value(id).map(|(id, _)| id)).cloned();
        let id = found.ok_or(ErrorCode::UnknownMemberId)?;
        info!(target: LOG, "Member[group.instance.id {:?}, member.id {id}] in group {} has left, removing it from the group",
            member.instance_id, self.name.id);
        self.remove_and_rebalance(&id, &format!("removing member {id} on LeaveGroup"), step);
        Ok(())
    }

    /// Removes members whose session is over.
    pub(super) fn expire_sessions(&mut self, step: &mut Step<'_>) {
        let now_ms = step.now.monotonic_ms;
        let due = self.members.iter().filter(|(_, m)| m.expires_ms.is_some_and(|at_ms| at_ms <= now_ms));
        let due: Vec<ByteString> = due.map(|(id, _)| id.clone()).collect();
        for id in due {
            // One who waits is alive; its session begins again when it is answered. A new one could wait for ever.
            if let Some(member) = self.members.get_mut(&id)
                && member.is_waiting()
                && !member.is_new
            {
                member.expires_ms = None;
                continue;
            }
            if self.members.contains_key(&id) {
                info!(target: LOG, "Member {id} in group {} has failed, removing it from the group", self.name.id);
                self.remove_and_rebalance(
                    &id,
                    &format!("removing member {id} on heartbeat expiration"),
                    step,
                );
            }
        }
    }

    fn remove_and_rebalance(&mut self, id: &ByteString, reason: &str, step: &mut Step<'_>) {
        self.remove(id, ErrorCode::UnknownMemberId, step);
        match self.state {
            State::Empty => {}
            State::PreparingRebalance => self.try_complete_join(step),
            State::CompletingRebalance | State::Stable => self.prepare_rebalance(reason, step),
        }
    }

    /// Takes a member out. Requests of it that wait are refused with `code`.
    pub(super) fn remove(&mut self, id: &ByteString, code: ErrorCode, step: &mut Step<'_>) {
        let Some(member) = self.members.remove(id) else { return };
        self.count_protocols(&member.protocols, false);
        self.owing_sync -= usize::from(member.owes_sync);
        if self.owing_sync == 0 {
            self.sync_deadline_ms = None;
        }
        if let Some(instance) = &member.instance_id
            && self.static_members.get(instance) == Some(id)
        {
            self.static_members.remove(instance);
        }
        if let Some(caller) = member.joining {
            self.joining -= 1;
            step.refuse_join(caller, &ByteString::new(), code);
        }
        if let Some(caller) = member.syncing {
            step.refuse_sync(caller, code);
        }
        if self.leader.as_ref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    /// The group moves to another coordinator: whoever waits asks there.
    pub(super) fn unload(&mut self, step: &mut Step<'_>) {
        for (id, member) in &mut self.members {
            if let Some(caller) = member.joining.take() {
                step.refuse_join(caller, id, ErrorCode::NotCoordinator);
            }
            if let Some(caller) = member.syncing.take() {
                step.refuse_sync(caller, ErrorCode::NotCoordinator);
            }
        }
    }
}
