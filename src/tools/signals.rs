//! SIGTERM and SIGINT end a tool as they end a JVM: a last act, then exit code 128 + signal.

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
