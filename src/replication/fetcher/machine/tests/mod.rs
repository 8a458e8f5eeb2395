//! The machine alone: scripts with every answer a leader can give, and a cluster with a seed ([`simulation`]).

mod model;
mod simulation;

use super::*;
use crate::common::ErrorCode;
use crate::replication::fetcher::messages::{FetchAnswer, FetchedPartition};
use crate::replication::fetcher::session::SessionFetch;
use crate::replication::fetcher::truncation::EpochEnd;
use bytes::Bytes;
use model::{Handle, Record, Replica, encode};

const BACKOFF_MS: i64 = 1000;
const WAIT_MS: i64 = 500;

fn settings(truncates_on_fetch: bool, asks_epochs: bool) -> MachineSettings {
    let ident = String::new();
    MachineSettings { ident, truncates_on_fetch, asks_epochs, backoff_ms: BACKOFF_MS, wait_ms_max: WAIT_MS }
}

fn name(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// A follower's log with records of these epochs.
fn log(leader_epoch: LeaderEpoch, epochs: &[LeaderEpoch], high_watermark: Offset) -> Handle {
    let mut replica = Replica { leader_epoch, high_watermark, ..Default::default() };
    epochs.iter().enumerate().for_each(|(at, epoch)| replica.push((*epoch, at as i64)));
    let handle = Handle::default();
    *handle.0.borrow_mut() = replica;
    handle
}

/// A machine that follows partition 0 of a leader, and its log.
struct Script {
    machine: FetcherMachine<Handle>,
    log: Handle,
    now_ms: i64,
    session_id: i32,
}

impl Script {
    fn new(settings: MachineSettings, log: Handle) -> Script {
        let mut machine = FetcherMachine::new(settings);
        let epoch = log.0.borrow().leader_epoch;
        machine.add(name(0), epoch, log.clone());
        Script { machine, log, now_ms: 10, session_id: 77 }
    }

    fn next(&mut self) -> Ask {
        self.machine.next(self.now_ms, &())
    }

    fn fetch(&mut self) -> SessionFetch {
        match self.next() {
            Ask::Fetch(question) => question.session,
            other => panic!("not a fetch: {other:?}"),
        }
    }

    /// The one partition of a fetch.
    fn asked(&mut self) -> FetchPosition {
        let fetch = self.fetch();
        assert_eq!(fetch.partitions.len(), 1, "{fetch:?}");
        fetch.partitions[0].1
    }

    fn epoch_asked(&mut self) -> LeaderEpoch {
        match self.next() {
            Ask::Epochs(questions) => {
                assert_eq!(questions.len(), 1);
                assert_eq!(questions[0].current_leader_epoch, self.log.0.borrow().leader_epoch);
                questions[0].leader_epoch
            }
            other => panic!("not about epochs: {other:?}"),
        }
    }

    fn answer_epoch(&mut self, error: ErrorCode, leader_epoch: LeaderEpoch, end_offset: Offset) {
        let question = EpochQuestion {
            name: name(0),
            current_leader_epoch: self.log.0.borrow().leader_epoch,
            leader_epoch: 0,
        };
        let end = EpochEnd { leader_epoch, end_offset };
        self.machine.on_epochs(vec![(question, Some((error, end)))], self.now_ms);
    }

    fn offsets_asked(&mut self) -> bool {
        match self.next() {
            Ask::Offsets(questions) => questions[0].earliest,
            other => panic!("not about offsets: {other:?}"),
        }
    }

    fn answer_offset(&mut self, earliest: bool, error: ErrorCode, offset: Offset) {
        let current_leader_epoch = self.log.0.borrow().leader_epoch;
        let question = OffsetQuestion { name: name(0), current_leader_epoch, earliest };
        self.machine.on_offsets(vec![(question, Some((error, offset)))], self.now_ms);
    }

    fn answer(&mut self, partition: FetchedPartition) {
        let answer =
            FetchAnswer { error: ErrorCode::None, session_id: self.session_id, partitions: vec![partition] };
        self.machine.on_fetched(answer, self.now_ms);
    }

    fn answer_error(&mut self, error: ErrorCode) {
        self.answer(FetchedPartition { error, ..empty(0) });
    }

    fn end(&self) -> Offset {
        self.log.0.borrow().end()
    }
}

fn empty(high_watermark: Offset) -> FetchedPartition {
    FetchedPartition {
        name: name(0),
        error: ErrorCode::None,
        high_watermark,
        log_start_offset: 0,
        diverging: None,
        records: Bytes::new(),
    }
}

fn data(base: Offset, records: &[Record], high_watermark: Offset) -> FetchedPartition {
    FetchedPartition { records: encode(base, records), ..empty(high_watermark) }
}

#[test]
fn records_and_the_high_watermark_are_taken_over() {
    let mut script = Script::new(settings(true, true), log(4, &[1, 1, 4], 1));
    let first = FetchPosition {
        current_leader_epoch: 4,
        fetch_offset: 3,
        log_start_offset: 0,
        last_fetched_epoch: Some(4),
    };
    assert_eq!(script.asked(), first, "from its end: no phase of truncation");
    script.answer(data(3, &[(4, 3), (4, 4)], 4));
    assert_eq!((script.end(), script.log.0.borrow().high_watermark), (5, 4));
    assert_eq!(script.asked(), FetchPosition { fetch_offset: 5, ..first });
    script.answer(empty(9));
    assert_eq!(script.log.0.borrow().high_watermark, 5, "not beyond its own end");
    let fetch = script.fetch();
    assert!(fetch.partitions.is_empty() && fetch.forgotten.is_empty(), "nothing changed: {fetch:?}");
    script.answer(empty(2));
    assert_eq!(script.log.0.borrow().high_watermark, 5, "what is committed stays so");
    script.answer(FetchedPartition { log_start_offset: 2, ..empty(9) });
    let expected = FetchPosition { fetch_offset: 5, log_start_offset: 2, ..first };
    assert_eq!(script.asked(), expected, "the log start follows, and the leader hears of it");
}

#[test]
fn a_cut_by_the_fetch_comes_before_the_high_watermark() {
    let mut script = Script::new(settings(true, true), log(5, &[1, 1, 1, 2, 2, 2], 3));
    assert_eq!(script.asked().last_fetched_epoch, Some(2));
    let diverging = Some(EpochEnd { leader_epoch: 1, end_offset: 4 });
    script.answer(FetchedPartition { diverging, ..data(6, &[(5, 6)], 6) });
    assert_eq!((script.end(), script.log.0.borrow().high_watermark), (3, 3), "its own end of epoch 1");
    let asked = script.asked();
    assert_eq!((asked.fetch_offset, asked.last_fetched_epoch), (3, Some(1)));
    // The same order again would change nothing: not in a hot loop.
    let diverging = Some(EpochEnd { leader_epoch: 1, end_offset: 4 });
    script.answer(FetchedPartition { diverging, ..empty(6) });
    assert_eq!(script.fetch().forgotten, [name(0)]);
}

/// A leader tells a session what changed, and only once.
#[test]
fn a_high_watermark_that_was_not_taken_in_is_asked_for_again() {
    let full = |script: &mut Script| {
        let fetch = script.fetch();
        assert_eq!((fetch.session_epoch, fetch.partitions.len()), (0, 1), "{fetch:?}");
    };
    let mut script = Script::new(settings(true, true), log(5, &[1, 1, 1, 2, 2, 2], 3));
    full(&mut script);
    let diverging = Some(EpochEnd { leader_epoch: 1, end_offset: 3 });
    script.answer(FetchedPartition { diverging, ..empty(3) });
    full(&mut script);
    script.answer(empty(3));
    let fetch = script.fetch();
    assert_eq!((fetch.session_epoch, fetch.partitions.len()), (1, 0), "once: {fetch:?}");

    // The replica follows in another epoch since the request went out.
    script.log.0.borrow_mut().leader_epoch = 6;
    script.machine.add(name(0), 6, script.log.clone());
    script.answer(empty(3));
    full(&mut script);
    script.answer(empty(3));

    // It was taken away, and given back before anything else was asked.
    script.fetch();
    script.machine.remove(&name(0));
    script.answer(empty(3));
    script.machine.add(name(0), 6, script.log.clone());
    full(&mut script);
    script.answer(empty(3));

    // It is gone: the others go on.
    script.fetch();
    script.machine.remove(&name(0));
    script.answer(empty(3));
    assert_eq!(script.fetch().forgotten, [name(0)]);
}

#[test]
fn epochs_are_asked_for_until_one_is_known_to_both() {
    let mut script = Script::new(settings(false, true), log(9, &[1, 1, 3, 3, 7, 7], 0));
    assert_eq!(script.epoch_asked(), 7);
    script.answer_epoch(ErrorCode::None, 5, 9);
    assert_eq!(script.end(), 4, "epoch 5 is not known here: the end of epoch 3");
    assert_eq!(script.epoch_asked(), 3);
    script.answer_epoch(ErrorCode::None, 3, 3);
    assert_eq!(script.end(), 3);
    let asked = script.asked();
    assert_eq!((asked.fetch_offset, asked.last_fetched_epoch), (3, None));
}

#[test]
fn without_an_epoch_in_common_the_high_watermark_decides() {
    let mut script = Script::new(settings(false, true), log(9, &[1, 1, 3, 3], 2));
    assert_eq!(script.epoch_asked(), 3);
    script.answer_epoch(ErrorCode::None, -1, -1);
    assert_eq!(script.asked().fetch_offset, 2);
    let mut script = Script::new(settings(false, false), log(9, &[1, 1, 3, 3], 1));
    assert_eq!(script.asked().fetch_offset, 1, "before 0.11 nobody is asked");
    let mut script = Script::new(settings(true, true), log(9, &[], 0));
    assert_eq!(script.asked().fetch_offset, 0, "an empty log has nothing to compare");
    let mut script = Script::new(settings(false, true), log(9, &[1, 1, 3, 3], 2));
    script.epoch_asked();
    script.answer_epoch(ErrorCode::None, -1, 3);
    assert_eq!(script.asked().fetch_offset, 3, "version 0 of the answer: the leader's end");
}

#[test]
fn out_of_range_resets_to_the_leaders_end_or_start() {
    let mut script = Script::new(settings(true, true), log(5, &[1; 6], 3));
    script.asked();
    script.answer_error(ErrorCode::OffsetOutOfRange);
    assert!(!script.offsets_asked());
    script.answer_offset(false, ErrorCode::None, 4);
    assert_eq!(
        (script.end(), script.asked().fetch_offset),
        (4, 4),
        "an unclean election: its end is shorter"
    );

    script.answer_error(ErrorCode::OffsetOutOfRange);
    assert!(!script.offsets_asked());
    script.answer_offset(false, ErrorCode::None, 400);
    assert!(script.offsets_asked());
    script.answer_offset(true, ErrorCode::None, 100);
    let asked = script.asked();
    assert_eq!((asked.fetch_offset, asked.log_start_offset, asked.last_fetched_epoch), (100, 100, None));

    script.answer_error(ErrorCode::OffsetOutOfRange);
    script.offsets_asked();
    script.answer_offset(false, ErrorCode::None, 400);
    script.offsets_asked();
    script.answer_offset(true, ErrorCode::None, 50);
    assert_eq!(script.end(), 100, "it is in range again: nothing is lost");
    assert_eq!(script.fetch().forgotten, [name(0)], "but asked for a little later");
    script.now_ms += 100;
    assert_eq!(script.asked().fetch_offset, 100);

    script.answer_error(ErrorCode::OffsetOutOfRange);
    script.offsets_asked();
    script.answer_offset(false, ErrorCode::NotLeaderOrFollower, -1);
    assert_eq!(script.fetch().forgotten, [name(0)]);
    assert_eq!(script.end(), 100);
}

#[test]
fn errors_delay_a_partition_and_nothing_else() {
    let mut script = Script::new(settings(true, true), log(5, &[1; 3], 3));
    script.machine.add(name(1), 5, log(5, &[1; 3], 3));
    assert_eq!(script.fetch().partitions.len(), 2);
    let other = FetchedPartition { name: name(1), ..empty(3) };
    let answer = |script: &mut Script, error| {
        let first = (error != ErrorCode::None).then(|| FetchedPartition { error, ..empty(-1) });
        let partitions = first.into_iter().chain([other.clone()]).collect();
        let answer = FetchAnswer { error: ErrorCode::None, session_id: 77, partitions };
        script.machine.on_fetched(answer, script.now_ms);
    };
    answer(&mut script, ErrorCode::UnknownLeaderEpoch);
    let mut paused_ms = Vec::new();
    for error in [ErrorCode::NotLeaderOrFollower; 8] {
        let Ask::Fetch(question) = script.next() else { panic!("the other one is fetched") };
        assert_eq!(question.session.forgotten, [name(0)]);
        paused_ms.push(question.wait_ms_max);
        answer(&mut script, ErrorCode::None);
        script.now_ms += BACKOFF_MS;
        assert_eq!(script.fetch().partitions[0].0, name(0), "its time has come");
        answer(&mut script, error);
    }
    assert_eq!(paused_ms, [20, 40, 80, 160, 320, 500, 500, 500], "the fetch ends when the pause does");
    script.now_ms += BACKOFF_MS;
    script.fetch();
    answer(&mut script, ErrorCode::UnknownServerError);
    let Ask::Fetch(question) = script.next() else { panic!("the other one is fetched") };
    assert_eq!(question.wait_ms_max, WAIT_MS);
    script.now_ms += BACKOFF_MS - 1;
    assert!(script.fetch().partitions.is_empty(), "replica.fetch.backoff.ms is not over");
}

#[test]
fn a_fenced_follower_waits_for_the_controller() {
    let mut script = Script::new(settings(true, true), log(5, &[1; 3], 3));
    script.asked();
    script.answer_error(ErrorCode::FencedLeaderEpoch);
    assert!(script.machine.is_empty());
    assert_eq!(script.fetch().forgotten, [name(0)], "the session hears of it");
    script.answer_nothing();
    assert_eq!(script.next(), Ask::Wait(None));
    script.log.0.borrow_mut().leader_epoch = 6;
    script.machine.add(name(0), 6, script.log.clone());
    assert_eq!(script.asked().current_leader_epoch, 6);
}

impl Script {
    fn answer_nothing(&mut self) {
        let answer =
            FetchAnswer { error: ErrorCode::None, session_id: self.session_id, partitions: Vec::new() };
        self.machine.on_fetched(answer, self.now_ms);
    }
}

#[test]
fn an_answer_for_another_epoch_is_ignored() {
    let mut script = Script::new(settings(true, true), log(5, &[1; 3], 3));
    script.asked();
    script.log.0.borrow_mut().leader_epoch = 6;
    script.machine.add(name(0), 6, script.log.clone());
    script.answer(data(3, &[(5, 99)], 4));
    assert_eq!(script.end(), 3, "records of a leader that was replaced");
    assert_eq!(script.asked().current_leader_epoch, 6);
    // The replica changes hands before the machine hears of it.
    script.log.0.borrow_mut().leader_epoch = 7;
    script.answer(data(3, &[(6, 99)], 4));
    assert_eq!(script.end(), 3);
    assert!(script.machine.is_empty());
    let mut script = Script::new(settings(false, true), log(5, &[1; 3], 3));
    script.epoch_asked();
    script.log.0.borrow_mut().leader_epoch = 6;
    script.machine.add(name(0), 6, script.log.clone());
    let question = EpochQuestion { name: name(0), current_leader_epoch: 5, leader_epoch: 1 };
    let end = EpochEnd { leader_epoch: 1, end_offset: 0 };
    script.machine.on_epochs(vec![(question, Some((ErrorCode::None, end)))], script.now_ms);
    assert_eq!(script.end(), 3, "nor is a log cut by it");
}

#[test]
fn bad_records_are_fetched_again_and_a_broken_disk_is_left() {
    let mut script = Script::new(settings(true, true), log(5, &[1; 3], 3));
    script.asked();
    script.answer(data(7, &[(5, 1)], 9));
    assert_eq!(script.end(), 3);
    assert_eq!(script.fetch().forgotten, [name(0)]);
    script.answer_nothing();
    script.now_ms += BACKOFF_MS;
    assert_eq!(script.asked().fetch_offset, 3);
    script.log.0.borrow_mut().broken = true;
    script.answer(data(3, &[(5, 1)], 9));
    assert!(script.machine.is_empty());
}

#[test]
fn without_an_answer_everything_pauses_and_the_session_begins_anew() {
    let mut script = Script::new(settings(true, true), log(5, &[1; 3], 3));
    script.asked();
    script.answer(empty(3));
    script.fetch();
    script.machine.on_failed(script.now_ms);
    assert_eq!(script.next(), Ask::Wait(Some(script.now_ms + BACKOFF_MS)));
    script.now_ms += BACKOFF_MS;
    let fetch = script.fetch();
    assert_eq!((fetch.session_id, fetch.session_epoch, fetch.partitions.len()), (77, 0, 1));
    script.machine.on_failed(script.now_ms);
    script.machine.add(name(1), 2, log(2, &[], 0));
    assert_eq!(script.fetch().partitions.len(), 2, "who comes anew does not wait for the pause");
    script.machine.on_interrupted();
    assert_eq!(script.fetch().session_epoch, 0);
    let refusal = |error| FetchAnswer { error, session_id: 0, partitions: Vec::new() };
    script.machine.on_fetched(refusal(ErrorCode::FetchSessionIdNotFound), script.now_ms);
    assert_eq!(script.fetch().session_id, 0);
    script.machine.on_fetched(refusal(ErrorCode::UnknownServerError), script.now_ms);
    assert!(matches!(script.next(), Ask::Wait(Some(_))), "not in a hot loop");
}

#[test]
fn a_thousand_idle_partitions_are_one_small_request() {
    let mut script = Script::new(settings(true, true), log(5, &[1; 3], 3));
    for partition in 1..1000 {
        script.machine.add(name(partition), 5, log(5, &[1; 3], 3));
    }
    let fetch = script.fetch();
    assert_eq!(fetch.partitions.len(), 1000);
    let partitions =
        fetch.partitions.iter().map(|(name, _)| FetchedPartition { name: name.clone(), ..empty(3) });
    let answer = FetchAnswer { error: ErrorCode::None, session_id: 1, partitions: partitions.collect() };
    script.machine.on_fetched(answer, script.now_ms);
    for _ in 0..3 {
        let fetch = script.fetch();
        assert!(fetch.partitions.is_empty() && fetch.forgotten.is_empty());
        script.session_id = 1;
        script.answer_nothing();
    }
    script.fetch();
    script.answer(data(3, &[(5, 3)], 3));
    assert_eq!(script.fetch().partitions.len(), 1, "only what moved is named");
}

#[test]
fn a_throttled_partition_waits_unless_it_is_in_sync() {
    struct All;
    impl Throttle for All {
        fn holds_back(&self, _: &TopicPartition) -> bool {
            true
        }
    }
    let mut script = Script::new(settings(true, true), log(5, &[1; 3], 3));
    assert_eq!(script.machine.next(script.now_ms, &All), Ask::Wait(Some(script.now_ms + BACKOFF_MS)));
    assert_eq!(script.asked().fetch_offset, 3, "the quota has room again");
    script.answer(data(3, &[(5, 3)], 9));
    let Ask::Fetch(question) = script.machine.next(script.now_ms, &All) else { panic!("tells the leader") };
    assert_eq!(question.session.forgotten, [name(0)]);
    script.answer_nothing();
    script.asked();
    script.answer(data(4, &[(5, 4), (5, 5)], 6));
    let Ask::Fetch(question) = script.machine.next(script.now_ms, &All) else { panic!("it is in sync") };
    assert_eq!(question.session.partitions.len(), 1);
}
