//! A blocking connection that speaks frames, and messages through the crate kafka-protocol: an oracle independent
//! of our own codec.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use socket2::{Domain, Socket, Type};

use super::PATIENCE;

/// No answer in the tests is larger.
const FRAME_SIZE_MAX: usize = 256 << 20;

/// One connection. Calls panic on what a healthy broker never does; the `try_` forms return errors, for tests in
/// which the broker dies.
pub struct Wire {
    stream: TcpStream,
    correlation_id: i32,
}

impl Wire {
    /// Connects to `HOST:PORT`.
    pub fn connect(address: &str) -> Wire {
        Wire::try_connect(address).unwrap_or_else(|e| panic!("cannot connect to {address}: {e}"))
    }

    pub fn try_connect(address: &str) -> io::Result<Wire> {
        Wire::over(TcpStream::connect(address)?)
    }

    /// Connects from another address of this machine, such as 127.0.0.2.
    pub fn connect_from(local: &str, address: &str) -> Wire {
        let parsed = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&parsed(&format!("{local}:0")).into()).expect("an address of this machine");
        socket.connect(&parsed(address).into()).expect("somebody listens");
        Wire::over(socket.into()).expect("an open socket")
    }

    fn over(stream: TcpStream) -> io::Result<Wire> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire { stream, correlation_id: 0 })
    }

    /// As [`Wire::try_connect`], but nothing takes longer than `patience`: for brokers that hang.
    pub fn try_connect_within(address: &str, patience: Duration) -> io::Result<Wire> {
        let address = address.parse().map_err(io::Error::other)?;
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Wire { stream, correlation_id: 0 })
    }

    /// Sends `body` with its size before it.
    pub fn send_frame(&mut self, body: &[u8]) -> io::Result<()> {
        let size = i32::try_from(body.len()).expect("a frame below 2 GiB");
        let mut frame = Vec::with_capacity(4 + body.len());
        frame.extend_from_slice(&size.to_be_bytes());
        frame.extend_from_slice(body);
        self.stream.write_all(&frame)
    }

    /// The next frame without its size. A closed connection is `UnexpectedEof`.
    pub fn read_frame(&mut self) -> io::Result<Bytes> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let size = usize::try_from(i32::from_be_bytes(size)).expect("a size is not negative");
        assert!(size <= FRAME_SIZE_MAX, "a frame of {size} bytes");
        let mut body = vec![0; size];
        self.stream.read_exact(&mut body)?;
        Ok(body.into())
    }

    /// Sends bytes as they are: for broken frames.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Whether the broker has closed the connection without another byte.
    pub fn is_closed_by_peer(&mut self) -> bool {
        match self.stream.read(&mut [0; 1]) {
            Ok(count) => count == 0,
            Err(e) => e.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    /// One request and its answer.
    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.try_call(version, request).unwrap_or_else(|e| panic!("API {} version {version}: {e}", R::KEY))
    }

    pub fn try_call<R: Request>(&mut self, version: i16, request: &R) -> io::Result<R::Response> {
        let correlation_id = self.try_send(version, request)?;
        let (received, response) = self.try_receive::<R>(version)?;
        assert_eq!(received, correlation_id, "correlation id of the answer to API {}", R::KEY);
        Ok(response)
    }

    /// Sends a request without waiting (acks=0, pipelining); returns its correlation id.
    pub fn try_send<R: Request>(&mut self, version: i16, request: &R) -> io::Result<i32> {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("ottla-test")));
        let mut body = BytesMut::new();
        header.encode(&mut body, R::header_version(version)).expect("an encodable header");
        request.encode(&mut body, version).expect("a request that this version can say");
        self.send_frame(&body)?;
        Ok(self.correlation_id)
    }

    /// The next answer, which must be one to an `R`, and its correlation id.
    pub fn try_receive<R: Request>(&mut self, version: i16) -> io::Result<(i32, R::Response)> {
        let mut frame = self.read_frame()?;
        let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version))
            .unwrap_or_else(|e| panic!("answer to API {} version {version}: header: {e}", R::KEY));
        let response = R::Response::decode(&mut frame, version)
            .unwrap_or_else(|e| panic!("answer to API {} version {version}: {e}", R::KEY));
        assert!(
            frame.is_empty(),
            "answer to API {} version {version}: {} bytes too many",
            R::KEY,
            frame.len()
        );
        Ok((header.correlation_id, response))
    }
}
