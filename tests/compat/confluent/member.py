"""A member of a group until SIGTERM; see groups.sh. Arguments: BOOTSTRAP GROUP TOPIC ASSIGNOR."""
import signal
import sys

from confluent_kafka import Consumer, KafkaException

bootstrap, group, topic, assignor = sys.argv[1:]
stopped = []
owned = set()


def say():
    print("owns", *sorted(owned), flush=True)


def commit(client):
    """Whether that worked: not while members change, so it is tried again."""
    try:
        client.commit(asynchronous=False)
    except KafkaException as error:
        if error.args[0].name() != "_NO_OFFSET":
            print("not committed:", error, flush=True)
            return False
    return True


def on_assign(_, partitions):
    owned.update(p.partition for p in partitions)
    say()


def on_revoke(client, partitions):
    commit(client)
    on_lost(client, partitions)


def on_lost(_, partitions):
    owned.difference_update(p.partition for p in partitions)
    say()


signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
client = Consumer({
    "bootstrap.servers": bootstrap, "group.id": group, "partition.assignment.strategy": assignor,
    "auto.offset.reset": "earliest", "enable.auto.commit": False, "session.timeout.ms": 10000,
    "heartbeat.interval.ms": 300, "reconnect.backoff.max.ms": 500, "metadata.recovery.strategy": "none",
})  # fmt: skip
client.subscribe([topic], on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost)
committed = True
while not stopped:
    records = client.consume(100, timeout=0.2)
    for record in records:
        if record.error():
            print("error:", record.error(), flush=True)
        else:
            print("read", record.partition(), record.offset(), record.value().decode(), flush=True)
    if records or not committed:
        committed = commit(client)
client.close()
print("left", flush=True)
