"""A member of a group until SIGTERM; see groups.sh. Arguments: BOOTSTRAP GROUP TOPIC ASSIGNOR."""
import importlib
import signal
import sys

from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.errors import KafkaError

bootstrap, group, topic, assignor = sys.argv[1:]
ASSIGNORS = {
    "range": "range.RangePartitionAssignor",
    "roundrobin": "roundrobin.RoundRobinPartitionAssignor",
    "sticky": "sticky.sticky_assignor.StickyPartitionAssignor",
    "cooperative-sticky": "cooperative_sticky.CooperativeStickyAssignor",
}
stopped = []
owned = set()


def commit():
    """Whether that worked: not while members change, so it is tried again."""
    try:
        client.commit()
        return True
    except KafkaError as error:
        print("not committed:", error, flush=True)
        return False


class Listener(ConsumerRebalanceListener):
    def on_partitions_assigned(self, assigned):
        owned.update(p.partition for p in assigned)
        print("owns", *sorted(owned), flush=True)

    def on_partitions_revoked(self, revoked):
        owned.difference_update(p.partition for p in revoked)
        print("owns", *sorted(owned), flush=True)


signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
module, name = ASSIGNORS[assignor].rsplit(".", 1)
client = KafkaConsumer(
    bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest",
    partition_assignment_strategy=[getattr(importlib.import_module(f"kafka.coordinator.assignors.{module}"), name)],
    session_timeout_ms=10000, heartbeat_interval_ms=300, reconnect_backoff_max_ms=500,
)  # fmt: skip
client.subscribe([topic], listener=Listener())
committed = True
while not stopped:
    try:
        batches = client.poll(timeout_ms=200)
    except KafkaError as error:  # 3.0 says when it cannot connect
        print("not polled:", error, flush=True)
        continue
    for records in batches.values():
        for record in records:
            print("read", record.partition, record.offset, record.value.decode(), flush=True)
    if batches or not committed:
        committed = commit()
client.close()
print("left", flush=True)
