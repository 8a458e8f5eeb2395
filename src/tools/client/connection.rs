//! One connection to a broker: negotiates versions once, then asks and waits.

use super::Address;
use crate::common::clock;
use crate::protocol::client::decode_response;
use crate::protocol::messages::api_versions::ApiVersionsRequest;
use crate::protocol::{ApiKey, ApiRequest, DecodeError, encode_request};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// Largest answer that is believed; Kafka's clients take any, brokers cap fetches far below.
const FRAME_BYTES_MAX: usize = 1 << 30;
/// `socket.connection.setup.timeout.ms`
const CONNECT_TIMEOUT_MS: i64 = 10_000;
/// Requests that one connection has under way at most.
const EARLY_MAX: usize = 64;

/// Why a call gave no answer.
#[derive(Debug)]
pub enum CallError {
    /// The connection could not be made or broke.
    Io(io::Error),
    /// No answer in time; the connection is of no further use.
    TimedOut,
    /// The answer makes no sense.
    Decode(DecodeError),
    /// The broker does not know this kind of request in a version that we know.
    Unsupported(ApiKey),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Io(error) => write!(f, "{error}"),
            CallError::TimedOut => f.write_str("no answer in time"),
            CallError::Decode(error) => write!(f, "unreadable answer: {error:?}"),
            CallError::Unsupported(key) => {
                write!(f, "The broker does not support {}", key.name())
            }
        }
    }
}

impl From<io::Error> for CallError {
    fn from(error: io::Error) -> CallError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => CallError::TimedOut,
            _ => CallError::Io(error),
        }
    }
}

impl From<DecodeError> for CallError {
    fn from(error: DecodeError) -> CallError {
        CallError::Decode(error)
    }
}

/// A connection after its ApiVersions exchange.
pub struct Connection {
    stream: TcpStream,
    address: Address,
    client_id: ByteString,
    correlation_id: i32,
    /// By API: the range of the broker.
    versions: HashMap<i16, (i16, i16)>,
    /// Answers that came while another was waited for, by correlation id.
    early: HashMap<i32, Bytes>,
}

/// A request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    correlation_id: i32,
    version: i16,
}

impl Connection {
    /// Connects and asks for the versions. `timeout_ms` bounds either step.
    pub fn open(address: &Address, client_id: &ByteString, timeout_ms: i64) -> Result<Connection, CallError> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for candidate in address.resolve()? {
            let timeout = Duration::from_millis(timeout_ms.clamp(1, CONNECT_TIMEOUT_MS) as u64);
            match TcpStream::connect_timeout(&candidate, timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    let mut connection = Connection {
                        stream,
                        address: address.clone(),
                        client_id: client_id.clone(),
                        correlation_id: 0,
                        versions: HashMap::new(),
                        early: HashMap::new(),
                    };
                    connection.negotiate(timeout_ms)?;
                    return Ok(connection);
                }
                Err(error) => last = error,
            }
        }
        Err(CallError::Io(last))
    }

    fn negotiate(&mut self, timeout_ms: i64) -> Result<(), CallError> {
        let request = ApiVersionsRequest {
            client_software_name: "ottla-tools".into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
            ..Default::default()
        };
        let newest = ApiKey::ApiVersions.max_version();
        let pending = self.send_version(&request, newest)?;
        let mut response = self.receive::<ApiVersionsRequest>(pending, timeout_ms)?;
        if response.api_keys.is_empty() || response.error_code != 0 {
            let pending = self.send_version(&request, 0)?;
            response = self.receive::<ApiVersionsRequest>(pending, timeout_ms)?;
        }
        self.versions =
            response.api_keys.iter().map(|row| (row.api_key, (row.min_version, row.max_version))).collect();
        Ok(())
    }

    /// The address that was connected to.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// By number of the API: the range of versions that the broker serves.
    pub fn versions(&self) -> &HashMap<i16, (i16, i16)> {
        &self.versions
    }

    /// The socket, for `poll`.
    pub fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// The newest version of an API that both sides speak.
    pub fn version_of(&self, key: ApiKey) -> Result<i16, CallError> {
        let (min, max) = self.versions.get(&(key as i16)).copied().ok_or(CallError::Unsupported(key))?;
        let version = max.min(key.max_version());
        if version < min.max(key.min_version()) {
            return Err(CallError::Unsupported(key));
        }
        Ok(version)
    }

    /// Sends a request in the newest version and does not wait.
    pub fn send<R: ApiRequest>(&mut self, request: &R) -> Result<Pending, CallError> {
        let version = self.version_of(R::KEY)?;
        self.send_version(request, version)
    }

    fn send_version<R: ApiRequest>(&mut self, request: &R, version: i16) -> Result<Pending, CallError> {
        self.correlation_id = self.correlation_id.wrapping_add(1);
        let frame = encode_request(self.correlation_id, Some(&self.client_id), version, request);
        self.stream.write_all(&frame)?;
        Ok(Pending { correlation_id: self.correlation_id, version })
    }

    /// Waits for the answer. Answers to other requests, which a broker gives in order, are kept for theirs.
    pub fn receive<R: ApiRequest>(
        &mut self,
        pending: Pending,
        timeout_ms: i64,
    ) -> Result<R::Response, CallError> {
        let frame = match self.early.remove(&pending.correlation_id) {
            Some(frame) => frame,
            None => loop {
                let frame = self.read_frame(timeout_ms)?;
                match correlation_id(&frame)? {
                    id if id == pending.correlation_id => break frame,
                    id if self.is_owed(id) => self.early.insert(id, frame),
                    id => {
                        let text = format!("answer {id} to request {}", pending.correlation_id);
                        return Err(CallError::Io(io::Error::new(io::ErrorKind::InvalidData, text)));
                    }
                };
            },
        };
        Ok(decode_response::<R>(frame, pending.version)?.1)
    }

    /// True if the answer can be received without waiting for the broker, within `wait_ms`.
    pub fn wait(&mut self, pending: Pending, wait_ms: i64) -> bool {
        if self.has_received(pending) {
            return true;
        }
        let mut fd = libc::pollfd { fd: self.fd(), events: libc::POLLIN, revents: 0 };
        let wait_ms = wait_ms.clamp(0, i64::from(i32::MAX)) as i32;
        // SAFETY: one valid structure; the call writes its `revents` only.
        unsafe { libc::poll(&mut fd, 1, wait_ms) > 0 }
    }

    /// True if the answer came while another was waited for.
    pub fn has_received(&self, pending: Pending) -> bool {
        self.early.contains_key(&pending.correlation_id)
    }

    /// True if a request of that number was sent and not long ago.
    fn is_owed(&self, id: i32) -> bool {
        self.early.len() < EARLY_MAX
            && id <= self.correlation_id
            && id > self.correlation_id - EARLY_MAX as i32
    }

    /// Asks in the newest version and waits.
    pub fn call<R: ApiRequest>(&mut self, request: &R, timeout_ms: i64) -> Result<R::Response, CallError> {
        let pending = self.send(request)?;
        self.receive::<R>(pending, timeout_ms)
    }

    fn read_frame(&mut self, timeout_ms: i64) -> Result<Bytes, CallError> {
        let deadline_ms = clock::monotonic_ms() + timeout_ms.max(1);
        let mut size = [0; 4];
        self.read_until(&mut size, deadline_ms)?;
        let size = usize::try_from(i32::from_be_bytes(size)).unwrap_or(usize::MAX);
        if size > FRAME_BYTES_MAX {
            let text = format!("an answer of {size} bytes");
            return Err(CallError::Io(io::Error::new(io::ErrorKind::InvalidData, text)));
        }
        let mut frame = BytesMut::zeroed(size);
        self.read_until(&mut frame, deadline_ms)?;
        Ok(frame.freeze())
    }

    fn read_until(&mut self, buffer: &mut [u8], deadline_ms: i64) -> Result<(), CallError> {
        let mut done = 0;
        while done < buffer.len() {
            let left = deadline_ms - clock::monotonic_ms();
            if left <= 0 {
                return Err(CallError::TimedOut);
            }
            self.stream.set_read_timeout(Some(Duration::from_millis(left as u64)))?;
            match self.stream.read(&mut buffer[done..]) {
                Ok(0) => return Err(CallError::Io(io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn correlation_id(frame: &Bytes) -> Result<i32, CallError> {
    match frame.first_chunk::<4>() {
        Some(bytes) => Ok(i32::from_be_bytes(*bytes)),
        None => Err(CallError::Io(io::ErrorKind::UnexpectedEof.into())),
    }
}
