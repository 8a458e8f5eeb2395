use super::*;
use crate::common::random;

const LAG_MS: i64 = 1000;

fn at(offset: i64) -> LogPosition {
    LogPosition { offset, segment_base_offset: 0, position: offset as u32 * 10 }
}

fn machine(high_watermark: i64) -> PartitionMachine {
    PartitionMachine::new(1, at(high_watermark), LAG_MS)
}

fn state(epoch: i32, isr: &[i32]) -> LeadershipState {
    LeadershipState {
        controller_epoch: 1,
        leader: 1,
        leader_epoch: epoch,
        in_sync_replicas: isr.to_vec(),
        zk_version: 0,
        replicas: vec![1, 2, 3],
    }
}

fn ends(end: i64, now_ms: i64) -> LeaderEnds {
    LeaderEnds { local_end: at(end), log_end: end, now_ms }
}

impl PartitionMachine {
    fn fetch(&mut self, id: i32, offset: i64, end: i64, now_ms: i64) -> FollowerFetched {
        self.follower_fetched(id, at(offset), 0, &ends(end, now_ms)).expect("a replica")
    }
}

#[test]
fn alone_in_the_isr_everything_local_is_committed() {
    let mut machine = machine(0);
    assert!(machine.become_leader(&state(0, &[1]), at(5), 0));
    assert_eq!(machine.high_watermark(), at(5));
    assert!(machine.advance(at(7), 0));
    assert!(!machine.advance(at(7), 0));
    assert_eq!(machine.high_watermark(), at(7));
}

#[test]
fn a_silent_in_sync_follower_holds_the_high_watermark() {
    let mut machine = machine(3);
    assert!(!machine.become_leader(&state(0, &[1, 2]), at(5), 0));
    assert!(!machine.advance(at(9), 0));
    assert_eq!(machine.high_watermark(), at(3));
    assert!(machine.become_leader(&state(1, &[1]), at(9), 0));
    assert_eq!(machine.high_watermark(), at(9));
}

#[test]
fn who_died_with_all_records_holds_nothing_up() {
    let mut machine = machine(0);
    machine.become_leader(&state(0, &[1, 2, 3]), at(5), 0);
    machine.fetch(2, 5, 5, 1);
    machine.fetch(3, 5, 5, 1);
    // The controller has taken 3 out of the ISR. It lacks nothing, until the next append.
    machine.become_leader(&state(1, &[1, 2]), at(5), 2);
    machine.about_to_append(5, 3);
    assert!(machine.fetch(2, 6, 6, 4).committed);
    assert_eq!(machine.high_watermark(), at(6));
}

#[test]
fn the_slowest_in_sync_replica_decides() {
    let mut machine = machine(0);
    machine.become_leader(&state(0, &[1, 2, 3]), at(0), 0);
    assert!(!machine.fetch(2, 4, 10, 1).committed);
    assert!(machine.fetch(3, 3, 10, 2).committed);
    assert_eq!(machine.high_watermark(), at(3));
    assert!(!machine.fetch(3, 3, 10, 3).committed, "nothing new");
    assert!(machine.fetch(3, 10, 10, 4).committed);
    assert_eq!(machine.high_watermark(), at(4));
    assert!(machine.follower_fetched(9, at(10), 0, &ends(10, 5)).is_none(), "no replica");
}

#[test]
fn a_follower_that_has_caught_up_joins_and_counts_before_that_is_written() {
    let mut machine = machine(0);
    machine.become_leader(&state(0, &[1]), at(8), 0);
    let first = FollowerFetched { start_moved: true, ..Default::default() };
    assert_eq!(machine.fetch(2, 0, 8, 1), first, "it lacks committed records");
    let change = machine.fetch(2, 8, 8, 2).isr_change.expect("caught up");
    assert_eq!((change.in_sync_replicas.as_slice(), change.zk_version), (&[1, 2][..], 0));
    assert_eq!(machine.fetch(3, 8, 8, 2).isr_change, None, "one change at a time");
    assert!(!machine.advance(at(9), 5 * LAG_MS), "the proposed member counts");
    assert_eq!(machine.maximal_in_sync(), 2);
    assert_eq!(machine.in_sync_replicas(), [1]);
    machine.isr_is(&change, wanted(&change, 1), &ends(9, 5 * LAG_MS));
    assert_eq!(machine.in_sync_replicas(), [1, 2]);
    machine.isr_is(&change, wanted(&change, 2), &ends(9, 5 * LAG_MS));
    let next = machine.fetch(3, 8, 9, 6 * LAG_MS).isr_change.expect("its turn");
    assert_eq!((next.in_sync_replicas.as_slice(), next.zk_version), (&[1, 2, 3][..], 1));
}

/// Else it could be elected before it has what was committed under the leaders before this one (KIP-101).
#[test]
fn who_has_not_reached_the_start_of_the_epoch_does_not_join() {
    let mut machine = machine(0);
    machine.become_leader(&state(0, &[1, 3]), at(8), 0);
    assert_eq!(machine.high_watermark(), at(0));
    assert_eq!(machine.fetch(2, 5, 8, 1).isr_change, None);
    assert!(machine.fetch(2, 8, 9, 1).isr_change.is_some());
}

#[test]
fn who_lags_leaves_once_that_is_written() {
    let mut machine = machine(0);
    machine.become_leader(&state(0, &[1, 2, 3]), at(0), 0);
    machine.fetch(2, 0, 0, 0);
    machine.fetch(3, 0, 0, 0);
    assert_eq!(machine.shrinkage(0, 9 * LAG_MS), None, "idle, not lagging");
    machine.about_to_append(0, 10 * LAG_MS);
    machine.fetch(2, 5, 5, 10 * LAG_MS + 1);
    assert_eq!(machine.shrinkage(5, 11 * LAG_MS), None, "it had everything until the append");
    let change = machine.shrinkage(5, 11 * LAG_MS + 1).expect("3 lags");
    assert_eq!(change.in_sync_replicas, [1, 2]);
    assert_eq!(machine.shrinkage(5, 11 * LAG_MS + 1), None, "under way");
    assert!(!machine.advance(at(5), 11 * LAG_MS + 1), "3 counts until it is out");
    assert!(machine.isr_is(&change, wanted(&change, 1), &ends(5, 11 * LAG_MS + 1)));
    assert_eq!(machine.high_watermark(), at(5));
}

/// It asks for less than there is each time, because there is always more: behind by one fetch, in sync.
#[test]
fn a_follower_one_fetch_behind_is_in_sync() {
    let mut machine = machine(0);
    machine.become_leader(&state(0, &[1, 2]), at(0), 0);
    for round in 1..50 {
        let now_ms = round * LAG_MS / 2;
        machine.fetch(2, (round - 1) * 10, round * 10, now_ms);
        assert_eq!(machine.shrinkage(round * 10, now_ms), None, "round {round}");
    }
    assert!(machine.shrinkage(1000, 50 * LAG_MS).is_some());
}

fn isr(members: &[BrokerId], zk_version: i32) -> IsrState {
    IsrState { in_sync_replicas: members.to_vec(), zk_version }
}

fn wanted(change: &IsrChange, zk_version: i32) -> IsrState {
    isr(&change.in_sync_replicas, zk_version)
}

#[test]
fn a_decision_overtakes_what_was_under_way() {
    let mut machine = machine(0);
    machine.become_leader(&state(0, &[1]), at(0), 0);
    let change = machine.fetch(2, 0, 0, 1).isr_change.expect("caught up");
    machine.become_leader(&LeadershipState { zk_version: 3, ..state(1, &[1]) }, at(4), 2);
    assert!(!machine.isr_is(&change, isr(&[1, 2], 1), &ends(4, 3)));
    assert_eq!(machine.in_sync_replicas(), [1]);
    let change = machine.fetch(2, 4, 4, 4).isr_change.expect("caught up again");
    assert_eq!((change.zk_version, change.leader_epoch), (3, 1));
    // Refused: nobody knows what stands there until the controller speaks, so nothing is tried meanwhile.
    assert_eq!((machine.fetch(2, 4, 4, 5).isr_change, machine.maximal_in_sync()), (None, 2));
    // Somebody has written the state in this epoch.
    assert!(!machine.isr_is(&change, isr(&[1], 4), &ends(4, 5)));
    let change = machine.fetch(2, 4, 4, 6).isr_change.expect("it may try again");
    assert_eq!(change.zk_version, 4);
    // A state without its leader is none.
    assert!(!machine.isr_is(&change, isr(&[2], 5), &ends(4, 6)));
    assert_eq!((machine.in_sync_replicas(), machine.maximal_in_sync()), (&[1][..], 2));
}

#[test]
fn an_epoch_is_accepted_once() {
    let mut machine = machine(0);
    machine.become_leader(&state(4, &[1]), at(0), 0);
    assert_eq!(machine.judge(&state(4, &[1])), Decision::Stale);
    assert_eq!(machine.judge(&state(3, &[1])), Decision::Stale);
    assert_eq!(machine.judge(&state(5, &[1])), Decision::Accepted);
    let mut foreign = state(5, &[2]);
    foreign.replicas = vec![2, 3];
    assert_eq!(machine.judge(&foreign), Decision::NotAReplica);
    machine.become_follower(&state(6, &[2]));
    assert!(!machine.is_leader());
    assert!(!machine.advance(at(10), 0));
}

#[test]
fn the_high_watermark_stays_inside_the_log() {
    let mut machine = machine(50);
    machine.bound_high_watermark(at(0), at(20));
    assert_eq!(machine.high_watermark(), at(20));
    machine.bound_high_watermark(at(30), at(40));
    assert_eq!(machine.high_watermark(), at(30));
}

#[test]
fn the_low_watermark_is_the_lowest_of_those_alive() {
    let mut machine = machine(0);
    machine.become_leader(&state(0, &[1, 2, 3]), at(9), 0);
    assert_eq!(machine.low_watermark(5, |_| true), -1, "nobody has fetched");
    machine.follower_fetched(2, at(9), 3, &ends(9, 1));
    assert_eq!(machine.low_watermark(5, |id| id == 2), 3);
    assert_eq!(machine.low_watermark(5, |_| false), 5);
}

/// Followers fetch, stall, and are cut off; writes of the ISR succeed, fail, or take their time. What is committed is in
/// the log of everybody who might be elected: the members of the ISR that is written, whichever it is.
#[test]
fn what_is_committed_is_with_everybody_who_may_be_elected() {
    let given = std::env::var("OTTLA_SEED").ok().map(|seed| seed.parse().expect("a number"));
    for _ in 0..if given.is_some() { 1 } else { 50 } {
        let mut seed: u64 = given.unwrap_or_else(random::next_u64);
        println!("OTTLA_SEED={seed}");
        let mut below = |bound: i64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as i64 % bound
        };
        let (mut machine, mut end, mut now_ms) = (machine(0), 0, 0);
        machine.become_leader(&state(0, &[1, 2, 3]), at(0), 0);
        let mut logs = [0i64; 4];
        // As it stands in ZooKeeper, and a change whose outcome the leader has not heard.
        let (mut written, mut version, mut unheard) = (vec![1, 2, 3], 0, None::<IsrChange>);
        for _ in 0..2000 {
            now_ms += below(LAG_MS / 4);
            let before = machine.high_watermark().offset;
            let wanted = match below(10) {
                0..3 => {
                    machine.about_to_append(end, now_ms);
                    end += 1 + below(5);
                    logs[1] = end;
                    machine.advance(at(end), now_ms);
                    None
                }
                3..8 => {
                    let id = 2 + below(2);
                    let fetched = machine.fetch(id as i32, logs[id as usize], end, now_ms);
                    if below(3) > 0 {
                        logs[id as usize] += below(end - logs[id as usize] + 1);
                    }
                    fetched.isr_change
                }
                8 => machine.shrinkage(end, now_ms),
                _ => {
                    if let Some(change) = unheard.take() {
                        machine.isr_is(&change, isr(&written, version), &ends(end, now_ms));
                    }
                    None
                }
            };
            if let Some(change) = wanted {
                assert_eq!(change.zk_version, version);
                assert!(unheard.is_none(), "one change at a time");
                let succeeds = below(4) > 0;
                if succeeds {
                    written.clone_from(&change.in_sync_replicas);
                    version += 1;
                }
                unheard = Some(change);
            }
            let committed = machine.high_watermark().offset;
            assert!(committed >= before, "the high watermark went back");
            for id in &written {
                assert!(logs[*id as usize] >= committed, "{id} may be elected and lacks committed records");
            }
        }
        assert!(machine.high_watermark().offset > 0, "nothing was ever committed");
    }
}
