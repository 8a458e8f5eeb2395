"""Brokers of several kinds on one ZooKeeper: how they are started and ended, and what can be waited for."""
import hashlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import time

from zookeeper import ZooKeeper

PATIENCE_S = 600
# What Apache's brokers say about requests and answers that they do not understand, and ours when something is wrong.
ALARMS = re.compile(
    r"panicked|Exception when handling request|Error when handling request|Error when sending request|"
    r"UNKNOWN_SERVER_ERROR|UnknownServerException|SchemaException|UnsupportedVersion|InvalidRequestException|"
    r"\bFATAL\b|Unexpected error|INVALID_REQUEST|UNSUPPORTED_VERSION|IllegalStateException|NullPointerException"
)


class Failed(Exception):
    """A step did not come out as it must."""


def say(line):
    print(line, flush=True)


def wait_for(what, condition, patience_s=PATIENCE_S):
    """Until the condition holds; its last value tells why, if it is a text."""
    until = time.monotonic() + patience_s
    while True:
        value = condition()
        if value is True or (value and not isinstance(value, str)):
            return value
        if time.monotonic() > until:
            raise Failed(f"{what}: not within {patience_s} s" + (f": {value}" if isinstance(value, str) else ""))
        time.sleep(0.1)


def free_port():
    while True:
        port = random.randrange(12000, 31000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Broker:
    def __init__(self, number, kind, home):
        self.number = number
        self.kind = kind
        self.port = free_port()
        self.protocol = None
        self.settings = []
        self.directory = home / f"data-{number}"
        self.properties = home / f"{number}.properties"
        self.log = home / f"{number}.log"
        self.process = None

    def __str__(self):
        return f"broker {self.number} ({self.kind})"


class Cluster:
    def __init__(self, root, interop, run, kinds, protocol):
        self.root, self.interop, self.run, self.protocol = root, interop, run, protocol
        self.brokers = [Broker(number, kind, run) for number, kind in enumerate(kinds)]
        self.zookeeper_port = free_port()
        self.zookeeper = None

    # Start and end.

    def start_zookeeper(self):
        script = self.root / "zk-scripts/start.sh"
        arguments = ["--data-dir", str(self.run / "zookeeper"), "--port", str(self.zookeeper_port)]
        subprocess.run([str(script), *arguments], check=True, stdout=subprocess.DEVNULL)
        self.zookeeper = ZooKeeper(self.zookeeper_port)

    def configure(self, coordinators, settings):
        # A leader of 2.8.2 must not ask for a smaller ISR while its controller is held: when the next controller refuses that,
        # the leader forgets what it has asked for since (AlterIsrManager drops by partition), and a follower that is back
        # stays out of the ISR until the next election. So the session has to end before the follower is late.
        for broker in self.brokers:
            broker.protocol = self.protocol
            lines = [
                f"broker.id={broker.number}",
                f"listeners=PLAINTEXT://127.0.0.1:{broker.port}",
                f"log.dirs={broker.directory}",
                f"zookeeper.connect=127.0.0.1:{self.zookeeper_port}",
                "zookeeper.session.timeout.ms=18000",
                # A busy machine takes its time to start a JVM.
                "zookeeper.connection.timeout.ms=60000",
                f"replica.lag.time.max.ms={30000 if broker.kind == '2.8.2' else 10000}",
                "min.insync.replicas=2",
                "default.replication.factor=3",
                "auto.create.topics.enable=false",
                "auto.leader.rebalance.enable=false",
                "offsets.topic.replication.factor=3",
                f"offsets.topic.num.partitions={coordinators}",
                "transaction.state.log.replication.factor=3",
                "transaction.state.log.min.isr=2",
                f"transaction.state.log.num.partitions={coordinators}",
                "group.initial.rebalance.delay.ms=0",
                # Replicas clean on their own: what they keep would differ.
                "log.cleaner.enable=false",
                "log.segment.bytes=1000000",
                *settings,
            ]
            broker.settings = lines

    def start(self, broker):
        protocol = [f"inter.broker.protocol.version={broker.protocol}", f"log.message.format.version={broker.protocol}"]
        broker.properties.write_text("\n".join(broker.settings + protocol) + "\n")
        if broker.kind == "ours":
            command = [os.environ.get("OURS", str(self.root / "target/release/kafka-server"))]
        else:
            jars = self.interop / f"jars/core-{broker.kind}"
            log4j = self.root / "tests/compat/java/log4j-broker.properties"
            memory = ["-Xmx256m", "-Xms128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
            command = ["java", *memory, "-cp", f"{jars}/*", f"-Dlog4j.configuration=file:{log4j}", "kafka.Kafka"]
        environment = {**os.environ, "LOG_DIR": str(self.run / f"server-logs-{broker.number}")}
        with open(broker.log, "ab") as log:
            log.write(f"--- {broker} starts\n".encode())
            log.flush()
            broker.process = subprocess.Popen(
                [*command, str(broker.properties)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.run,
                env=environment,
                # A daemon: its share of the processor is its own, and an interrupt from the keyboard ends the driver first.
                start_new_session=True,
            )

        def registered():
            if broker.process.poll() is not None:
                raise Failed(f"{broker} ends with {broker.process.returncode}, see {broker.log}")
            return broker.number in self.registered()

        wait_for(f"registration of {broker}", registered)

    def end(self, broker, name):
        """TERM or KILL; then until ZooKeeper has forgotten it."""
        broker.process.send_signal(getattr(signal, f"SIG{name}"))
        broker.process.wait(timeout=PATIENCE_S)
        broker.process = None
        wait_for(f"the end of {broker}", lambda: broker.number not in self.registered())

    def pause(self, broker):
        """Holds it until ZooKeeper has forgotten it."""
        broker.process.send_signal(signal.SIGSTOP)
        wait_for(f"the end of {broker}'s session", lambda: broker.number not in self.registered())

    def go_on(self, broker):
        broker.process.send_signal(signal.SIGCONT)
        wait_for(f"the return of {broker}", lambda: broker.number in self.registered())

    def close(self):
        for broker in self.brokers:
            if broker.process:
                broker.process.kill()
                broker.process.wait()
        script = self.root / "zk-scripts/stop.sh"
        subprocess.run([str(script), "--data-dir", str(self.run / "zookeeper")], stdout=subprocess.DEVNULL)

    def bootstrap(self):
        return ",".join(f"127.0.0.1:{b.port}" for b in self.brokers)

    def tool(self, name, *arguments, version=None):
        """One of Apache's tools, of this version."""
        jars = self.interop / f"jars/core-{version or self.tools_version()}"
        log4j = self.root / "tests/compat/java/log4j.properties"
        command = ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*", f"-Dlog4j.configuration=file:{log4j}", name]
        done = subprocess.run([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S)
        with open(self.run / "tools.log", "a") as log:
            log.write(f"{name} {' '.join(arguments)}\n{done.stdout}\n")
        if done.returncode != 0:
            raise Failed(f"{name} {' '.join(arguments)}: {done.stdout[-1500:]}")
        return done.stdout

    def tools_version(self):
        return "1.1.1" if self.protocol.startswith(("0.", "1.")) else "2.8.2"

    # What ZooKeeper knows.

    def json(self, path):
        data = self.zookeeper.get(path)
        return json.loads(data) if data else None

    def registered(self):
        return [int(name) for name in self.zookeeper.children("/brokers/ids")]

    def controller(self):
        found = self.json("/controller")
        return found["brokerid"] if found else None

    def topics(self):
        return self.zookeeper.children("/brokers/topics")

    def assignment(self, topic):
        """By partition."""
        found = self.json(f"/brokers/topics/{topic}")
        return {int(p): replicas for p, replicas in found["partitions"].items()} if found else {}

    def state(self, topic, partition):
        return self.json(f"/brokers/topics/{topic}/partitions/{partition}/state")

    def partitions(self):
        """(topic, partition, replicas, state) of all."""
        for topic in self.topics():
            for partition, replicas in sorted(self.assignment(topic).items()):
                yield topic, partition, replicas, self.state(topic, partition)

    def led_by(self, broker, topic):
        return [p for p in self.assignment(topic) if (self.state(topic, p) or {}).get("leader") == broker.number]

    # What is waited for.

    def await_full_isr(self, what):
        def full():
            for topic, partition, replicas, state in self.partitions():
                if not state or sorted(state["isr"]) != sorted(replicas):
                    return f"{topic}-{partition} has replicas {replicas} and state {state}"
            return True

        wait_for(f"{what}: all replicas in the ISR", full)

    def last_epoch(self, number, topic, partition):
        """The last leader epoch of which this broker's replica has a record."""
        file = self.brokers[number].directory / f"{topic}-{partition}" / "leader-epoch-checkpoint"
        try:
            lines = file.read_text().splitlines()
        except FileNotFoundError:
            return None
        return int(lines[-1].split()[0]) if len(lines) > 2 else None

    def await_followed(self, what, busy):
        """Until all replicas have a record of their leader's last epoch, which for a busy topic must be the current one.
        Before protocol 2.0 the answer about the end of a follower's epoch does not say for which epoch it is, so leaders
        that change faster than they are followed leave logs that differ (KAFKA-6361, solved by KIP-279)."""
        if not self.protocol.startswith(("0.", "1.")):
            return

        def followed():
            for topic, partition, replicas, state in self.partitions():
                found = {number: self.last_epoch(number, topic, partition) for number in replicas}
                wanted = state["leader_epoch"] if topic in busy else found.get(state["leader"])
                if any(epoch != wanted for epoch in found.values()):
                    return f"{topic}-{partition} has epochs {found} and state {state}"
            return True

        wait_for(f"{what}: followers", followed)

    def identical(self):
        """True if all replicas have the same bytes; else where not."""
        for topic, partition, replicas, _ in self.partitions():
            digests = {}
            for number in replicas:
                directory = self.brokers[number].directory / f"{topic}-{partition}"
                digest = hashlib.md5()
                for segment in sorted(directory.glob("*.log")):
                    digest.update(segment.read_bytes())
                digests[number] = (digest.hexdigest(), sum(s.stat().st_size for s in directory.glob("*.log")))
            if len(set(digests.values())) > 1:
                return f"{topic}-{partition} differs: {digests}"
        return True

    def await_identical(self, what):
        wait_for(f"{what}: replicas the same to the byte", self.identical)

    def has_all(self):
        """True if every replica has its directory."""
        for topic, partition, replicas, _ in self.partitions():
            for number in replicas:
                if not (self.brokers[number].directory / f"{topic}-{partition}").is_dir():
                    return f"broker {number} has no {topic}-{partition}"
        return True

    def no_strangers(self):
        """True if no broker has a partition that is not its own; else which."""
        own = {(t, p, n) for t, p, replicas, _ in self.partitions() for n in replicas}
        for broker in self.brokers:
            for directory in broker.directory.glob("*-*"):
                topic, _, partition = directory.name.rpartition("-")
                if directory.is_dir() and partition.isdigit() and (topic, int(partition), broker.number) not in own:
                    return f"{broker} has {directory.name}"
        return True

    def make_controller(self, broker):
        """The others are held while the seat is empty, but never so long that they lose their sessions."""

        def seated():
            if self.controller() == broker.number:
                return True
            # ZooKeeper has to hear of the others before they are held again.
            time.sleep(1)
            others = [b for b in self.brokers if b.process and b is not broker]
            for other in others:
                other.process.send_signal(signal.SIGSTOP)
            try:
                self.zookeeper.delete("/controller")
                return wait_for(f"{broker} as controller", lambda: self.controller() == broker.number, 8)
            except Failed as failed:
                return str(failed)
            finally:
                for other in others:
                    other.process.send_signal(signal.SIGCONT)

        wait_for(f"{broker} takes the controller's seat", seated)

    def elect_preferred(self):
        """By the znode, as the old tool does; until all partitions are led by their first replica."""
        wanted = [{"topic": t, "partition": p} for t, p, replicas, s in self.partitions() if s["leader"] != replicas[0]]
        if not wanted:
            return
        request = json.dumps({"version": 1, "partitions": wanted})

        def elected():
            wrong = [f"{t}-{p}: {s}" for t, p, replicas, s in self.partitions() if s["leader"] != replicas[0]]
            if not wrong:
                return True
            self.zookeeper.create("/admin/preferred_replica_election", request)
            return f"{len(wrong)} partitions, the first {wrong[0]}"

        wait_for("preferred leaders", elected)
        wait_for("the end of the election", lambda: not self.zookeeper.exists("/admin/preferred_replica_election"))

    def alarms(self):
        """Lines of the brokers' logs that nobody should see."""
        for broker in self.brokers:
            with open(broker.log, errors="replace") as log:
                for line in log:
                    if ALARMS.search(line):
                        yield f"{broker.number}: {line.rstrip()[:300]}"
