//! JoinGroup: members enter, and a rebalance begins, waits and completes.

use super::machine::{Group, JoinWait, LOG, NEVER, State};
use super::member::{Member, NEW_MEMBER_JOIN_TIMEOUT_MS, distinct_protocols};
use super::step::{Caller, Purpose, Step, own_text};
use crate::common::ErrorCode;
use crate::protocol::messages::join_group::{JoinGroupResponse, JoinGroupResponseMember};
use bytes::Bytes;
use bytestring::ByteString;
use log::info;

/// A wish to join.
#[derive(Clone, PartialEq, Debug)]
pub struct JoinRequest {
    /// Empty for a new member.
    pub member_id: ByteString,
    /// Of a static member.
    pub instance_id: Option<ByteString>,
    /// The id that the member gets if it is new.
    pub fresh_member_id: ByteString,
    /// A new dynamic member must come back with its id before it enters (KIP-394).
    pub needs_known_member_id: bool,
    /// What the client calls itself.
    pub client_id: ByteString,
    /// Where it is.
    pub client_host: ByteString,
    /// How long it may take to join again.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// Such as `consumer`.
    pub protocol_type: ByteString,
    /// Names and metadata, the preferred one first.
    pub protocols: Vec<(ByteString, Bytes)>,
}

impl Group {
    /// Lets a member in, or refuses it.
    pub(super) fn join(&mut self, mut request: JoinRequest, caller: Caller, step: &mut Step<'_>) {
        request.protocols = distinct_protocols(request.protocols);
        if !self.has_room_for(&request.member_id, step) {
            self.remove(&request.member_id, ErrorCode::GroupMaxSizeReached, step);
            step.refuse_join(caller, &ByteString::new(), ErrorCode::GroupMaxSizeReached);
        } else if !self.supports(&request.protocol_type, &request.protocols) {
            step.refuse_join(caller, &request.member_id, ErrorCode::InconsistentGroupProtocol);
        } else if request.member_id.is_empty() {
            self.join_unknown(request, caller, step);
        } else {
            self.join_known(request, caller, step);
        }
        if self.state == State::PreparingRebalance {
            self.try_complete_join(step);
        }
    }

    /// During a rebalance those who wait already are counted, so that the last ones to come back are left out if the
    /// limit has become smaller.
    fn has_room_for(&self, member_id: &ByteString, step: &Step<'_>) -> bool {
        let max = step.settings.group_size_max;
        let member = self.members.get(member_id);
        match self.state {
            State::Empty => true,
            State::PreparingRebalance => member.is_some_and(|m| m.joining.is_some()) || self.joining < max,
            State::CompletingRebalance | State::Stable => member.is_some() || self.members.len() < max,
        }
    }

    fn join_unknown(&mut self, request: JoinRequest, caller: Caller, step: &mut Step<'_>) {
        let fresh = own_text(&request.fresh_member_id);
        let known = request.instance_id.as_ref().and_then(|instance| self.static_members.get(instance));
        if let Some(old) = known.cloned() {
            self.replace_static_member(&old, &fresh, request, caller, step);
        } else if request.needs_known_member_id && request.instance_id.is_none() {
            let until_ms = step.after(i64::from(request.session_timeout_ms));
            self.pending_members.insert(fresh.clone(), until_ms);
            self.arm(until_ms);
            step.refuse_join(caller, &fresh, ErrorCode::MemberIdRequired);
        } else {
            info!(target: LOG, "{} Member with unknown member id joins group {} in {} state. Created a new member id {fresh} for this member and add to the group.",
                if request.instance_id.is_some() { "Static" } else { "Dynamic" }, self.name.id, self.state.name());
            self.add_member(fresh, request, caller, step);
        }
    }

    fn join_known(&mut self, request: JoinRequest, caller: Caller, step: &mut Step<'_>) {
        let id = request.member_id.clone();
        if self.pending_members.contains_key(&id) {
            // Static members are never pending: whoever claims to be one did not get this id from here.
            match request.instance_id {
                Some(_) => step.refuse_join(caller, &id, ErrorCode::UnknownMemberId),
                None => self.add_member(own_text(&id), request, caller, step),
            }
            return;
        }
        if let Err(code) = self.check_instance(&id, request.instance_id.as_ref()) {
            return step.refuse_join(caller, &id, code);
        }
        let unknown_instance =
            request.instance_id.as_ref().is_some_and(|instance| !self.static_members.contains_key(instance));
        let Some(member) = self.members.get(&id).filter(|_| !unknown_instance) else {
            return step.refuse_join(caller, &id, ErrorCode::UnknownMemberId);
        };
        let unchanged = member.matches(&request.protocols);
        let leads = self.leader.as_ref() == Some(&id);
        let rejoins = match self.state {
            State::Empty => return step.refuse_join(caller, &id, ErrorCode::UnknownMemberId),
            State::PreparingRebalance => true,
            // Its first answer was lost.
            State::CompletingRebalance => !unchanged,
            // A leader that joins wants to assign again: topics have changed, for example.
            State::Stable => leads || !unchanged,
        };
        if rejoins {
            self.update_member(&id, request.protocols, caller, step);
            self.prepare_rebalance(&format!("member {id} joining during {}", self.state.name()), step);
        } else {
            let response = self.joined(&id, leads && self.state == State::CompletingRebalance);
            step.answer_join(caller, response);
        }
    }

    fn add_member(&mut self, id: ByteString, request: JoinRequest, caller: Caller, step: &mut Step<'_>) {
        self.pending_members.remove(&id);
        if self.members.is_empty() {
            self.protocol_type = Some(own_text(&request.protocol_type));
        }
        if self.state == State::PreparingRebalance && self.generation == 0 {
            self.member_came = true;
        }
        let expires_ms = step.after(NEW_MEMBER_JOIN_TIMEOUT_MS);
        let member = Member {
            instance_id: request.instance_id.as_ref().map(own_text),
            client_id: own_text(&request.client_id),
            client_host: request.client_host,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols,
            assignment: Bytes::new(),
            joining: Some(caller),
            syncing: None,
            is_new: true,
            owes_sync: false,
            expires_ms: Some(expires_ms),
        };
        self.arm(expires_ms);
        self.insert(id.clone(), member);
        self.prepare_rebalance(&format!("Adding new member {id}"), step);
    }

    pub(super) fn insert(&mut self, id: ByteString, member: Member) {
        self.count_protocols(&member.protocols, true);
        self.joining += usize::from(member.joining.is_some());
        self.owing_sync += usize::from(member.owes_sync);
        if let Some(instance) = &member.instance_id {
            self.static_members.insert(instance.clone(), id.clone());
        }
        self.leader.get_or_insert_with(|| id.clone());
        self.members.insert(id, member);
    }

    /// The member waits in JoinGroup with these protocols now.
    fn update_member(
        &mut self,
        id: &ByteString,
        protocols: Vec<(ByteString, Bytes)>,
        caller: Caller,
        step: &mut Step<'_>,
    ) {
        self.replace_protocols(id, protocols);
        let Some(member) = self.members.get_mut(id) else { return };
        match member.joining.replace(caller) {
            // A repetition; nobody listens for the first answer any more, but its connection may wait for one.
            Some(before) => step.refuse_join(before, id, ErrorCode::RebalanceInProgress),
            None => self.joining += 1,
        }
    }

    pub(super) fn replace_protocols(&mut self, id: &ByteString, protocols: Vec<(ByteString, Bytes)>) {
        self.count_protocols(&protocols, true);
        let Some(member) = self.members.get_mut(id) else { return };
        let before = std::mem::replace(&mut member.protocols, protocols);
        self.count_protocols(&before, false);
    }

    /// Undoes a change, unless the group has come to rely on it.
    fn restore_protocols(&mut self, id: &ByteString, protocols: Vec<(ByteString, Bytes)>) {
        let now = self.members.get(id).map(|member| member.protocols.clone()).unwrap_or_default();
        self.replace_protocols(id, protocols);
        if !self.supported.values().any(|count| *count == self.members.len()) {
            self.replace_protocols(id, now);
        }
    }

    /// A static member came back without its id: it takes its own place over.
    fn replace_static_member(
        &mut self,
        old: &ByteString,
        new: &ByteString,
        request: JoinRequest,
        caller: Caller,
        step: &mut Step<'_>,
    ) {
        info!(target: LOG, "Static member {} of group {} with unknown member id rejoins, assigning new member id {new}, while old member id {old} will be removed.",
            request.instance_id.as_deref().map_or("", |id| id), self.name.id);
        let leader_before = self.leader.clone().unwrap_or_default();
        self.rename_static_member(old, new, step);
        let old_protocols = self.members.get(new).map(|m| m.protocols.clone()).unwrap_or_default();
        self.update_member(new, request.protocols, caller, step);
        self.renew_session(new, step);
        match self.state {
            State::Stable if self.select_protocol() == self.protocol => {
                let purpose = Purpose::StaticMember {
                    generation: self.generation,
                    old_member_id: old.clone(),
                    new_member_id: new.clone(),
                    old_protocols,
                    leader: leader_before,
                };
                self.store(None, purpose, step);
            }
            // The old id may be with the leader already, which would then assign to nobody.
            State::Stable | State::CompletingRebalance => {
                self.prepare_rebalance(&format!("Static member {new} replaces {old}"), step);
            }
            State::PreparingRebalance | State::Empty => {}
        }
    }

    /// Moves a static member to another id, and fences whoever waits under the old one.
    pub(super) fn rename_static_member(&mut self, old: &ByteString, new: &ByteString, step: &mut Step<'_>) {
        let Some(mut member) = self.members.remove(old) else { return };
        if let Some(caller) = member.joining.take() {
            self.joining -= 1;
            step.refuse_join(caller, old, ErrorCode::FencedInstanceId);
        }
        if let Some(caller) = member.syncing.take() {
            step.refuse_sync(caller, ErrorCode::FencedInstanceId);
        }
        if let Some(instance) = &member.instance_id {
            self.static_members.insert(instance.clone(), new.clone());
        }
        if self.leader.as_ref() == Some(old) {
            self.leader = Some(new.clone());
        }
        self.members.insert(new.clone(), member);
    }

    /// The record with a static member's new id is stored, or not.
    pub(super) fn static_member_stored(
        &mut self,
        purpose: Purpose,
        failure: Option<ErrorCode>,
        step: &mut Step<'_>,
    ) {
        let Purpose::StaticMember { generation, old_member_id, new_member_id, old_protocols, leader } =
            purpose
        else {
            return;
        };
        // If a rebalance has begun meanwhile, the member takes part in it, and is answered by it.
        if self.state != State::Stable || self.generation != generation {
            return;
        }
        let Some(caller) = self.members.get_mut(&new_member_id).and_then(|m| m.joining.take()) else {
            return;
        };
        self.joining -= 1;
        let mut response = JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            // Even if it leads: its assignments would not be used, so it must not take itself for the leader.
            leader,
            ..Default::default()
        };
        if let Some(code) = failure {
            self.restore_protocols(&new_member_id, old_protocols);
            self.rename_static_member(&new_member_id, &old_member_id, step);
            self.renew_session(&old_member_id, step);
            response.error_code = code.code();
        } else {
            self.renew_session(&new_member_id, step);
            response.member_id = new_member_id;
        }
        step.answer_join(caller, response);
    }

    fn joined(&self, id: &ByteString, with_members: bool) -> JoinGroupResponse {
        let protocol = self.protocol.clone().unwrap_or_default();
        let listed = |(id, member): (&ByteString, &Member)| JoinGroupResponseMember {
            member_id: id.clone(),
            group_instance_id: member.instance_id.clone(),
            metadata: member.metadata(&protocol).cloned().unwrap_or_default(),
            ..Default::default()
        };
        let members = if with_members { self.members.iter().map(listed).collect() } else { Vec::new() };
        JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: id.clone(),
            members,
            ..Default::default()
        }
    }

    /// Has all members join again, unless they are to do so already.
    pub(super) fn prepare_rebalance(&mut self, reason: &str, step: &mut Step<'_>) {
        match self.state {
            State::PreparingRebalance => return,
            State::CompletingRebalance => self.fail_syncs(ErrorCode::RebalanceInProgress, step),
            State::Empty | State::Stable => {}
        }
        self.clear_owed_syncs();
        let timeout_ms = self.rebalance_timeout_ms();
        let wait = if self.state == State::Empty {
            let delay_ms = step.settings.initial_rebalance_delay_ms.max(0);
            let remaining_ms = (timeout_ms - delay_ms).max(0);
            JoinWait::Initial { until_ms: step.after(delay_ms), delay_ms, remaining_ms }
        } else {
            JoinWait::Members { until_ms: step.after(timeout_ms) }
        };
        info!(target: LOG, "Preparing to rebalance group {} in state {} with old generation {} (reason: {reason})",
            self.name.id, State::PreparingRebalance.name(), self.generation);
        self.transition(State::PreparingRebalance, step.now);
        self.wait_for_joins(wait);
        self.try_complete_join(step);
    }

    fn wait_for_joins(&mut self, wait: JoinWait) {
        self.join_wait = Some(wait);
        self.arm(wait.until_ms());
    }

    /// Completes the rebalance if everybody is there.
    pub(super) fn try_complete_join(&mut self, step: &mut Step<'_>) {
        let all_joined = self.members.len() == self.joining && self.pending_members.is_empty();
        if all_joined && matches!(self.join_wait, Some(JoinWait::Members { .. })) {
            self.complete_join(step);
        }
    }

    /// Whoever has not come is too late, unless the group was empty and is still growing.
    pub(super) fn join_time_is_over(&mut self, step: &mut Step<'_>) {
        if let Some(JoinWait::Initial { delay_ms, remaining_ms, .. }) = self.join_wait
            && self.member_came
            && remaining_ms > 0
        {
            self.member_came = false;
            let next_ms = step.settings.initial_rebalance_delay_ms.max(0).min(remaining_ms);
            self.wait_for_joins(JoinWait::Initial {
                until_ms: step.after(next_ms),
                delay_ms: next_ms,
                remaining_ms: (remaining_ms - delay_ms).max(0),
            });
            return;
        }
        self.complete_join(step);
    }

    fn complete_join(&mut self, step: &mut Step<'_>) {
        let late = |(id, m): (&ByteString, &Member)| {
            (m.joining.is_none() && m.instance_id.is_none()).then(|| id.clone())
        };
        let late: Vec<ByteString> = self.members.iter().filter_map(late).collect();
        if !late.is_empty() {
            info!(target: LOG, "Group {} removed dynamic members who haven't joined: {late:?}", self.name.id);
        }
        for id in late {
            self.remove(&id, ErrorCode::UnknownMemberId, step);
        }
        if !self.members.is_empty() && !self.elect_joined_leader() {
            // Static members only, and none of them is there: their sessions decide.
            log::error!(target: LOG, "Group {} could not complete rebalance because no members rejoined", self.name.id);
            let timeout_ms = self.rebalance_timeout_ms();
            self.wait_for_joins(JoinWait::Members { until_ms: step.after(timeout_ms.max(1)) });
            return;
        }
        self.join_wait = None;
        self.member_came = false;
        self.begin_generation(step);
    }

    /// The leader stays if it has joined, else another who has becomes it. False if nobody has.
    fn elect_joined_leader(&mut self) -> bool {
        let has_joined = |id: &ByteString| self.members.get(id).is_some_and(|m| m.joining.is_some());
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let joined = self.members.iter().find(|(_, m)| m.joining.is_some()).map(|(id, _)| id.clone());
        let elected = joined.is_some();
        if elected {
            info!(target: LOG, "Group leader {:?} of {} failed to join before rebalance timeout, while new leader {joined:?} was elected.",
                self.leader, self.name.id);
            self.leader = joined;
        }
        elected
    }

    fn begin_generation(&mut self, step: &mut Step<'_>) {
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.protocol = self.select_protocol();
        self.subscribed_topics = self.find_subscribed_topics();
        if self.members.is_empty() {
            self.transition(State::Empty, step.now);
            info!(target: LOG, "Group {} with generation {} is now empty", self.name.id, self.generation);
            return self.store(None, Purpose::Empty, step);
        }
        self.transition(State::CompletingRebalance, step.now);
        info!(target: LOG, "Stabilized group {} generation {} with {} members", self.name.id, self.generation,
            self.members.len());
        let mut first_ms = NEVER;
        let mut answers = Vec::with_capacity(self.joining);
        for (id, member) in &mut self.members {
            member.is_new = false;
            member.owes_sync = true;
            let at_ms = step.after(i64::from(member.session_timeout_ms));
            member.expires_ms = Some(at_ms);
            first_ms = first_ms.min(at_ms);
            answers.extend(member.joining.take().map(|caller| (caller, id.clone())));
        }
        self.joining = 0;
        self.owing_sync = self.members.len();
        let sync_ms = step.after(self.rebalance_timeout_ms());
        self.sync_deadline_ms = Some(sync_ms);
        self.arm(first_ms.min(sync_ms));
        for (caller, id) in answers {
            let response = self.joined(&id, self.leader.as_ref() == Some(&id));
            step.answer_join(caller, response);
        }
    }
}
