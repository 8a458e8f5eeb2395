//! Receive buffers that go round.
//!
//! A buffer is borrowed when a socket is readable and comes back when the last frame cut from it is
//! dropped, which normally is the end of the same turn of the event loop. Fresh memory costs a page fault
//! per 4 KiB, several times the price of the copy out of the socket, so buffers are kept, up to a bound.

use std::sync::{Arc, Mutex, MutexGuard};

/// Sizes of pooled buffers in bytes. A frame that is larger than the largest gets a buffer of its own.
const SIZES: [usize; 4] = [16 << 10, 64 << 10, 256 << 10, 1280 << 10];

/// Bytes of idle buffers that a pool keeps.
const IDLE_BYTES_MAX: usize = 16 << 20;

/// A shared set of idle buffers.
#[derive(Debug, Default)]
pub struct BufferPool {
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    buffers: [Vec<Box<[u8]>>; SIZES.len()],
    bytes: usize,
}

/// Memory on loan from a pool; it returns when dropped.
#[derive(Debug)]
pub struct PooledBuffer {
    memory: Box<[u8]>,
    pool: Arc<BufferPool>,
}

impl BufferPool {
    /// A pool without buffers.
    pub fn new() -> Arc<BufferPool> {
        Arc::new(BufferPool::default())
    }

    /// A buffer of at least `bytes` bytes; its content is arbitrary.
    pub fn borrow(self: &Arc<Self>, bytes: usize) -> PooledBuffer {
        let memory = match size_class(bytes) {
            None => vec![0; bytes].into_boxed_slice(),
            Some(class) => self.take(class).unwrap_or_else(|| vec![0; SIZES[class]].into_boxed_slice()),
        };
        PooledBuffer { memory, pool: Arc::clone(self) }
    }

    fn take(&self, class: usize) -> Option<Box<[u8]>> {
        let mut idle = self.lock();
        let memory = idle.buffers[class].pop()?;
        idle.bytes -= memory.len();
        Some(memory)
    }

    fn give_back(&self, memory: Box<[u8]>) {
        let Some(class) = SIZES.iter().position(|size| *size == memory.len()) else { return };
        let mut idle = self.lock();
        if idle.bytes + memory.len() <= IDLE_BYTES_MAX {
            idle.bytes += memory.len();
            idle.buffers[class].push(memory);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().expect("no panic while the pool is locked")
    }

    #[cfg(test)]
    fn idle_bytes(&self) -> usize {
        self.lock().bytes
    }
}

fn size_class(bytes: usize) -> Option<usize> {
    SIZES.iter().position(|size| *size >= bytes)
}

impl PooledBuffer {
    /// All of the memory.
    pub fn memory_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    /// Its size in bytes.
    pub fn capacity(&self) -> usize {
        self.memory.len()
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_up_to_the_bound() {
        let pool = BufferPool::new();
        let held: Vec<_> = (0..40).map(|_| pool.borrow(1 << 20)).collect();
        assert_eq!(pool.idle_bytes(), 0);
        drop(held);
        assert!(pool.idle_bytes() <= IDLE_BYTES_MAX);
        assert!(pool.idle_bytes() > IDLE_BYTES_MAX / 2);
    }

    #[test]
    fn a_huge_frame_gets_its_own_memory() {
        let pool = BufferPool::new();
        assert_eq!(pool.borrow(5_000_000).capacity(), 5_000_000);
        assert_eq!(pool.idle_bytes(), 0);
        assert_eq!(pool.borrow(1).capacity(), SIZES[0]);
    }
}
