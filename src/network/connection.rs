//! One connection: frames in, answers out, in order.
//!
//! Several requests are under way at once: the next frame is dispatched as soon as the one before has
//! been, and only the answers wait for each other (Kafka serves one request of a connection at a time:
//! this is where the throughput of acks=all comes from). Bounds: [`PIPELINE_MAX`] answers not yet formed, and
//! [`UNSENT_BYTES_MAX`] bytes formed but not yet taken by the peer; beyond either nothing more is read.

use super::buffer_pool::BufferPool;
use super::limits::Presence;
use super::receive::FrameReader;
use super::service::{ConnectionInfo, Dispatch, Outcome, PendingReply, Service};
use super::transmit::Transmitter;
use crate::common::clock;
use bytes::Bytes;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Sleep;

/// Answers that a connection may owe.
const PIPELINE_MAX: usize = 64;
/// Bytes that a connection may owe to a slow reader before its requests wait.
const UNSENT_BYTES_MAX: usize = 1 << 20;
/// Reads in one turn, so that a busy connection leaves room for others.
const READS_PER_TURN_MAX: usize = 4;
/// The idle timer fires no more often than this.
const IDLE_CHECK_MS_MIN: i64 = 1000;

/// Settings that a connection takes from its listener.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    /// `socket.request.max.bytes`.
    pub frame_bytes_max: usize,
    /// `connections.max.idle.ms`; not positive: never.
    pub idle_ms_max: i64,
}

/// Why a connection ended.
#[derive(Debug)]
pub enum End {
    /// The peer closed it.
    PeerClosed,
    /// It was silent for too long.
    Idle,
    /// We end it for what the peer sent.
    Refused(String),
    /// The socket failed.
    Failed(io::Error),
    /// The broker stops; everything owed was sent.
    Stopped,
    /// There are more connections than there may be, and others are not silent for as long.
    TooMany,
}

enum Owed {
    Ready(Outcome),
    Waiting(PendingReply),
}

/// A connection's state; [`Connection::run`] drives it to its end.
pub struct Connection<S> {
    socket: TcpStream,
    info: Arc<ConnectionInfo>,
    service: Arc<S>,
    reader: FrameReader,
    frames: Vec<Bytes>,
    owed: VecDeque<Owed>,
    transmitter: Transmitter,
    /// Set when no more is read: the end that follows once everything owed is sent.
    ending: Option<End>,
    idle_ms_max: i64,
    presence: Arc<Presence>,
    idle_timer: Option<Pin<Box<Sleep>>>,
    /// The client exceeded a quota: until then nothing is read.
    muted: Option<Pin<Box<Sleep>>>,
}

impl<S: Service> Connection<S> {
    /// A connection that has just been accepted.
    pub fn new(
        socket: TcpStream,
        info: Arc<ConnectionInfo>,
        service: Arc<S>,
        pool: Arc<BufferPool>,
        settings: &ConnectionSettings,
        presence: Arc<Presence>,
    ) -> Self {
        Connection {
            socket,
            info,
            service,
            reader: FrameReader::new(pool, settings.frame_bytes_max),
            frames: Vec::new(),
            owed: VecDeque::new(),
            transmitter: Transmitter::default(),
            ending: None,
            idle_ms_max: settings.idle_ms_max,
            presence,
            idle_timer: None,
            muted: None,
        }
    }

    /// Serves the peer until either side ends it, or `stopped` changes: then what was dispatched is still answered.
    pub async fn run(mut self, mut stopped: watch::Receiver<bool>) -> End {
        if let Some(end) = self.run_until_stopped(&mut stopped).await {
            return end;
        }
        self.ending.get_or_insert(End::Stopped);
        let end = poll_fn(|cx| self.poll(cx)).await;
        if matches!(end, End::Stopped) {
            self.say_goodbye().await;
        }
        end
    }

    /// None if `stopped` changed first. What tells of a stop is polled once, so that this task is woken; a turn
    /// for the peer only looks whether that has happened.
    async fn run_until_stopped(&mut self, stopped: &mut watch::Receiver<bool>) -> Option<End> {
        let seen = stopped.clone();
        let mut changed = pin!(stopped.changed());
        let mut is_known = false;
        poll_fn(|cx| {
            if let Poll::Ready(end) = self.poll(cx) {
                return Poll::Ready(Some(end));
            }
            if self.presence.must_go() {
                return Poll::Ready(Some(End::TooMany));
            }
            if is_known && !seen.has_changed().unwrap_or(true) {
                return Poll::Pending;
            }
            if !is_known {
                is_known = true;
                self.presence.wake_to_go(cx.waker());
                if self.presence.must_go() {
                    return Poll::Ready(Some(End::TooMany));
                }
            }
            changed.as_mut().poll(cx).map(|_| None)
        })
        .await
    }

    /// Ends the stream and waits for the peer to do the same. To close a socket with requests unread would reset the
    /// connection, and a reset discards answers that the peer has not read yet.
    async fn say_goodbye(&mut self) {
        if self.socket.shutdown().await.is_err() {
            return;
        }
        // On the heap: an array would be part of every connection's state from the start.
        let mut unread = vec![0; 4096];
        while self.socket.read(&mut unread).await.is_ok_and(|count| count > 0) {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let mut reads = 0;
        loop {
            self.collect(cx);
            let drained = match self.transmitter.poll_flush(&self.socket, cx) {
                Poll::Ready(Err(e)) => return Poll::Ready(End::Failed(e)),
                Poll::Ready(Ok(())) => true,
                Poll::Pending => false,
            };
            if self.ending.is_some() && self.owed.is_empty() {
                if !drained {
                    return Poll::Pending;
                }
                return Poll::Ready(self.ending.take().unwrap_or(End::PeerClosed));
            }
            if !self.may_read() || self.is_muted(cx) {
                return Poll::Pending;
            }
            if reads == READS_PER_TURN_MAX {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            reads += 1;
            match self.poll_read(cx) {
                Poll::Ready(()) => {}
                // The timer knows this task already, and looks at the last activity when it fires.
                Poll::Pending if self.idle_timer.as_ref().is_some_and(|timer| !timer.is_elapsed()) => {
                    return Poll::Pending;
                }
                Poll::Pending => return self.poll_idle(cx),
            }
        }
    }

    fn may_read(&self) -> bool {
        self.ending.is_none() && self.owed.len() < PIPELINE_MAX && self.transmitter.bytes() < UNSENT_BYTES_MAX
    }

    /// Moves answers that have come in from the front of the line to the transmitter.
    fn collect(&mut self, cx: &mut Context<'_>) {
        while let Some(front) = self.owed.pop_front() {
            let outcome = match front {
                Owed::Ready(outcome) => outcome,
                Owed::Waiting(mut reply) => match reply.as_mut().poll(cx) {
                    Poll::Ready(outcome) => outcome,
                    Poll::Pending => {
                        self.owed.push_front(Owed::Waiting(reply));
                        return;
                    }
                },
            };
            match outcome {
                Outcome::Reply(frame) => self.transmitter.push(frame),
                Outcome::Nothing => {}
                Outcome::Throttled(throttled) => {
                    let (frame, ms) = *throttled;
                    frame.into_iter().for_each(|frame| self.transmitter.push(frame));
                    self.mute(ms);
                }
                Outcome::Close(reason) => {
                    // What came after it on this connection is not answered.
                    self.owed.clear();
                    self.ending = Some(End::Refused(reason));
                }
            }
        }
    }

    /// Reads nothing for so long, or for as long as was said before.
    fn mute(&mut self, ms: i64) {
        let until = tokio::time::Instant::from_std(clock::deadline_after_ms(ms));
        match &mut self.muted {
            Some(timer) if timer.deadline() >= until => {}
            Some(timer) => timer.as_mut().reset(until),
            None => self.muted = Some(Box::pin(tokio::time::sleep_until(until))),
        }
    }

    fn is_muted(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(timer) = &mut self.muted else { return false };
        if timer.as_mut().poll(cx).is_pending() {
            return true;
        }
        self.muted = None;
        false
    }

    /// Reads what has arrived and dispatches it. Pending: nothing there.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.socket.poll_read_ready(cx).is_pending() {
            self.reader.release_if_empty();
            return Poll::Pending;
        }
        let mut space = ReadBuf::new(self.reader.space());
        // Not `try_read`: after a read that did not fill the space this knows, without asking the kernel, that
        // nothing more is there.
        match Pin::new(&mut self.socket).poll_read(cx, &mut space) {
            Poll::Pending => {
                self.reader.release_if_empty();
                return Poll::Pending;
            }
            Poll::Ready(Ok(())) => match space.filled().len() {
                0 => {
                    // What was dispatched stays done; nobody is left to hear of it.
                    self.owed.clear();
                    self.ending = Some(End::PeerClosed);
                }
                n => {
                    self.presence.is_active(clock::coarse_monotonic_ms());
                    self.take_in(n);
                }
            },
            Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::Interrupted => {}
            Poll::Ready(Err(e)) => self.fail(e),
        }
        Poll::Ready(())
    }

    fn fail(&mut self, error: io::Error) {
        self.owed.clear();
        self.ending = Some(End::Failed(error));
    }

    fn take_in(&mut self, read: usize) {
        let mut frames = std::mem::take(&mut self.frames);
        let cut = self.reader.advance(read, &mut frames);
        for frame in frames.drain(..) {
            if self.ending.is_some() {
                break;
            }
            match self.service.dispatch(&self.info, frame) {
                Dispatch::Done(outcome) => {
                    if let Outcome::Close(_) = outcome {
                        self.ending = Some(End::PeerClosed);
                    }
                    self.owed.push_back(Owed::Ready(outcome));
                }
                Dispatch::Pending(reply) => self.owed.push_back(Owed::Waiting(reply)),
            }
        }
        self.frames = frames;
        if let (Err(error), None) = (cut, &self.ending) {
            self.ending = Some(End::Refused(error.to_string()));
        }
    }

    /// Arms the idle timer, or ends a connection that was silent for too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if self.idle_ms_max <= 0 {
            return Poll::Pending;
        }
        loop {
            let silent_ms = clock::coarse_monotonic_ms() - self.presence.last_active_ms();
            let left_ms = self.idle_ms_max - silent_ms;
            if left_ms <= 0 && self.owed.is_empty() && self.transmitter.bytes() == 0 {
                return Poll::Ready(End::Idle);
            }
            let wake = clock::deadline_after_ms(left_ms.max(IDLE_CHECK_MS_MIN)).into();
            let timer = self.idle_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(wake)));
            match timer.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                // A timer is only moved when it fires: activity costs nothing.
                Poll::Ready(()) => timer.as_mut().reset(wake),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Frame;

    struct Silent;

    impl Service for Silent {
        fn dispatch(&self, _: &Arc<ConnectionInfo>, _: Bytes) -> Dispatch {
            Dispatch::Done(Outcome::Nothing)
        }
    }

    /// There are thousands of them, and most are idle.
    #[test]
    fn the_state_of_a_connection_is_small() {
        fn size_of_run<F: Future>(_: fn(Connection<Silent>, watch::Receiver<bool>) -> F) -> usize {
            size_of::<F>()
        }
        let state = size_of_run(Connection::<Silent>::run);
        println!(
            "connection {}, its task {state}, frame {}, owed {}",
            size_of::<Connection<Silent>>(),
            size_of::<Frame>(),
            size_of::<Owed>()
        );
        assert!(state <= 1024, "{state} bytes");
    }
}
