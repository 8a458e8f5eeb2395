//! Three ZooKeeper servers that agree.

use super::{ZooKeeper, free_port, wait_for};

const SERVERS: usize = 3;
const ATTEMPTS: usize = 3;
/// Sessions of a second are possible.
const TICK_TIME_MS: u32 = 400;

/// An ensemble of three on one address; killed with its value.
pub struct Ensemble {
    servers: Vec<ZooKeeper>,
}

impl Ensemble {
    /// Starts the servers and waits until all serve. Panics with a log if they do not.
    pub fn start(host: &str) -> Ensemble {
        for attempt in 1.. {
            let mut ensemble = Ensemble::prepare(host);
            match ensemble.launch_missing() {
                Ok(()) => return ensemble,
                Err(log) if attempt < ATTEMPTS && log.contains("Address already in use") => {}
                Err(log) => panic!("the ensemble does not start:\n{log}"),
            }
        }
        unreachable!("the loop returns or panics")
    }

    fn prepare(host: &str) -> Ensemble {
        // Twenty seconds: on a busy machine a server was seen to say nothing for more than four, and all sessions ended. One
        // that is killed is noticed by its connections.
        let mut members = "initLimit=50\nsyncLimit=50\n".to_string();
        for id in 1..=SERVERS {
            members += &format!("server.{id}=127.0.0.1:{}:{}\n", free_port(), free_port());
        }
        let server = |id| {
            let mut server = ZooKeeper::prepare(host, TICK_TIME_MS);
            server.join(id, &members);
            server
        };
        Ensemble { servers: (1..=SERVERS).map(server).collect() }
    }

    /// `HOST:PORT,HOST:PORT,HOST:PORT`
    pub fn address(&self) -> String {
        self.servers.iter().map(ZooKeeper::address).collect::<Vec<_>>().join(",")
    }

    /// The position of the server that leads.
    pub fn leader(&self) -> usize {
        wait_for("leader of the ensemble", || {
            self.servers.iter().position(|server| {
                server.is_running() && server.ask("srvr").is_some_and(|said| said.contains("Mode: leader"))
            })
        })
    }

    pub fn kill(&mut self, position: usize) {
        self.servers[position].kill();
    }

    pub fn kill_all(&mut self) {
        self.servers.iter_mut().for_each(ZooKeeper::kill);
    }

    /// Starts what does not run, and waits until all serve.
    pub fn heal(&mut self) {
        if let Err(log) = self.launch_missing() {
            panic!("ZooKeeper does not start again:\n{log}");
        }
    }

    fn launch_missing(&mut self) -> Result<(), String> {
        for server in self.servers.iter_mut().filter(|server| !server.is_running()) {
            server.launch();
        }
        self.servers.iter_mut().try_for_each(ZooKeeper::wait_until_serving)
    }
}
