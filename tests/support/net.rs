//! Network namespaces (Linux, root): processes on hosts of their own, whose packets can be dropped one way.
//!
//! Nothing has a name and nothing of the machine's own network is touched: a namespace ends with its last process.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, id};
use std::sync::Arc;
use std::thread;

/// One network namespace.
#[derive(Clone)]
pub struct Namespace(Arc<File>);

impl Namespace {
    /// A new one, without any device that is up.
    pub fn new() -> io::Result<Namespace> {
        let created = thread::spawn(|| {
            // SAFETY: concerns this thread only, which then ends.
            match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
                0 => File::open("/proc/thread-self/ns/net"),
                _ => Err(io::Error::last_os_error()),
            }
        });
        Ok(Namespace(Arc::new(created.join().expect("it does not panic")?)))
    }

    /// The calling thread, and the threads and processes that it starts from now on, live in it. Async-signal-safe.
    pub fn enter(&self) -> io::Result<()> {
        // SAFETY: a system call on a descriptor that is open.
        match unsafe { libc::setns(self.0.as_raw_fd(), libc::CLONE_NEWNET) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn run(&self, words: &str) -> io::Result<()> {
        self.run_words(&words.split(' ').collect::<Vec<_>>())
    }

    /// Runs a command in it.
    fn run_words(&self, words: &[&str]) -> io::Result<()> {
        let mut command = Command::new(words[0]);
        let namespace = self.clone();
        // SAFETY: one system call, which is async-signal-safe.
        unsafe { command.pre_exec(move || namespace.enter()) };
        let output = command.args(&words[1..]).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))))
    }

    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", id(), self.0.as_raw_fd())
    }
}

/// Hosts on one switch, and a place on that switch for who looks on.
pub struct Net {
    hub: Namespace,
    hosts: Vec<Namespace>,
}

impl Net {
    /// The address of clients.
    pub const CLIENTS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
    /// The address of ZooKeeper, in the same namespace as the clients.
    pub const ZOOKEEPER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

    /// The address of a host.
    pub fn address(host: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, 10 + u8::try_from(host).expect("few hosts"))
    }

    /// Builds it, with that many hosts. Fails without root, `ip`, or namespaces in the kernel.
    pub fn new(hosts: usize) -> io::Result<Net> {
        let hub = Namespace::new()?;
        hub.run("ip link set lo up")?;
        hub.run("ip link add switch type bridge")?;
        for address in [Net::CLIENTS, Net::ZOOKEEPER] {
            hub.run(&format!("ip addr add {address}/24 dev switch"))?;
        }
        hub.run("ip link set switch up")?;
        let mut net = Net { hub, hosts: Vec::new() };
        for host in 0..hosts {
            let namespace = Namespace::new()?;
            let peer = namespace.path();
            net.hub.run(&format!("ip link add port{host} type veth peer name eth0 netns {peer}"))?;
            net.hub.run(&format!("ip link set port{host} master switch up"))?;
            namespace.run("ip link set lo up")?;
            namespace.run(&format!("ip addr add {}/24 dev eth0", Net::address(host)))?;
            namespace.run("ip link set eth0 up")?;
            namespace.run("tc qdisc add dev eth0 clsact")?;
            net.hosts.push(namespace);
        }
        Ok(net)
    }

    pub fn hub(&self) -> &Namespace {
        &self.hub
    }

    pub fn host(&self, host: usize) -> &Namespace {
        &self.hosts[host]
    }

    /// From now on, what the host sends to the address is lost; what that address sends arrives.
    pub fn lose(&self, host: usize, to: Ipv4Addr) {
        // Classic BPF over an Ethernet frame: "IPv4, and the destination is `to`" drops it (2), else it passes (-1).
        let program =
            format!("6,40 0 0 12,21 0 3 2048,32 0 0 30,21 0 1 {},6 0 0 2,6 0 0 {}", u32::from(to), u32::MAX);
        let words = ["tc", "filter", "add", "dev", "eth0", "egress", "bpf", "da", "bytecode", &program];
        self.hosts[host].run_words(&words).expect("tc");
    }

    /// Neither hears the other.
    pub fn cut(&self, one: usize, other: usize) {
        self.lose(one, Net::address(other));
        self.lose(other, Net::address(one));
    }

    /// Nothing is lost any more.
    pub fn heal(&self) {
        for host in &self.hosts {
            host.run("tc filter del dev eth0 egress").expect("tc");
        }
    }
}
