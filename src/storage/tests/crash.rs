//! Random operations; after each, and in the middle of each, the process is killed or the power fails. Whatever the
//! disk holds then must open as a log that kept everything that was flushed, and nothing that was never written.

use super::world::{World, check_image};
use crate::record::testing::Rng;
use crate::storage::file::tests::{self as seam, Disk};

/// Runs `steps` operations and checks one crash in each.
fn run(test: &str, rounds: usize, steps: usize, power_failure: bool) {
    let mut rng = Rng::fixed(test, 11);
    for _ in 0..rounds {
        let root = tempfile::tempdir().expect("temporary directory");
        seam::start();
        let mut world = World::new(root.path());
        let mut disk = Disk::default();
        seam::take().iter().for_each(|change| disk.apply(change));
        for _ in 0..steps {
            let before = world.model.clone();
            world.step(&mut rng).expect("no fault");
            let changes = seam::take();
            let cut = rng.below(changes.len() as u64 + 1) as usize;
            changes[..cut].iter().for_each(|change| disk.apply(change));
            if rng.below(3) == 0 {
                let image = tempfile::tempdir().expect("temporary directory");
                disk.crash(power_failure, &mut rng, root.path(), image.path());
                check_image(image.path(), &world, &before, power_failure);
                seam::take();
            }
            changes[cut..].iter().for_each(|change| disk.apply(change));
        }
        seam::stop();
    }
}

#[test]
fn a_killed_broker_loses_nothing_that_was_flushed_and_invents_nothing() {
    run("kill", 2, 60, false);
}

#[test]
fn a_power_failure_loses_nothing_that_was_flushed_and_invents_nothing() {
    run("power failure", 4, 60, true);
}
