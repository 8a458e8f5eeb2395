//! What a bug may cost.
//!
//! A panic while a request is decoded or judged ends its connection, nothing else. A panic while a partition's log or
//! role changes leaves a state that nobody can trust, and an acknowledgement may follow from it: the process halts, as
//! after a power failure, and recovery decides what is true.

use log::error;

/// A panic that begins while it lives halts the process.
#[derive(Debug)]
pub struct HaltOnPanic {
    doing: &'static str,
    /// It was made by a destructor, on the way out of a panic elsewhere.
    unwinding: bool,
}

impl HaltOnPanic {
    /// `doing` completes "a panic while ...".
    pub fn new(doing: &'static str) -> HaltOnPanic {
        HaltOnPanic { doing, unwinding: std::thread::panicking() }
    }
}

impl Drop for HaltOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.unwinding {
            error!(target: "kafka.server.KafkaServer", "Halting: a panic while {}", self.doing);
            log::logger().flush();
            std::process::abort();
        }
    }
}

/// Has panics told in the log, as errors, with their place.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        error!(target: "kafka.server.KafkaServer", "Thread {} panicked: {panic}", thread.name().unwrap_or("unnamed"));
    }));
}
