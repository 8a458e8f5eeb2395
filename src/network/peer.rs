//! The client's end of a connection to another broker: one request under way at a time.

use bytes::{Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, lookup_host};

/// Answers of brokers to brokers are small, but for fetches; this is what Kafka allows a frame by default.
const FRAME_BYTES_MAX: usize = 100 << 20;
const SIZE_BYTES: usize = 4;
/// Read at least as much at a time.
const READ_BYTES_MIN: usize = 16 << 10;
/// The buffer grows by so much at most before the bytes are there.
const READ_BYTES_MAX: usize = 1 << 20;

/// After so many answers that are small beside the largest one, the buffer is given back.
const SMALL_ANSWERS_MAX: u32 = 32;
/// Buffers below are kept.
const BUFFER_BYTES_KEPT: usize = 256 << 10;

/// What a connection is opened with.
#[derive(Clone, Debug)]
pub struct PeerSettings {
    /// SO_RCVBUF; -1 leaves it to the system.
    pub receive_buffer_bytes: i32,
    /// Larger answers are errors.
    pub frame_bytes_max: usize,
}

impl Default for PeerSettings {
    fn default() -> Self {
        PeerSettings { receive_buffer_bytes: -1, frame_bytes_max: FRAME_BYTES_MAX }
    }
}

/// A connection that this broker opened. After an error it is of no further use.
#[derive(Debug)]
pub struct PeerConnection {
    socket: TcpStream,
    frame_bytes_max: usize,
    /// Its memory is used again as soon as the last answer is dropped.
    buffer: BytesMut,
    /// The largest answer since the buffer was made, and how many answers were much smaller since.
    largest: usize,
    small: u32,
}

impl PeerConnection {
    /// Connects to `host:port`. The caller bounds the time.
    pub async fn open(host: &str, port: u16) -> io::Result<PeerConnection> {
        PeerConnection::open_with(host, port, &PeerSettings::default()).await
    }

    /// The same with settings.
    pub async fn open_with(host: &str, port: u16, settings: &PeerSettings) -> io::Result<PeerConnection> {
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        for address in lookup_host((host, port)).await? {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            if let Ok(bytes @ 1..) = u32::try_from(settings.receive_buffer_bytes) {
                socket.set_recv_buffer_size(bytes)?;
            }
            match socket.connect(address).await {
                Err(refused) => failure = refused,
                Ok(socket) => {
                    socket.set_nodelay(true)?;
                    let (frame_bytes_max, buffer) = (settings.frame_bytes_max, BytesMut::new());
                    return Ok(PeerConnection { socket, frame_bytes_max, buffer, largest: 0, small: 0 });
                }
            }
        }
        Err(failure)
    }

    /// Sends a frame with its size, gives the answer without. The caller bounds the time.
    pub async fn exchange(&mut self, frame: &[u8]) -> io::Result<Bytes> {
        self.socket.write_all(frame).await?;
        self.fill(SIZE_BYTES).await?;
        let size = i32::from_be_bytes([self.buffer[0], self.buffer[1], self.buffer[2], self.buffer[3]]);
        let size =
            usize::try_from(size).ok().filter(|size| *size <= self.frame_bytes_max).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, format!("Invalid receive (size = {size})"))
            })?;
        self.fill(SIZE_BYTES + size).await?;
        let mut answer = self.buffer.split_to(SIZE_BYTES + size);
        self.note_size(size);
        Ok(answer.split_off(SIZE_BYTES).freeze())
    }

    /// A buffer that was needed once is not kept for ever.
    fn note_size(&mut self, size: usize) {
        self.largest = self.largest.max(size);
        self.small = if size < self.largest / 8 { self.small + 1 } else { 0 };
        if self.small >= SMALL_ANSWERS_MAX && self.largest > BUFFER_BYTES_KEPT {
            // Nothing but the answer is in it: one request is under way at a time.
            (self.buffer, self.largest, self.small) = (BytesMut::new(), 0, 0);
        }
    }

    /// Reads until the buffer holds `size` bytes. Memory grows with what arrives, not with what is announced.
    async fn fill(&mut self, size: usize) -> io::Result<()> {
        while self.buffer.len() < size {
            let missing = size - self.buffer.len();
            self.buffer.reserve(missing.clamp(READ_BYTES_MIN, READ_BYTES_MAX));
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}
