"""One side of a comparison: a cluster of one broker kind, and what its processes have used."""
import shutil
import signal
import socket
import subprocess
import time

from . import paths
from .process import Process

AS_SHIPPED = """num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""

START_LIMIT_S = 120


class Side:
    """`label` is a or b. Brokers have ids 1..n and consecutive ports."""

    def __init__(self, label, kind, zookeeper, env, brokers, pinned, properties):
        self.label, self.kind, self.zookeeper, self.env = label, kind, zookeeper, env
        self.size, self.cores = brokers, paths.BROKER_CORE if pinned else None
        self.properties = properties
        self.brokers = {}
        self.generation = 0
        self.port = paths.BROKER_PORT + (10 if label == "b" else 0)

    @property
    def chroot(self):
        return f"{self.zookeeper.address}/bench-{self.label}-{self.generation}"

    @property
    def bootstrap(self):
        return self.address(min(self.brokers))

    def address(self, broker):
        return f"127.0.0.1:{self.port + broker}"

    def home(self, broker):
        return paths.RUN / f"{self.label}-{broker}"

    def start_fresh(self):
        """Empty logs, empty ZooKeeper tree."""
        self.stop()
        self.generation += 1
        for broker in range(1, self.size + 1):
            shutil.rmtree(self.home(broker), ignore_errors=True)
            self.home(broker).mkdir(parents=True)
            self.start(broker)

    def wait_up(self):
        """Until every broker accepts connections; a broker that died ends the run with its log."""
        deadline = time.monotonic() + START_LIMIT_S
        for broker, process in self.brokers.items():
            while not _accepts(self.port + broker):
                if not process.alive() or time.monotonic() > deadline:
                    log = (self.home(broker) / "log").read_text(errors="replace")
                    raise SystemExit(f"{self.kind} broker {broker} did not start:\n{log[-3000:]}")
                time.sleep(0.05)

    def start(self, broker):
        """Starts one broker on the logs it has; returns the monotonic nanosecond of the start."""
        home = self.home(broker)
        _wait_free(self.port + broker)
        adapter = paths.adapter(self.kind)
        extra = subprocess.run([adapter, "properties"], check=True, capture_output=True, text=True).stdout
        properties = home / "server.properties"
        properties.write_text(self._properties(broker) + extra)
        started_ns = time.monotonic_ns()
        process = Process(
            f"{self.label}{broker}", [adapter, "start", properties, home / "log"], self.cores, self.env,
            stdout=subprocess.PIPE,
        )
        self.brokers[broker] = process
        pid = int(process.popen.stdout.readline() or 0)
        if pid != process.pid:
            raise SystemExit(f"{adapter}: announced pid {pid}, but is {process.pid}")
        return started_ns

    def _properties(self, broker):
        replicas = min(3, self.size)
        lines = {
            "broker.id": broker,
            "listeners": f"PLAINTEXT://{self.address(broker)}",
            "log.dirs": self.home(broker) / "logs",
            "zookeeper.connect": self.chroot,
            "offsets.topic.replication.factor": replicas,
            "min.insync.replicas": 2 if replicas == 3 else 1,
            **self.properties,
        }
        return AS_SHIPPED + "".join(f"{key}={value}\n" for key, value in lines.items())

    def stop_broker(self, broker, with_signal=signal.SIGTERM):
        self.brokers[broker].stop(with_signal)

    def stop(self):
        """Kills all brokers: nothing that is left of them is used again."""
        for process in self.brokers.values():
            process.stop(signal.SIGKILL)
        self.brokers = {}

    def cpu_ns(self):
        return sum(p.cpu_ns() for p in self.brokers.values())

    def user_system_ticks(self):
        ticks = [p.user_system_ticks() for p in self.brokers.values() if p.alive()]
        return sum(u for u, _ in ticks), sum(s for _, s in ticks)

    def rss_anon_mb(self):
        return sum(p.rss_anon_kb() for p in self.brokers.values() if p.alive()) / 1024

    def log_files(self):
        return [f for b in self.brokers for f in self.home(b).glob("logs/*/*.log")]


def _accepts(port):
    with socket.socket() as s:
        s.bind(("127.0.0.2", 0))
        return s.connect_ex(("127.0.0.1", port)) == 0


def _wait_free(port):
    """A port stays taken for a moment after its broker was killed."""
    for _ in range(200):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                return s.bind(("127.0.0.1", port))
            except OSError:
                time.sleep(0.05)
    raise SystemExit(f"port {port} stays taken: set BENCH_BROKER_PORT")
