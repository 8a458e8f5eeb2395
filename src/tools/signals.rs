//! SIGTERM and SIGINT end a tool as they end a JVM: a last act, then exit code 128 + signal.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Longest wait for a tool to end its work; Kafka's clients give a close so much.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one thread opens when it is done, and another waits for.
#[derive(Clone, Default)]
pub struct Latch(Arc<(Mutex<bool>, Condvar)>);

impl Latch {
    /// Lets everybody through.
    pub fn open(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Lets nobody through until it is opened again.
    pub fn shut(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// Waits until it is open, with limited patience.
    pub fn wait(&self) {
        let is_open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether it opened or patience ran out: the end comes next.
        drop(self.0.1.wait_timeout_while(is_open, PATIENCE, |is_open| !*is_open));
    }
}

/// As [`on_termination`]: `wake` makes the tool end its work, and `done` is opened when it has.
pub fn on_termination_wait(done: &Latch, wake: impl FnOnce() + Send + 'static) {
    let done = done.clone();
    on_termination(move || {
        wake();
        done.wait();
    });
}

/// Runs `last_act` in a thread of its own when one of the signals comes, then ends the process. To be called
/// before any other thread starts.
pub fn on_termination(last_act: impl FnOnce() + Send + 'static) {
    // SAFETY: the set is initialised by `sigemptyset` before its use; the calls keep no reference to it.
    let set = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGTERM);
        libc::sigaddset(&mut set, libc::SIGINT);
        libc::sigaddset(&mut set, libc::SIGHUP);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        set
    };
    std::thread::spawn(move || {
        let mut signal = 0;
        // SAFETY: waits for one of the blocked signals and stores its number.
        let failed = unsafe { libc::sigwait(&set, &mut signal) };
        if failed == 0 {
            last_act();
            super::output::flush();
            std::process::exit(128 + signal);
        }
    });
}
