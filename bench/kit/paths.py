"""Where things live, and which ports and cores are used. All can be set in the environment."""
import os
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.get("BENCH_HOME", "/tmp/benchkit"))
JARS = Path(os.environ.get("BENCH_JARS", HOME / "jars"))
DRIVER = HOME / "target/release/driver"
RUN = HOME / "run"

ZOOKEEPER_PORT = int(os.environ.get("BENCH_ZK_PORT", "24810"))
BROKER_PORT = int(os.environ.get("BENCH_BROKER_PORT", "29090"))  # side b uses BROKER_PORT + 10 on

BROKER_CORE = {0}
DRIVER_CORE = {1}


def adapter(kind):
    """The adapter of a broker kind; a kind may also be a path to one."""
    path = HERE / "brokers" / kind
    if not path.is_file():
        path = Path(kind).resolve()
    if not os.access(path, os.X_OK):
        raise SystemExit(f"no broker kind {kind}: see brokers/README.md")
    return path
