"""Clusters of Apache's brokers and ours under load: tests/compat/README.md. Usage: main.py SCENARIO...

SCENARIO: mixed-2.8.2, mixed-1.1.1, rolling-2.8.2, rolling-1.1.1, upgrade-1.1.1. BROKERS="2.8.2 ours 2.8.2" and STEPS="roles topics" choose
others, AGAINST=apache puts Apache's in our place. OURS names the binary. What is left: $INTEROP_HOME/SCENARIO.
"""
import os
import pathlib
import shutil
import signal
import sys
import time

from cluster import Cluster, Failed, say
from load import Load
from steps import COORDINATORS, STEPS, create_topics, ok, spread_coordinators

ROOT = pathlib.Path(__file__).resolve().parents[3]
INTEROP = pathlib.Path(os.environ.get("INTEROP_HOME", ROOT / "target/interop")).resolve()
PROTOCOLS = {"2.8.2": "2.8", "1.1.1": "1.1"}


def scenario(name):
    shape, version = name.split("-")
    apache = " ".join([version] * 3)
    brokers = [f"{version} {version} ours", f"ours ours {version}"] if shape == "mixed" else [apache]
    steps = "roles pauses reassignment topics" if shape == "mixed" else shape
    if "BROKERS" in os.environ:
        brokers = [os.environ["BROKERS"]]
    for number, kinds in enumerate(brokers):
        if os.environ.get("AGAINST") == "apache":
            kinds = kinds.replace("ours", version)
        run = INTEROP / f"{name}-{number}"
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir(parents=True)
        cluster = Cluster(ROOT, INTEROP, run, kinds.split(), os.environ.get("PROTOCOL", PROTOCOLS[version]))
        play(cluster, os.environ.get("STEPS", steps).split())


def play(cluster, steps):
    started = time.monotonic()
    load = Load(cluster, COORDINATORS)
    try:
        cluster.start_zookeeper()
        # Where a broker of ours joins Apache's it finds that out itself; where it is the first one it must be told.
        cluster.configure(COORDINATORS, ["offsets.storage=kafka"] if cluster.brokers[0].kind == "ours" else [])
        for broker in cluster.brokers:
            cluster.start(broker)
        create_topics(cluster)
        load.start()
        spread_coordinators(cluster)
        say(f"cluster of {', '.join(map(str, cluster.brokers))}, protocol {cluster.protocol}")
        for step in steps:
            STEPS[step](cluster, load)
        settle(cluster, load)
    except BaseException:
        for alarm in list(cluster.alarms())[-20:]:
            say(f"    {alarm}")
        raise
    finally:
        load.close()
        cluster.close()
    alarms = list(cluster.alarms())
    for alarm in alarms[:20]:
        say(f"    {alarm}")
    say(f"{len(alarms)} alarming lines in the logs, {time.monotonic() - started:.0f} s")


def settle(cluster, load):
    ok(load.finish())
    cluster.await_full_isr("at the end")
    cluster.await_identical("at the end")
    ok("all replicas in the ISR, the same to the byte")
    ok(load.check())


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    # What was started ends with this program.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for argument in sys.argv[1:]:
            scenario(argument)
    except Failed as failed:
        say(f"FAILED {failed}")
        sys.exit(1)
