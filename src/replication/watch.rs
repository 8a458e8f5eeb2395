//! Who waits for a partition to move.
//!
//! A fetch watches the partitions that it found empty. When one of them moves it is *marked*: its key goes
//! into the fetch's list and the fetch wakes once, to look at what was marked and at nothing else. So a
//! partition without news costs nothing, however many fetches include it.

use slab::Slab;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

/// The receiving end: one fetch, or one fetch session.
#[derive(Debug, Default)]
pub struct Watcher {
    state: Mutex<WatcherState>,
}

#[derive(Debug, Default)]
struct WatcherState {
    marked: Vec<u32>,
    /// Marked without a reason to wake: looked at with the next ones, or when the time is over.
    noted: Vec<u32>,
    waker: Option<Waker>,
}

impl Watcher {
    /// A watcher without marks.
    pub fn new() -> Arc<Watcher> {
        Arc::new(Watcher::default())
    }

    /// Takes the keys marked or noted since the last call.
    pub fn take_marked(&self) -> Vec<u32> {
        let mut state = self.lock();
        let mut taken = std::mem::take(&mut state.marked);
        taken.append(&mut state.noted);
        taken
    }

    /// Takes the marked keys; if there are none, remembers whom to wake at the next mark.
    pub fn take_marked_or_wait(&self, waker: &Waker) -> Vec<u32> {
        let mut state = self.lock();
        if state.marked.is_empty() && !state.waker.as_ref().is_some_and(|w| w.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
        std::mem::take(&mut state.marked)
    }

    fn mark(&self, key: u32) -> Option<Waker> {
        let mut state = self.lock();
        state.marked.push(key);
        state.waker.take()
    }

    fn note(&self, key: u32) {
        self.lock().noted.push(key);
    }

    fn lock(&self) -> MutexGuard<'_, WatcherState> {
        self.state.lock().expect("no panic while a watcher is locked")
    }
}

#[derive(Debug)]
struct Watch {
    watcher: Arc<Watcher>,
    key: u32,
    armed: bool,
    noted: bool,
}

/// Names a watch within its partition.
pub type WatchId = usize;

/// The watches of one partition. Belongs to the partition's mutex.
#[derive(Debug, Default)]
pub struct Watches {
    all: Slab<Watch>,
    armed: Vec<WatchId>,
}

impl Watches {
    /// Adds a watch that is armed: the next move of the partition marks `key`.
    pub fn add(&mut self, watcher: &Arc<Watcher>, key: u32) -> WatchId {
        let id = self.all.insert(Watch { watcher: Arc::clone(watcher), key, armed: true, noted: false });
        self.armed.push(id);
        id
    }

    /// Arms a watch again after it has marked.
    pub fn arm(&mut self, id: WatchId) {
        let Some(watch) = self.all.get_mut(id) else { return };
        watch.noted = false;
        if !watch.armed {
            watch.armed = true;
            self.armed.push(id);
        }
    }

    /// Ends a watch.
    pub fn remove(&mut self, id: WatchId) {
        if self.all.try_remove(id).is_some_and(|watch| watch.armed) {
            self.armed.retain(|armed| *armed != id);
        }
    }

    /// The partition moved: marks all armed watches and adds whom to wake, once the lock is released.
    pub fn mark_all(&mut self, wake: &mut Vec<Waker>) {
        for id in self.armed.drain(..) {
            let watch = &mut self.all[id];
            watch.armed = false;
            wake.extend(watch.watcher.mark(watch.key));
        }
    }

    /// Something moved that is worth telling, but not worth an answer of its own: nobody is woken, and whoever is woken
    /// by something else, or out of time, looks at it.
    pub fn note_all(&mut self) {
        for (_, watch) in &mut self.all {
            if watch.armed && !watch.noted {
                watch.noted = true;
                watch.watcher.note(watch.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_move_marks_once_until_armed_again() {
        let (watcher, count) = (Watcher::new(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let mut watches = Watches::default();
        let id = watches.add(&watcher, 7);
        assert!(watcher.take_marked_or_wait(&waker).is_empty());
        let mut wake = Vec::new();
        watches.mark_all(&mut wake);
        watches.mark_all(&mut wake);
        assert_eq!(wake.len(), 1);
        wake.drain(..).for_each(Waker::wake);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(watcher.take_marked(), [7]);
        watches.arm(id);
        watches.arm(id);
        watches.mark_all(&mut wake);
        assert_eq!(watcher.take_marked_or_wait(&waker), [7]);
        watches.remove(id);
        watches.mark_all(&mut wake);
        assert!(watcher.take_marked().is_empty());
    }

    #[test]
    fn a_note_wakes_nobody_and_is_seen_once() {
        let (watcher, count) = (Watcher::new(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let mut watches = Watches::default();
        let id = watches.add(&watcher, 7);
        assert!(watcher.take_marked_or_wait(&waker).is_empty());
        watches.note_all();
        watches.note_all();
        assert!(watcher.take_marked_or_wait(&waker).is_empty());
        assert_eq!(watcher.take_marked(), [7]);
        let mut wake = Vec::new();
        watches.mark_all(&mut wake);
        wake.drain(..).for_each(Waker::wake);
        assert_eq!(count.0.load(Ordering::SeqCst), 1, "the watch is still armed");
        assert_eq!(watcher.take_marked(), [7]);
        watches.arm(id);
        watches.note_all();
        assert_eq!(watcher.take_marked(), [7]);
    }
}
