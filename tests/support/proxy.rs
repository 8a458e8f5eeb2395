//! A TCP proxy that can be cut: what a network partition looks like to client and server.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

pub struct Proxy {
    port: u16,
    cut: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// Forwards a loopback port of its own to `target`.
    pub fn start(target: String) -> Proxy {
        let port = super::free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        let cut = Arc::new(AtomicBool::new(false));
        let streams: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let (is_cut, kept) = (cut.clone(), streams.clone());
        // Ends with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(&target) else { continue };
                let clone = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
                kept.lock().expect("not poisoned").extend([clone(&client), clone(&server)]);
                let (client_2, server_2) = (clone(&client), clone(&server));
                std::thread::spawn(move || forward(client, server));
                std::thread::spawn(move || forward(server_2, client_2));
            }
        });
        Proxy { port, cut, streams }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Breaks all connections and takes no more.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.break_connections();
    }

    /// Breaks all connections; new ones are taken.
    pub fn break_connections(&self) {
        for stream in self.streams.lock().expect("not poisoned").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
