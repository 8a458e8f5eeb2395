//! SyncGroup: the leader's assignments are stored, then told to the members.

use super::machine::{Group, LOG, State};
use super::step::{Caller, Purpose, Step, own_bytes, own_text};
use crate::common::ErrorCode;
use crate::protocol::messages::sync_group::SyncGroupResponse;
use bytes::Bytes;
use bytestring::ByteString;
use log::{info, warn};
use std::collections::BTreeMap;

/// A member's wish for its assignment; the leader's brings those of all.
#[derive(Clone, PartialEq, Debug)]
pub struct SyncRequest {
    /// The member.
    pub member_id: ByteString,
    /// Of a static member.
    pub instance_id: Option<ByteString>,
    /// The generation that it has joined.
    pub generation: i32,
    /// What it believes, if it says so.
    pub protocol_type: Option<ByteString>,
    /// What it believes, if it says so.
    pub protocol_name: Option<ByteString>,
    /// By member id.
    pub assignments: Vec<(ByteString, Bytes)>,
}

impl Group {
    /// Gives a member its assignment, or has it wait for the leader's.
    pub(super) fn sync(&mut self, request: SyncRequest, caller: Caller, step: &mut Step<'_>) {
        if let Err(code) = self.check_sync(&request) {
            return step.refuse_sync(caller, code);
        }
        let id = &request.member_id;
        match self.state {
            State::Empty => step.refuse_sync(caller, ErrorCode::UnknownMemberId),
            State::PreparingRebalance => step.refuse_sync(caller, ErrorCode::RebalanceInProgress),
            State::CompletingRebalance => {
                let before = self.members.get_mut(id).and_then(|member| member.syncing.replace(caller));
                if let Some(before) = before {
                    step.refuse_sync(before, ErrorCode::RebalanceInProgress);
                }
                self.note_sync(id);
                if self.leader.as_ref() == Some(id) {
                    self.store_assignments(request, step);
                }
            }
            State::Stable => {
                self.note_sync(id);
                let assignment = self.members.get(id).map(|m| m.assignment.clone()).unwrap_or_default();
                step.answer_sync(caller, self.synced(assignment));
                self.renew_session(id, step);
            }
        }
    }

    fn check_sync(&self, request: &SyncRequest) -> Result<(), ErrorCode> {
        self.check_instance(&request.member_id, request.instance_id.as_ref())?;
        if !self.members.contains_key(&request.member_id) {
            return Err(ErrorCode::UnknownMemberId);
        }
        if request.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let agrees =
            |theirs: &Option<ByteString>, ours: &Option<ByteString>| theirs.is_none() || theirs == ours;
        if !agrees(&request.protocol_type, &self.protocol_type)
            || !agrees(&request.protocol_name, &self.protocol)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn synced(&self, assignment: Bytes) -> SyncGroupResponse {
        SyncGroupResponse {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment,
            ..Default::default()
        }
    }

    fn store_assignments(&mut self, request: SyncRequest, step: &mut Step<'_>) {
        info!(target: LOG, "Assignment received from leader for group {} for generation {}. The group has {} members, {} of which are static.",
            self.name.id, self.generation, self.members.len(), self.static_members.len());
        let mut assignments: BTreeMap<ByteString, Bytes> = BTreeMap::new();
        for (id, assignment) in &request.assignments {
            // Whoever is no member gets nothing, and the names of members live here already.
            if let Some((id, _)) = self.members.get_key_value(id) {
                assignments.insert(own_text(id), own_bytes(assignment));
            }
        }
        let missing = self.members.len() - assignments.len();
        if missing > 0 {
            warn!(target: LOG, "Setting empty assignments for {missing} members of {} for generation {}",
                self.name.id, self.generation);
        }
        let record_of = assignments.clone();
        let purpose = Purpose::Assignment { generation: self.generation, assignments };
        self.store(Some(&record_of), purpose, step);
    }

    /// The leader's assignments are stored, or not.
    pub(super) fn assignment_stored(
        &mut self,
        generation: i32,
        assignments: &BTreeMap<ByteString, Bytes>,
        failure: Option<ErrorCode>,
        step: &mut Step<'_>,
    ) {
        // Somebody may have joined meanwhile: then a later generation decides.
        if self.state != State::CompletingRebalance || self.generation != generation {
            return;
        }
        if let Some(code) = failure {
            self.fail_syncs(code, step);
            return self.prepare_rebalance("error when storing group assignment during SyncGroup", step);
        }
        let mut answers = Vec::with_capacity(self.members.len());
        for (id, member) in &mut self.members {
            member.assignment = assignments.get(id).cloned().unwrap_or_default();
            answers.extend(member.syncing.take().map(|c| (c, id.clone(), member.assignment.clone())));
        }
        for (caller, id, assignment) in answers {
            step.answer_sync(caller, self.synced(assignment));
            self.renew_session(&id, step);
        }
        self.transition(State::Stable, step.now);
    }

    /// Refuses all who wait for an assignment; what they had is void.
    pub(super) fn fail_syncs(&mut self, code: ErrorCode, step: &mut Step<'_>) {
        let mut waiting = Vec::new();
        for (id, member) in &mut self.members {
            member.assignment = Bytes::new();
            waiting.extend(member.syncing.take().map(|caller| (caller, id.clone())));
        }
        for (caller, id) in waiting {
            step.refuse_sync(caller, code);
            self.renew_session(&id, step);
        }
    }

    fn note_sync(&mut self, id: &ByteString) {
        let owed = self.members.get_mut(id).is_some_and(|member| std::mem::take(&mut member.owes_sync));
        self.owing_sync -= usize::from(owed);
        if self.owing_sync == 0 {
            self.sync_deadline_ms = None;
        }
    }

    pub(super) fn clear_owed_syncs(&mut self) {
        self.sync_deadline_ms = None;
        if self.owing_sync > 0 {
            self.members.values_mut().for_each(|member| member.owes_sync = false);
            self.owing_sync = 0;
        }
    }

    /// Who has joined and then not synced is out: a leader that does nothing must not hold up all others.
    pub(super) fn expire_sync(&mut self, step: &mut Step<'_>) {
        self.sync_deadline_ms = None;
        let late = self.members.iter().filter(|(_, member)| member.owes_sync).map(|(id, _)| id.clone());
        let late: Vec<ByteString> = late.collect();
        if late.is_empty() {
            return;
        }
        info!(target: LOG, "Group {} removed members who haven't sent their sync request: {late:?}", self.name.id);
        for id in &late {
            self.remove(id, ErrorCode::UnknownMemberId, step);
        }
        self.prepare_rebalance("Removing members on pending sync request expiration", step);
    }
}
