//! The client's end of a connection to another broker: one request under way at a time.

use bytes::Bytes;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Answers of brokers to brokers are small; this is what Kafka allows a frame by default.
const FRAME_BYTES_MAX: usize = 100 << 20;

/// A connection that this broker opened. After an error it is of no further use.
#[derive(Debug)]
pub struct PeerConnection {
    socket: TcpStream,
}

impl PeerConnection {
    /// Connects to `host:port`. The caller bounds the time.
    pub async fn open(host: &str, port: u16) -> io::Result<PeerConnection> {
        let socket = TcpStream::connect((host, port)).await?;
        socket.set_nodelay(true)?;
        Ok(PeerConnection { socket })
    }

    /// Sends a frame with its size, gives the answer without. The caller bounds the time.
    pub async fn exchange(&mut self, frame: &[u8]) -> io::Result<Bytes> {
        self.socket.write_all(frame).await?;
        let size = self.socket.read_i32().await?;
        let size = usize::try_from(size).ok().filter(|size| *size <= FRAME_BYTES_MAX).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("Invalid receive (size = {size})"))
        })?;
        // Memory grows with what arrives, not with what is announced.
        let mut body = Vec::new();
        (&mut self.socket).take(size as u64).read_to_end(&mut body).await?;
        if body.len() < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Bytes::from(body))
    }
}
