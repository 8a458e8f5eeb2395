"""The load under which everything happens: java/MixedLoad.java."""
import re
import subprocess
import time

from cluster import PATIENCE_S, Failed, wait_for

PROGRESS = re.compile(r"^acknowledged (\d+) consumed (\d+) processed (\d+)", re.M)


class Load:
    def __init__(self, cluster, coordinators):
        self.cluster, self.coordinators = cluster, coordinators
        self.stop_file = cluster.run / "stop"
        self.acknowledged = cluster.run / "acknowledged"
        self.log = cluster.run / "load.log"
        self.process = None

    def java(self, *arguments):
        interop, root = self.cluster.interop, self.cluster.root
        path = f"{interop}/java/2.8.2:{interop}/jars/clients-2.8.2/*"
        log4j = f"-Dlog4j.configuration=file:{root}/tests/compat/java/log4j.properties"
        return ["java", "-Xmx256m", "-Xms64m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", log4j, "-cp", path, *arguments]

    def start(self):
        arguments = [self.cluster.bootstrap(), str(self.stop_file), str(self.acknowledged), str(self.coordinators)]
        with open(self.log, "wb") as log:
            command = self.java("MixedLoad", *arguments)
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        self.await_more("the load begins", 300)

    def progress(self):
        """Acknowledged, consumed, processed."""
        with open(self.log, "rb") as log:
            log.seek(0, 2)
            log.seek(max(0, log.tell() - 20000))
            found = PROGRESS.findall(log.read().decode(errors="replace"))
        return tuple(map(int, found[-1])) if found else (0, 0, 0)

    def await_more(self, what, count):
        """Until so many more are acknowledged, consumed and processed: of everything that is done, each."""
        before = self.progress()

        def more():
            if self.process.poll() is not None:
                raise Failed(f"{what}: the load has ended: {self.tail()}")
            now = self.progress()
            return all(n - b >= count for n, b in zip(now, before)) or f"{before} became {now}"

        wait_for(f"{what}: {count} more of each", more)

    def tail(self):
        return self.log.read_text(errors="replace")[-1500:]

    def finish(self):
        """Stops writing; reads, processes and checks the rest. What it says at its end."""
        self.stop_file.touch()
        last, until = None, 0
        while self.process.poll() is None:
            now = self.progress()
            if now != last:
                last, until = now, time.monotonic() + PATIENCE_S
            if time.monotonic() > until:
                raise Failed(f"the load does not come to its end: {self.tail()}")
            time.sleep(0.2)
        code = self.process.returncode
        if code != 0:
            raise Failed(f"the load ends with {code}: {self.tail()}")
        return [line for line in self.tail().splitlines() if line.startswith("written: ")][-1]

    def check(self):
        """Every acknowledged record, at its offset, once, in order."""
        arguments = ["Durable", "check", self.cluster.bootstrap(), "durable", str(self.acknowledged)]
        done = subprocess.run(self.java(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S)
        if done.returncode != 0:
            raise Failed(f"check: {done.stdout[-1500:]}")
        return next(line for line in done.stdout.splitlines() if " of them acknowledged" in line)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
