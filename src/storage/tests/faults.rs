//! Disks that fail: nothing is acknowledged that was not written, nothing half-written is seen, and a sync that
//! failed is never tried again.

use super::world::{World, batches_of, check_consistent, name, open_manager};
use crate::record::testing::Rng;
use crate::storage::file::tests::{self as seam, Fault, Recorded};
use crate::storage::log_flush::FlushScope;

#[test]
fn whatever_fails_nothing_acknowledged_is_lost_and_nothing_half_is_seen() {
    let mut rng = Rng::fixed("faults", 11);
    for _ in 0..25 {
        let root = tempfile::tempdir().expect("temporary directory");
        seam::start();
        let mut world = World::new(root.path());
        seam::fail(Fault {
            after: rng.below(150) as usize,
            only: |_| true,
            errno: [libc::ENOSPC, libc::EIO, libc::EROFS][rng.below(3) as usize],
            bytes: rng.below(300) as usize,
        });
        for _ in 0..150 {
            let stepped = world.step(&mut rng);
            assert_eq!(stepped.is_err(), seam::failed().is_some(), "{stepped:?} after {:?}", seam::failed());
            if stepped.is_err() {
                break;
            }
        }
        if seam::failed().is_some() {
            assert!(world.log.plan_read(0, world.log.log_end()).is_err(), "the log is offline");
            assert!(world.log.append_as_leader(&mut [], 0, 0).is_err());
            assert!(world.log.begin_flush_of(FlushScope::All, 0).is_err());
            assert!(world.manager.write_recovery_points(&[world.log.state()]).is_err());
            assert!(world.manager.fail_directory(&world.log.log_dir().clone()), "nobody knew yet");
        }
        let World { log, manager, model, versions, .. } = world;
        drop((log, manager));
        seam::stop();
        let manager = open_manager(root.path());
        let mut log = manager.claim(&name()).expect("there");
        let found = batches_of(&log);
        for batch in &model.batches {
            if batch.info.base_offset >= log.log_start_offset() {
                assert!(found.contains(batch), "batch {} was acknowledged", batch.info.base_offset);
            }
        }
        let known = |at: &super::world::Placed| versions[&at.info.base_offset].contains(&at.bytes);
        assert!(found.iter().all(known), "a batch that was never written");
        check_consistent(&mut log, &found, model.log_start);
    }
}

#[test]
fn a_failed_sync_is_final() {
    let mut rng = Rng::fixed("sync", 11);
    let root = tempfile::tempdir().expect("temporary directory");
    seam::start();
    let mut world = World::new(root.path());
    while world.model.batches.len() < 3 {
        world.step(&mut rng).expect("no fault");
    }
    let job = world.log.begin_flush_of(FlushScope::All, 0).expect("works");
    let second = world.log.begin_flush_of(FlushScope::All, 0).expect("works");
    let recovery_point = world.log.recovery_point();
    if let (Some(job), Some(second)) = (job, second) {
        let log_file = |change: &Recorded| matches!(change, Recorded::Sync(path) if path.extension().is_some_and(|e| e == "log"));
        seam::fail(Fault { after: 0, only: log_file, errno: libc::EIO, bytes: 0 });
        job.run().expect_err("the disk fails");
        seam::take();
        second.run().expect_err("a flush that was under way does not succeed");
        assert!(!seam::take().iter().any(|change| matches!(change, Recorded::Sync(_))), "no second try");
    } else {
        panic!("everything is flushed");
    }
    assert_eq!(world.log.recovery_point(), recovery_point);
    assert!(world.log.append_as_leader(&mut [], 0, 0).is_err());
    seam::stop();
}
