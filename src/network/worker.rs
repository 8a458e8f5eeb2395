//! The threads that serve connections.
//!
//! Each runs a single-threaded runtime: tasks that are ready run in the order in which they became ready,
//! so that everything which connections put in line during one turn is seen together by what runs after
//! them (that is how appends coalesce, `replication::drain`).

use super::buffer_pool::BufferPool;
use super::connection::{Connection, ConnectionSettings, End};
use super::limits::Slot;
use super::service::{ConnectionInfo, Service};
use log::{debug, info, warn};
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How long a stop waits for answers to form and for peers to take them.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// An accepted connection on its way to a worker.
pub struct Accepted {
    /// The socket, non-blocking.
    pub socket: TcpStream,
    /// Who it is.
    pub info: ConnectionInfo,
    /// Settings of its listener.
    pub settings: ConnectionSettings,
    /// Its place in the counts.
    pub slot: Slot,
}

/// All workers of a broker.
pub struct Workers {
    queues: Vec<mpsc::UnboundedSender<Accepted>>,
    threads: Vec<JoinHandle<()>>,
    next: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
}

/// Hands connections to the workers in turn.
#[derive(Clone)]
pub struct WorkerQueues {
    queues: Vec<mpsc::UnboundedSender<Accepted>>,
    next: Arc<AtomicUsize>,
}

impl Workers {
    /// Starts `count` threads.
    pub fn start<S: Service>(count: usize, service: Arc<S>) -> io::Result<Workers> {
        let pool = BufferPool::new();
        let (stop, stopped) = watch::channel(false);
        let (mut queues, mut threads) = (Vec::new(), Vec::new());
        for index in 0..count.max(1) {
            let (sender, receiver) = mpsc::unbounded_channel();
            let worker = Worker {
                service: Arc::clone(&service),
                pool: Arc::clone(&pool),
                stopped: stopped.clone(),
                receiver,
            };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread = thread::Builder::new()
                .name(format!("network-{index}"))
                .spawn(move || runtime.block_on(worker.run()))?;
            queues.push(sender);
            threads.push(thread);
        }
        Ok(Workers { queues, threads, next: Arc::default(), stop })
    }

    /// For the acceptors.
    pub fn queues(&self) -> WorkerQueues {
        WorkerQueues { queues: self.queues.clone(), next: Arc::clone(&self.next) }
    }

    /// Ends all connections and threads. No request is read any more; those that were read are answered, as far as
    /// that takes no longer than [`DRAIN_MAX`] (a fetch may wait for data).
    pub fn stop(self) {
        let _ = self.stop.send(true);
        drop(self.queues);
        for thread in self.threads {
            if thread.join().is_err() {
                warn!("a network thread panicked");
            }
        }
    }
}

impl WorkerQueues {
    /// Gives a connection to the next worker in turn.
    pub fn hand_over(&self, accepted: Accepted) {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.queues.len();
        if self.queues[index].send(accepted).is_err() {
            debug!("a connection came while the broker stops");
        }
    }
}

struct Worker<S> {
    service: Arc<S>,
    pool: Arc<BufferPool>,
    stopped: watch::Receiver<bool>,
    receiver: mpsc::UnboundedReceiver<Accepted>,
}

impl<S: Service> Worker<S> {
    async fn run(mut self) {
        self.service.start_worker();
        let mut stopped = self.stopped.clone();
        // Every connection holds a sender; when all are gone, so are the connections.
        let (open, mut all_ended) = mpsc::channel::<()>(1);
        loop {
            tokio::select! {
                accepted = self.receiver.recv() => match accepted {
                    Some(accepted) => self.serve(accepted, open.clone()),
                    None => break,
                },
                _ = stopped.changed() => break,
            }
        }
        drop(open);
        if tokio::time::timeout(DRAIN_MAX, all_ended.recv()).await.is_err() {
            debug!(target: "kafka.network.Processor", "Connections are cut off that did not end in time");
        }
    }

    fn serve(&self, accepted: Accepted, open: mpsc::Sender<()>) {
        let Accepted { socket, info, settings, slot } = accepted;
        let socket = match tokio::net::TcpStream::from_std(socket) {
            Ok(socket) => socket,
            Err(e) => return warn!("cannot serve {}: {e}", info.id),
        };
        let info = Arc::new(info);
        let service = Arc::clone(&self.service);
        let (pool, presence) = (Arc::clone(&self.pool), Arc::clone(&slot.presence));
        let connection = Connection::new(socket, Arc::clone(&info), service, pool, &settings, presence);
        let stopped = self.stopped.clone();
        tokio::spawn(async move {
            log_end(&info, connection.run(stopped).await);
            drop((slot, open));
        });
    }
}

fn log_end(info: &ConnectionInfo, end: End) {
    match end {
        End::PeerClosed | End::Stopped => {
            debug!(target: "kafka.network.Processor", "{} disconnected", info.id)
        }
        End::TooMany => {
            info!(target: "kafka.network.Processor", "{} is closed: there are more connections than max.connections", info.id)
        }
        End::Idle => debug!(target: "kafka.network.Processor", "{} was idle for too long", info.id),
        End::Failed(e) => {
            debug!(target: "kafka.network.Processor", "Connection with {} disconnected: {e}", info.peer)
        }
        End::Refused(reason) => info!(
            target: "kafka.network.Processor",
            "Closing connection {} (listener {}): {reason}", info.id, info.listener
        ),
    }
}
