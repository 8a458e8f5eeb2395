//! What a thread that works and the thread that disturbs it tell each other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::support::wait_for;

/// How far the work is, and whether it is to end.
#[derive(Default)]
pub struct Progress {
    steps: AtomicU64,
    enough: AtomicBool,
    ended: AtomicBool,
    abandoned: AtomicBool,
}

impl Progress {
    /// The worker has got an answer.
    pub fn step(&self) {
        self.steps.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits for that many steps more, or for the end of the work.
    pub fn wait_for_more(&self, count: u64) {
        self.wait_for_more_or(count, || false);
    }

    /// As [`Progress::wait_for_more`], or until there is a reason why none can come.
    pub fn wait_for_more_or(&self, count: u64, is_excused: impl Fn() -> bool) {
        let goal = self.steps.load(Ordering::SeqCst) + count;
        wait_for(&format!("{count} steps more"), || {
            let is_there = self.steps.load(Ordering::SeqCst) >= goal || self.ended.load(Ordering::SeqCst);
            (is_there || is_excused()).then_some(())
        });
    }

    /// Asks the worker to finish what it has begun.
    pub fn ask_to_end(&self) {
        self.enough.store(true, Ordering::SeqCst);
    }

    pub fn is_enough(&self) -> bool {
        self.enough.load(Ordering::SeqCst)
    }

    /// Whether the other thread has failed.
    pub fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst)
    }

    /// Held by the worker: nobody waits for more steps once it is gone, panicking or not.
    pub fn working(&self) -> SetOnDrop<'_> {
        SetOnDrop(&self.ended)
    }

    /// Held by who waits for the worker: if that thread panics, the worker is to end, too.
    pub fn watching(&self) -> SetOnDrop<'_> {
        SetOnDrop(&self.abandoned)
    }
}

pub struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
