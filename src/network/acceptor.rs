//! Listening sockets.

use super::connection::ConnectionSettings;
use super::limits::{Admission, ConnectionLimits, Slot};
use super::service::ConnectionInfo;
use super::worker::{Accepted, WorkerQueues};
use crate::common::clock;
use log::{debug, error, info};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

const TARGET: &str = "kafka.network.Acceptor";
const BACKLOG: i32 = 512;

/// What a listener needs to know.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    /// Listener name, such as `PLAINTEXT`.
    pub name: String,
    /// Host to bind; empty: all addresses.
    pub host: String,
    /// Port to bind; 0: any free one.
    pub port: u16,
    /// `socket.send.buffer.bytes`; -1: the system's default.
    pub send_buffer_bytes: i32,
    /// `socket.receive.buffer.bytes`; -1: the system's default.
    pub receive_buffer_bytes: i32,
    /// For its connections.
    pub connection: ConnectionSettings,
}

/// A bound socket that accepts once it is run.
pub struct Listener {
    socket: std::net::TcpListener,
    settings: ListenerSettings,
}

impl Listener {
    /// Binds. The error's text is Kafka's.
    pub fn bind(settings: ListenerSettings) -> io::Result<Listener> {
        let shown = if settings.host.is_empty() { "0.0.0.0" } else { &settings.host };
        let fail = |e: io::Error| {
            let reason = if e.kind() == io::ErrorKind::AddrInUse {
                "Address already in use".into()
            } else {
                e.to_string()
            };
            io::Error::new(
                e.kind(),
                format!("Socket server failed to bind to {shown}:{}: {reason}.", settings.port),
            )
        };
        let socket = bind(&settings).map_err(fail)?;
        info!(target: TARGET, "Awaiting socket connections on {shown}:{}.", settings.port);
        Ok(Listener { socket, settings })
    }

    /// Where it listens.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Listener name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Accepts until the task is dropped. Runs on any runtime with I/O.
    pub async fn run(self, limits: Arc<ConnectionLimits>, queues: WorkerQueues) -> io::Result<()> {
        let listener = TcpListener::from_std(self.socket)?;
        info!(target: "kafka.network.SocketServer", "Started data-plane acceptor for endpoint : ListenerName({}) on {}",
            self.settings.name, listener.local_addr()?);
        loop {
            match listener.accept().await {
                Ok((socket, peer)) => {
                    if let Some((socket, slot)) = admit(&limits, &self.settings.name, socket, peer).await
                        && let Some(accepted) = prepare(socket, peer, slot, &self.settings)
                    {
                        queues.hand_over(accepted);
                    }
                }
                Err(e) => {
                    // Mostly out of descriptors: give connections a moment to end.
                    error!(target: TARGET, "Error while accepting connection: {e}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

fn bind(settings: &ListenerSettings) -> io::Result<std::net::TcpListener> {
    let address = if settings.host.is_empty() {
        any_address(settings.port)
    } else {
        (settings.host.as_str(), settings.port)
            .to_socket_addrs()
            .ok()
            .and_then(|mut found| found.next())
            .ok_or_else(|| io::Error::other("Unresolved address"))?
    };
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if settings.receive_buffer_bytes > 0 {
        socket.set_recv_buffer_size(settings.receive_buffer_bytes as usize)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// All addresses of both families, as Java binds; IPv4 alone where the kernel has no IPv6.
fn any_address(port: u16) -> SocketAddr {
    match Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP)) {
        Ok(_) => SocketAddr::from(([0u16; 8], port)),
        Err(_) => SocketAddr::from(([0, 0, 0, 0], port)),
    }
}

/// A place for the connection, waited for if need be; none if it must go.
async fn admit(
    limits: &Arc<ConnectionLimits>,
    listener: &str,
    socket: TcpStream,
    peer: SocketAddr,
) -> Option<(TcpStream, Slot)> {
    let wait_ms = limits.arrived(listener, clock::coarse_monotonic_ms());
    if wait_ms > 0 {
        debug!(target: TARGET, "Connections of listener {listener} come too fast. Delay time: {wait_ms} ms");
        tokio::time::sleep(Duration::from_millis(wait_ms as u64)).await;
    }
    let address = peer.ip().to_canonical();
    loop {
        // Before the question: who goes between the two is not missed.
        let released = limits.released();
        match limits.admit(listener, address, clock::coarse_monotonic_ms()) {
            Admission::Admitted(slot) => return Some((socket, slot)),
            Admission::TooManyFromAddress(max) => {
                info!(target: TARGET,
                    "Rejected connection from /{address}, address already has the configured maximum of {max} connections.");
                return None;
            }
            Admission::TooFastFromAddress(wait_ms) => {
                debug!(target: TARGET, "Delaying closing of connection from /{address} for {wait_ms} ms");
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(wait_ms as u64)).await;
                    drop(socket);
                });
                return None;
            }
            Admission::Full => released.await,
        }
    }
}

fn prepare(socket: TcpStream, peer: SocketAddr, slot: Slot, settings: &ListenerSettings) -> Option<Accepted> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let local = socket.local_addr().ok()?;
    socket.set_nodelay(true).ok()?;
    let socket = socket.into_std().ok()?;
    let options = SockRef::from(&socket);
    if settings.send_buffer_bytes > 0 {
        options.set_send_buffer_size(settings.send_buffer_bytes as usize).ok()?;
    }
    options.set_keepalive(true).ok()?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let id = format!(
        "{}:{}-{}:{}-{number}",
        local.ip().to_canonical(),
        local.port(),
        peer.ip().to_canonical(),
        peer.port()
    );
    let info = ConnectionInfo { id, listener: settings.name.clone(), peer };
    Some(Accepted { socket, info, settings: settings.connection.clone(), slot })
}
