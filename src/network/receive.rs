//! Bytes from a socket, cut into frames.
//!
//! ```text
//! stream => frame*        frame => size:int32 body[size]        0 <= size <= socket.request.max.bytes
//! ```
//!
//! Frames are slices of the buffer that they arrived in. What is left of a frame that has not arrived whole
//! moves to the front of a buffer that can hold all of it; memory for a very large frame grows as its bytes
//! arrive, never by its announced size alone. A connection between two frames owns no buffer.

use super::buffer_pool::{BufferPool, PooledBuffer};
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

const SIZE_BYTES: usize = 4;
/// First buffer of a connection of which nothing is known.
const READ_BYTES_FIRST: usize = 16 << 10;
/// A buffer larger than this is only lent as far as bytes have arrived.
const TRUSTED_BYTES_MAX: usize = 1280 << 10;
/// Arrivals smaller than this are copied, so that a small request does not hold a large buffer.
const COPY_BYTES_MAX: usize = 4 << 10;

/// A frame size that ends the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// The size is negative.
    Negative(i32),
    /// The size is above the limit.
    TooLarge(i32, usize),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Negative(size) => write!(f, "Invalid receive (size = {size})"),
            FrameError::TooLarge(size, max) => write!(f, "Invalid receive (size = {size} larger than {max})"),
        }
    }
}

/// Cuts one connection's stream.
#[derive(Debug)]
pub struct FrameReader {
    pool: Arc<BufferPool>,
    frame_bytes_max: usize,
    /// Buffer and number of bytes in it; none between frames.
    partial: Option<(PooledBuffer, usize)>,
    /// Size of buffer that the last frames asked for.
    read_bytes: usize,
}

impl FrameReader {
    /// A reader that refuses frames above `frame_bytes_max`.
    pub fn new(pool: Arc<BufferPool>, frame_bytes_max: usize) -> FrameReader {
        FrameReader { pool, frame_bytes_max, partial: None, read_bytes: READ_BYTES_FIRST }
    }

    /// Room for the next read. Follow up with [`FrameReader::advance`].
    pub fn space(&mut self) -> &mut [u8] {
        let (buffer, filled) = self.partial.get_or_insert_with(|| (self.pool.borrow(self.read_bytes), 0));
        &mut buffer.memory_mut()[*filled..]
    }

    /// The read found nothing: a connection that waits between frames gives its buffer back.
    pub fn release_if_empty(&mut self) {
        if matches!(self.partial, Some((_, 0))) {
            self.partial = None;
        }
    }

    /// Takes `read` new bytes and appends every complete frame to `frames`, without its size.
    pub fn advance(&mut self, read: usize, frames: &mut Vec<Bytes>) -> Result<(), FrameError> {
        let Some((buffer, mut filled)) = self.partial.take() else { return Ok(()) };
        filled += read;
        let data = buffer.as_ref();
        let mut end = 0;
        let mut sizes: smallvec::SmallVec<[usize; 8]> = smallvec::SmallVec::new();
        let mut wanted = 0;
        while let Some(size) = self.frame_size(&data[end..filled])? {
            wanted = SIZE_BYTES + size;
            if filled - end < wanted {
                break;
            }
            sizes.push(size);
            end += wanted;
            wanted = 0;
        }
        let rest = filled - end;
        if sizes.is_empty() && rest < buffer.capacity() {
            let enough = wanted <= buffer.capacity();
            if enough {
                self.partial = Some((buffer, filled));
                return Ok(());
            }
        }
        self.adapt(&sizes, wanted);
        self.keep_rest(&buffer, end..filled, wanted);
        if sizes.is_empty() {
            return Ok(());
        }
        let whole = if end <= COPY_BYTES_MAX {
            Bytes::copy_from_slice(&buffer.as_ref()[..end])
        } else {
            Bytes::from_owner(buffer)
        };
        let mut at = 0;
        for size in sizes {
            frames.push(whole.slice(at + SIZE_BYTES..at + SIZE_BYTES + size));
            at += SIZE_BYTES + size;
        }
        debug_assert_eq!(at + rest, filled);
        Ok(())
    }

    /// True while a frame has arrived in part.
    pub fn is_inside_frame(&self) -> bool {
        matches!(self.partial, Some((_, filled)) if filled > 0)
    }

    fn frame_size(&self, data: &[u8]) -> Result<Option<usize>, FrameError> {
        let Some(head) = data.first_chunk::<SIZE_BYTES>() else { return Ok(None) };
        let size = i32::from_be_bytes(*head);
        let bytes = usize::try_from(size).map_err(|_| FrameError::Negative(size))?;
        if bytes > self.frame_bytes_max {
            return Err(FrameError::TooLarge(size, self.frame_bytes_max));
        }
        Ok(Some(bytes))
    }

    /// Follows the sizes of frames: the next buffer is as large as the largest of them.
    fn adapt(&mut self, sizes: &[usize], wanted: usize) {
        let largest = sizes.iter().map(|size| size + SIZE_BYTES).max().unwrap_or(0).max(wanted);
        self.read_bytes = largest.clamp(READ_BYTES_FIRST, TRUSTED_BYTES_MAX);
    }

    fn keep_rest(&mut self, from: &PooledBuffer, rest: std::ops::Range<usize>, wanted: usize) {
        if rest.is_empty() {
            return;
        }
        let len = rest.len();
        // Twice what has arrived: a sender must pay for what it makes us hold.
        let trusted = TRUSTED_BYTES_MAX.max(2 * len);
        let mut buffer = self.pool.borrow(wanted.max(self.read_bytes).min(trusted));
        buffer.memory_mut()[..len].copy_from_slice(&from.as_ref()[rest]);
        self.partial = Some((buffer, len));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(len: usize, fill: u8) -> Vec<u8> {
        let mut bytes = (len as i32).to_be_bytes().to_vec();
        bytes.extend(std::iter::repeat_n(fill, len));
        bytes
    }

    /// Feeds `stream` in pieces of the given sizes, as a socket would.
    fn cut(stream: &[u8], mut piece: impl FnMut() -> usize) -> Result<Vec<Bytes>, FrameError> {
        let mut reader = FrameReader::new(BufferPool::new(), 3 << 20);
        let mut frames = Vec::new();
        let mut at = 0;
        while at < stream.len() {
            let space = reader.space();
            assert!(!space.is_empty());
            let n = piece().clamp(1, space.len()).min(stream.len() - at);
            space[..n].copy_from_slice(&stream[at..at + n]);
            reader.advance(n, &mut frames)?;
            at += n;
        }
        assert!(!reader.is_inside_frame());
        Ok(frames)
    }

    #[test]
    fn random_pieces_give_the_frames_back() {
        let seed = crate::common::random::next_u64();
        println!("seed {seed}");
        let mut state = seed | 1;
        let mut next = move |bound: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % bound
        };
        for _ in 0..50 {
            let sizes: Vec<usize> = (0..20)
                .map(|_| match next(4) {
                    0 => next(10),
                    1 => next(5_000),
                    2 => next(100_000),
                    _ => next(2_500_000),
                })
                .collect();
            let stream: Vec<u8> =
                sizes.iter().enumerate().flat_map(|(i, size)| frame(*size, i as u8)).collect();
            let scale = [3, 1000, 70_000, 3_000_000][next(4)].max(stream.len() / 5000);
            let frames = cut(&stream, || 1 + next(scale)).expect("frames");
            assert_eq!(frames.iter().map(Bytes::len).collect::<Vec<_>>(), sizes);
            for (i, frame) in frames.iter().enumerate() {
                assert!(frame.iter().all(|b| *b == i as u8));
            }
        }
    }

    #[test]
    fn sizes_are_checked_before_memory_is_lent() {
        let all = || usize::MAX;
        assert_eq!(cut(&(-1i32).to_be_bytes(), all), Err(FrameError::Negative(-1)));
        assert_eq!(cut(b"GET / HTTP/1.1\r\n", all), Err(FrameError::TooLarge(1195725856, 3 << 20)));
        let mut reader = FrameReader::new(BufferPool::new(), 100 << 20);
        reader.space()[..4].copy_from_slice(&(100i32 << 20).to_be_bytes());
        reader.advance(4, &mut Vec::new()).expect("allowed size");
        assert!(reader.space().len() <= TRUSTED_BYTES_MAX);
        assert_eq!(
            FrameError::TooLarge(104857601, 104857600).to_string(),
            "Invalid receive (size = 104857601 larger than 104857600)"
        );
    }

    #[test]
    fn an_idle_reader_owns_nothing() {
        let mut reader = FrameReader::new(BufferPool::new(), 1000);
        let stream = frame(5, 1);
        reader.space()[..stream.len()].copy_from_slice(&stream);
        let mut frames = Vec::new();
        reader.advance(stream.len(), &mut frames).expect("frame");
        assert_eq!(frames.len(), 1);
        assert!(reader.partial.is_none());
        reader.space();
        reader.release_if_empty();
        assert!(reader.partial.is_none());
    }
}
