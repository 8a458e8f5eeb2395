//! Runs one command of a case.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a command left.
#[derive(Debug)]
pub struct Ran {
    pub stdout: String,
    pub stderr: String,
    /// A number, or `timeout`.
    pub exit: String,
}

const PATIENCE: Duration = Duration::from_secs(90);

/// A command of a scenario: where, as whom, with what.
pub struct Call<'a> {
    pub command: &'a str,
    pub dir: &'a Path,
    pub version: &'a str,
    pub stdin: Option<&'a str>,
    /// When to send SIGTERM.
    pub terminate: Option<Terminate>,
    /// stdin and stdout are a terminal without echo; a line of stdin is typed when there is a prompt for it.
    pub terminal: bool,
}

/// What stdout has to hold before a command is terminated, or typed to.
pub enum Terminate {
    /// So many bytes; at once for 0.
    Bytes(usize),
    /// This text.
    Text(&'static str),
}

impl Terminate {
    fn is_due(&self, stdout: &[u8]) -> bool {
        match self {
            Terminate::Bytes(count) => stdout.len() >= *count,
            Terminate::Text(text) => String::from_utf8_lossy(stdout).contains(text),
        }
    }
}

/// The folder of the scripts.
pub fn bin_dir() -> String {
    format!("{}/bin", env!("CARGO_MANIFEST_DIR"))
}

impl Call<'_> {
    pub fn run(&self) -> Ran {
        let mut command = self.command();
        command.stderr(Stdio::piped());
        let (mut child, stdout) =
            if self.terminal { self.on_terminal(command) } else { self.on_pipes(command) };
        let stderr = collect(child.stderr.take().expect("piped"));
        if let Some(terminate) = &self.terminate {
            stdout.wait_for(terminate);
            let pid = i32::try_from(child.id()).expect("a pid");
            // SAFETY: kill only sends a signal; the pid is our own child, not yet waited for.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
        let exit = wait(&mut child);
        Ran { stdout: stdout.text(), stderr: stderr.text(), exit }
    }

    /// A shell with the command, in the surroundings of the call.
    pub fn command(&self) -> Command {
        let binaries = Path::new(env!("CARGO_BIN_EXE_kafka-tools")).parent().expect("a folder");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("bash");
        command
            .args(["-c", self.command])
            .current_dir(self.dir)
            .env("PATH", format!("{}:{path}", bin_dir()))
            .env("OTTLA_BIN", binaries)
            .env("KAFKA_TOOLS_VERSION", self.version)
            .env("LOG_DIR", self.dir.join("logs"));
        command
    }

    fn on_pipes(&self, mut command: Command) -> (Child, Collected) {
        command
            .stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("bash runs");
        if let (Some(text), Some(mut stdin)) = (self.stdin, child.stdin.take()) {
            let text = text.to_string();
            std::thread::spawn(move || stdin.write_all(text.as_bytes()));
        }
        let stdout = collect(child.stdout.take().expect("piped"));
        (child, stdout)
    }

    fn on_terminal(&self, mut command: Command) -> (Child, Collected) {
        let (mut keyboard, terminal) = open_terminal();
        let screen = keyboard.try_clone().expect("descriptor");
        command.stdin(terminal.try_clone().expect("descriptor")).stdout(terminal);
        let child = command.spawn().expect("bash runs");
        // The terminal ends with its last descriptor, and so does reading from its other side.
        drop(command);
        let stdout = collect(screen);
        for (i, line) in self.stdin.unwrap_or_default().lines().enumerate() {
            stdout.wait_for(&Terminate::Bytes(i + 1));
            keyboard.write_all(format!("{line}\n").as_bytes()).expect("a terminal");
        }
        (child, stdout)
    }
}

/// Both sides of a terminal without echo: the tester's and the program's.
fn open_terminal() -> (File, OwnedFd) {
    let (mut ours, mut theirs) = (-1, -1);
    let none = std::ptr::null_mut();
    // SAFETY: openpty fills both numbers; name, termios and size may be null.
    let result = unsafe { libc::openpty(&raw mut ours, &raw mut theirs, none, none.cast(), none.cast()) };
    assert_eq!(result, 0, "openpty: {}", std::io::Error::last_os_error());
    // SAFETY: both are open and nobody else's.
    let (ours, theirs) = unsafe { (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) };
    // SAFETY: an all-zero termios is a valid value, and the calls fill and read it for an open terminal.
    unsafe {
        let mut settings: libc::termios = std::mem::zeroed();
        assert_eq!(libc::tcgetattr(theirs.as_raw_fd(), &raw mut settings), 0);
        settings.c_lflag &= !libc::ECHO;
        assert_eq!(libc::tcsetattr(theirs.as_raw_fd(), libc::TCSANOW, &raw const settings), 0);
    }
    (ours, theirs)
}

fn wait(child: &mut Child) -> String {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("own child") {
            return status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)).to_string();
        }
        if started.elapsed() > PATIENCE {
            child.kill().expect("own child");
            child.wait().expect("own child");
            return "timeout".to_string();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A stream that is read as it comes.
struct Collected {
    bytes: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
    thread: std::thread::JoinHandle<()>,
}

impl Collected {
    fn wait_for(&self, terminate: &Terminate) {
        let started = Instant::now();
        while !terminate.is_due(&self.bytes.lock().expect("not poisoned")) && started.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn text(self) -> String {
        self.thread.join().expect("reader");
        String::from_utf8_lossy(&self.bytes.lock().expect("not poisoned")).into_owned()
    }
}

fn collect(mut stream: impl Read + Send + 'static) -> Collected {
    let bytes = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let shared = bytes.clone();
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            shared.lock().expect("not poisoned").extend_from_slice(&buffer[..n]);
        }
    });
    Collected { bytes, thread }
}
