//! A consumer's part in its group: when it joins, what it gives up and gets, when it commits.
//!
//! In an eager group a member commits, and gives everything up, before it joins again. In a cooperative one (KIP-429) it
//! keeps what it has, and reads on, until the leader has given it to somebody else; then it gives that up and joins again,
//! so that the other one can get it. Either way a member that the coordinator has forgotten has nothing any more.

use super::link::{LOGGER, NO_GENERATION, Shared};
use super::membership::{Membership, Step};
use super::offsets::{self, Place, Places, Refused};
use super::positions::{Position, consumed};
use super::settings::GroupSettings;
use super::{Consumer, Listener, Rebalance, leader_of};
use crate::common::{TopicPartition, clock};
use crate::tools::client::Settings;
use crate::tools::exception::Exception;
use crate::tools::output::{Level, log};
use bytestring::ByteString;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Longest wait of a close for its commit.
const CLOSE_TIMEOUT_MS: i64 = 30_000;

/// What a consumer knows of its group.
pub struct Group {
    membership: Membership,
    /// False if the partition was given by the caller: then the group is a name for commits.
    is_managed: bool,
    /// What is subscribed to; `None` until metadata came.
    pub subscribed: Option<BTreeSet<ByteString>>,
    /// What was subscribed to when the member joined.
    joined_with: Option<BTreeSet<ByteString>>,
    /// As a leader: the partitions of all topics of the group when they were shared out.
    shared_out: Option<BTreeMap<ByteString, usize>>,
    /// True if the partitions were given up for the join that is under way.
    is_prepared: bool,
    commit_due_ms: i64,
    /// When the join that is under way began.
    join_began_ms: i64,
    pub listener: Option<Listener>,
}

impl Group {
    /// Not joined yet.
    pub fn new(client: &Settings, group: &GroupSettings, is_managed: bool) -> Group {
        Group {
            membership: Membership::new(Shared::new(client.clone(), group.clone())),
            is_managed,
            subscribed: None,
            joined_with: None,
            shared_out: None,
            is_prepared: false,
            commit_due_ms: clock::monotonic_ms() + group.auto_commit_interval_ms,
            join_began_ms: 0,
            listener: None,
        }
    }

    /// Topics whose partitions the leader of the group has to watch.
    pub fn led_topics(&self) -> impl Iterator<Item = &ByteString> {
        self.shared_out.iter().flat_map(BTreeMap::keys)
    }

    fn shared(&self) -> &Shared {
        &self.membership.shared
    }

    fn tell(&mut self, event: Rebalance<'_>) {
        if let Some(listener) = &mut self.listener {
            listener(event);
        }
    }

    /// True if the subscription, or what this leader shared out, is not what it was.
    fn is_outdated(&self, counts: impl Fn(&ByteString) -> usize) -> bool {
        let has_other_topics = self.joined_with.is_some() && self.joined_with != self.subscribed;
        let mut shared_out = self.shared_out.iter().flatten();
        has_other_topics || shared_out.any(|(topic, count)| counts(topic) != *count)
    }
}

impl Consumer {
    /// One step of what the group asks for. True if nothing of it is under way.
    pub(super) fn take_part(&mut self, deadline_ms: i64) -> Result<bool, Exception> {
        let leaders = &self.leaders;
        let Some(group) = &mut self.group else { return Ok(true) };
        group.membership.polled()?;
        if !group.is_managed {
            self.commit_when_due(deadline_ms);
            return Ok(true);
        }
        let Some(subscribed) = group.subscribed.clone() else { return Ok(false) };
        if !group.membership.ensure_coordinator(&mut self.network, deadline_ms)? {
            return Ok(false);
        }
        if !group.membership.is_joining() {
            let count = |topic: &ByteString| leaders.get(topic).map_or(0, Vec::len);
            let must_join = {
                let mut link = group.shared().lock();
                link.must_join |= group.is_outdated(count);
                link.must_join
            };
            if !must_join {
                self.commit_when_due(deadline_ms);
                return Ok(true);
            }
            self.prepare_join();
        }
        let Some(group) = &mut self.group else { return Ok(true) };
        group.joined_with.get_or_insert_with(|| subscribed.clone());
        let reads_on = group.shared().group.is_cooperative() && !self.positions.is_empty();
        let owned: Vec<TopicPartition> = match reads_on {
            true => self.positions.keys().cloned().collect(),
            false => Vec::new(),
        };
        let wait_ms = if reads_on { 0 } else { deadline_ms - clock::monotonic_ms() };
        match group.membership.join(&subscribed, &owned, wait_ms.max(0))? {
            Step::Waiting => Ok(reads_on),
            Step::Lead(members) => {
                let topics: BTreeSet<ByteString> =
                    members.iter().flat_map(|member| member.topics.iter().cloned()).collect();
                self.share_out(topics, |membership, counts| membership.lead(&members, counts))?;
                Ok(false)
            }
            Step::Joined(partitions) => {
                self.take_assignment(partitions);
                Ok(true)
            }
        }
    }

    /// Shares out the partitions of `topics`, which are asked for if they are not known yet.
    fn share_out(
        &mut self,
        topics: BTreeSet<ByteString>,
        lead: impl FnOnce(&mut Membership, &BTreeMap<ByteString, usize>),
    ) -> Result<(), Exception> {
        let is_new = topics.iter().any(|topic| !self.leaders.contains_key(topic));
        let wanted = topics.iter().map(|topic| (topic.clone(), 0)).collect();
        if let Some(group) = &mut self.group {
            group.shared_out = Some(wanted);
        }
        if is_new {
            let deadline_ms = clock::monotonic_ms() + self.settings.client.request_timeout_ms;
            self.update_metadata(deadline_ms)?;
        }
        let count = |topic: ByteString| {
            let count = self.leaders.get(&topic).map_or(0, Vec::len);
            (topic, count)
        };
        let counts: BTreeMap<ByteString, usize> = topics.into_iter().map(count).collect();
        if let Some(group) = &mut self.group {
            lead(&mut group.membership, &counts);
            group.shared_out = Some(counts);
        }
        Ok(())
    }

    /// Before a join: what was read is committed, and given up, all of it or what is not wanted any more.
    fn prepare_join(&mut self) {
        let Some(group) = &self.group else { return };
        let (is_lost, is_new) = {
            let link = group.shared().lock();
            (link.generation == NO_GENERATION, link.generation == NO_GENERATION && link.member_id.is_empty())
        };
        let is_cooperative = group.shared().group.is_cooperative();
        if group.is_prepared && !(is_cooperative && is_lost && !self.positions.is_empty()) {
            return;
        }
        if group.shared().group.auto_commit {
            let timeout_ms = i64::from(group.shared().group.max_poll_interval_ms);
            self.auto_commit_now(timeout_ms);
        }
        let Some(group) = &mut self.group else { return };
        let subscribed = group.subscribed.clone().unwrap_or_default();
        let stays = |key: &TopicPartition| is_cooperative && !is_lost && subscribed.contains(&key.topic);
        let owned: Vec<TopicPartition> = self.positions.keys().filter(|key| !stays(key)).cloned().collect();
        self.hand_back(&owned);
        let Some(group) = &mut self.group else { return };
        if !owned.is_empty() || (!is_new && !is_cooperative) {
            group.tell(Rebalance::Revoked(&owned));
        }
        group.is_prepared = true;
        group.join_began_ms = clock::monotonic_ms();
        group.shared_out = None;
        group.joined_with = group.subscribed.clone();
    }

    fn hand_back(&mut self, partitions: &[TopicPartition]) {
        for key in partitions {
            self.positions.remove(key);
        }
        let positions = &self.positions;
        self.ready.retain(|record| {
            positions.contains_key(&TopicPartition::new(record.topic.clone(), record.partition))
        });
    }

    fn take_assignment(&mut self, partitions: Vec<TopicPartition>) {
        let lost: Vec<TopicPartition> =
            self.positions.keys().filter(|key| !partitions.contains(key)).cloned().collect();
        if !lost.is_empty() {
            if self.group.as_ref().is_some_and(|group| group.shared().group.auto_commit) {
                self.auto_commit_now(self.settings.api_timeout_ms);
            }
            self.hand_back(&lost);
        }
        let start = self.settings.reset_start();
        let new: Vec<TopicPartition> =
            partitions.into_iter().filter(|key| !self.positions.contains_key(key)).collect();
        for key in &new {
            let leader = leader_of(&self.leaders, key);
            self.positions.insert(key.clone(), Position::new(leader, true, start));
        }
        if self.positions.values().any(|position| position.leader.is_none()) {
            self.ask_for_metadata_soon();
        }
        let Some(group) = &mut self.group else { return };
        group.is_prepared = false;
        self.meter.rebalance_ms.record((clock::monotonic_ms() - group.join_began_ms) as f64);
        group.commit_due_ms = clock::monotonic_ms() + group.shared().group.auto_commit_interval_ms;
        if !lost.is_empty() {
            group.tell(Rebalance::Revoked(&lost));
            // Whoever is to have them gets them now.
            group.shared().lock().must_join = true;
        }
        group.tell(Rebalance::Assigned(&new));
    }

    fn commit_when_due(&mut self, deadline_ms: i64) {
        let Some(group) = &mut self.group else { return };
        let now = clock::monotonic_ms();
        if !group.shared().group.auto_commit || now < group.commit_due_ms {
            return;
        }
        let backoff_ms = group.shared().client.retry_backoff_ms.max(1);
        group.commit_due_ms = now + backoff_ms;
        if !matches!(group.membership.ensure_coordinator(&mut self.network, deadline_ms), Ok(true)) {
            return;
        }
        let places = consumed(&self.positions);
        match offsets::commit(group.shared(), group.is_managed, &places) {
            Ok(()) => {
                group.commit_due_ms = now + group.shared().group.auto_commit_interval_ms;
                self.meter.commit_ms.record((clock::monotonic_ms() - now) as f64);
            }
            Err(Refused::ForNow) => {}
            Err(Refused::ForGood(exception)) => {
                group.commit_due_ms = now + group.shared().group.auto_commit_interval_ms;
                warn(group, "Asynchronous", &places, &exception);
            }
        }
    }

    /// Commits what the caller has; says so if that fails.
    fn auto_commit_now(&mut self, timeout_ms: i64) {
        let places = consumed(&self.positions);
        if let (Err(exception), Some(group)) = (self.commit_within(&places, timeout_ms), &self.group) {
            warn(group, "Synchronous", &places, &exception);
        }
    }

    /// Commits offsets, and waits for it.
    pub fn commit(&mut self, places: &Places) -> Result<(), Exception> {
        self.commit_within(places, self.settings.api_timeout_ms)
    }

    fn commit_within(&mut self, places: &Places, timeout_ms: i64) -> Result<(), Exception> {
        let Some(group) = &mut self.group else { return Ok(()) };
        if places.is_empty() {
            return Ok(());
        }
        let start_ms = clock::monotonic_ms();
        let deadline_ms = start_ms + timeout_ms;
        let backoff = Duration::from_millis(group.shared().client.retry_backoff_ms.max(1) as u64);
        loop {
            if group.membership.ensure_coordinator(&mut self.network, deadline_ms)? {
                match offsets::commit(group.shared(), group.is_managed, places) {
                    Ok(()) => {
                        self.meter.commit_ms.record((clock::monotonic_ms() - start_ms) as f64);
                        return Ok(());
                    }
                    Err(Refused::ForGood(exception)) => return Err(exception),
                    Err(Refused::ForNow) => {}
                }
            }
            if clock::monotonic_ms() >= deadline_ms {
                return Err(Exception::timeout(format!(
                    "Timeout of {timeout_ms}ms expired before successfully committing offsets {}",
                    java_text(places)
                )));
            }
            std::thread::sleep(backoff);
        }
    }

    /// What the group committed for partitions that nobody looked at yet; the others begin where they are told to.
    pub(super) fn look_up_committed(&mut self) -> Result<(), Exception> {
        let wanting: Vec<TopicPartition> = self
            .positions
            .iter()
            .filter(|(_, position)| position.wants_committed)
            .map(|(key, _)| key.clone())
            .collect();
        let Some(group) = self.group.as_ref().filter(|_| !wanting.is_empty()) else { return Ok(()) };
        let now = clock::monotonic_ms();
        if now < self.lookup_not_before_ms {
            return Ok(());
        }
        let found = match offsets::fetch(group.shared(), &wanting) {
            Ok(found) => found,
            Err(Refused::ForGood(exception)) => return Err(exception),
            Err(Refused::ForNow) => {
                self.lookup_not_before_ms = now + self.settings.client.retry_backoff_ms.max(1);
                return Ok(());
            }
        };
        for key in wanting {
            let Some(position) = self.positions.get_mut(&key) else { continue };
            match found.get(&key) {
                Some(place) => position.go_to(*place),
                None => position.wants_committed = false,
            }
        }
        Ok(())
    }

    pub(super) fn leave_group(&mut self) {
        let is_member = |group: &Group| !group.is_managed || group.joined_with.is_some();
        if self.group.as_ref().is_some_and(|group| group.shared().group.auto_commit && is_member(group)) {
            self.auto_commit_now(CLOSE_TIMEOUT_MS);
        }
        let owned: Vec<TopicPartition> = self.positions.keys().cloned().collect();
        let Some(group) = &mut self.group else { return };
        if group.is_managed && !owned.is_empty() {
            group.tell(Rebalance::Revoked(&owned));
        }
        group.membership.close();
    }
}

fn warn(group: &Group, how: &str, places: &Places, exception: &Exception) {
    let text = format!(
        "[{}] {how} auto-commit of offsets {} failed: {}",
        group.shared().client.name,
        java_text(places),
        exception.message_or_null()
    );
    log(Level::Warn, &text, LOGGER);
}

/// Offsets as Java prints the map of them.
fn java_text(places: &Places) -> String {
    let entry = |(key, place): (&TopicPartition, &Place)| {
        let epoch = place.leader_epoch.map_or("null".to_string(), |epoch| epoch.to_string());
        format!("{key}=OffsetAndMetadata{{offset={}, leaderEpoch={epoch}, metadata=''}}", place.offset)
    };
    format!("{{{}}}", places.iter().map(entry).collect::<Vec<_>>().join(", "))
}
