"""Groups and transactions that outlive brokers. Each line of the input is the number of a turn: what the turns before
left is checked, then more of it is made. Arguments: BOOTSTRAP and "static" where inter.broker.protocol.version allows static
members (2.3). The topics grouped (3 partitions) and crossing (1) exist.

librdkafka 2.8: 2.16 may look for its coordinator in vain after its only broker was away, with Apache's brokers, too.

- Two members stay in a group for all turns, one of them static: they never join again, and read each record once.
- A group without members has offsets with metadata; another one is made in each turn, and deleted in the next.
- A transaction that is open when the broker changes goes on: records and offsets are committed, next time aborted.
- One whose producer is gone ends by its timeout; a producer of the turn before is fenced by one with its name.
"""
import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

BOOTSTRAP = sys.argv[1]
COMMON = {"bootstrap.servers": BOOTSTRAP, "reconnect.backoff.max.ms": 500}
PARTITIONS = 3
PER_TURN = 30
INVALID = -1001  # no offset is committed


def equal(what, expected, got):
    if expected != got:
        raise AssertionError(f"{what}: expected {expected!r}, got {got!r}")


def eventually(what, expected, call):
    until = time.monotonic() + 300
    while (got := attempt(call)) != expected:
        if time.monotonic() > until:
            equal(what, expected, got)
        time.sleep(0.2)


def attempt(call):
    """The result, or the error: a broker that has just started may not have loaded everything yet."""
    try:
        return call()
    except KafkaException as error:
        return error


class Member:
    def __init__(self, **settings):
        self.owned, self.joins, self.read = set(), 0, []
        self.client = Consumer({
            **COMMON, "group.id": "lasting", "session.timeout.ms": 120000, "max.poll.interval.ms": 3600000,
            "heartbeat.interval.ms": 500, "enable.auto.commit": False, "auto.offset.reset": "earliest", **settings,
        })  # fmt: skip
        self.client.subscribe(["grouped"], on_assign=self.assign, on_revoke=self.revoke)

    def assign(self, _, partitions):
        self.owned = {p.partition for p in partitions}
        self.joins += 1

    def revoke(self, *_):
        self.owned = set()

    def poll(self):
        records = [record for record in self.client.consume(100, timeout=0.2) if not record.error()]
        self.read += [record.value().decode() for record in records]
        if records:
            self.client.commit(asynchronous=False)


def commit(group, partition, offset, metadata):
    client = Consumer({**COMMON, "group.id": group, "enable.auto.commit": False})
    client.commit(offsets=[TopicPartition("grouped", partition, offset, metadata)], asynchronous=False)
    client.close()


def committed(group, partition):
    client = Consumer({**COMMON, "group.id": group, "isolation.level": "read_uncommitted"})
    try:
        found = client.committed([TopicPartition("grouped", partition)], timeout=20)[0]
        return found.offset, found.metadata or ""
    finally:
        client.close()


def transactional(name, **settings):
    client = Producer({**COMMON, "transactional.id": name, "transaction.timeout.ms": 600000, **settings})
    client.init_transactions(120)
    return client


def send(client, topic, value, partition=0):
    client.produce(topic, value, partition=partition)
    equal("left in the queue", 0, client.flush(60))


def crossing():
    """What read_committed sees of the topic, from the start to an end that is written now."""
    send(plain, "crossing", "end")
    reader = Consumer({**COMMON, "group.id": "unused", "isolation.level": "read_committed", "auto.offset.reset": "earliest"})
    reader.assign([TopicPartition("crossing", 0, 0)])
    end = reader.get_watermark_offsets(TopicPartition("crossing", 0), timeout=60)[1]
    found, until = [], time.monotonic() + 60
    while reader.position([TopicPartition("crossing", 0)])[0].offset < end and time.monotonic() < until:
        record = reader.poll(0.5)
        if record is not None and not record.error() and record.value() != b"end":
            found.append(record.value().decode())
    reader.close()
    return found


def groups(turn):
    for i in range(PER_TURN):
        plain.produce("grouped", f"{turn}-{i}", partition=i % PARTITIONS)
    expected.update(f"{turn}-{i}" for i in range(PER_TURN))
    equal("left in the queue", 0, plain.flush(120))
    until = time.monotonic() + 300
    while sum(len(member.read) for member in members) < len(expected):
        for member in members:
            member.poll()
        equal("in time", True, time.monotonic() < until)
    equal("records", sorted(expected), sorted(members[0].read + members[1].read))
    if turn == 1:
        joins[:] = [member.joins for member in members]
    equal("joins", joins, [member.joins for member in members])
    eventually("lasting offsets", [turn * PER_TURN // PARTITIONS] * PARTITIONS,
               lambda: [committed("lasting", p)[0] for p in range(PARTITIONS)])  # fmt: skip


def idle(turn):
    eventually("idle", (turn - 1, f"turn {turn - 1} µ") if turn > 1 else (INVALID, ""), lambda: committed("idle", 1))
    commit("idle", 1, turn, f"turn {turn} µ")
    if turn > 1:
        eventually("doomed", (turn - 1, "x"), lambda: committed(f"doomed-{turn - 1}", 0))
        admin.delete_consumer_groups([f"doomed-{turn - 1}"])[f"doomed-{turn - 1}"].result()
    if turn > 2:
        equal("deleted", (INVALID, ""), committed(f"doomed-{turn - 2}", 0))
    commit(f"doomed-{turn}", 0, turn, "x")


def carried_over(turn):
    """The transactions of the turn before go on, end by their timeout, or by a new producer of that name."""
    eventually("offsets of an open transaction", seen["offset"], lambda: committed("processing", 2)[0])
    send(lasting, "crossing", f"{turn} continued")
    if turn % 2 == 0:
        lasting.commit_transaction(120)
        seen["values"] += [f"{turn - 1} open", f"{turn} continued"]
        seen["offset"] = turn - 1
    else:
        lasting.abort_transaction(120)
    zombies.append(transactional("fenced"))
    try:
        zombies[-2].commit_transaction(60)
        raise AssertionError("a producer of the turn before was not fenced")
    except KafkaException as error:
        equal("fenced", True, error.args[0].name() in ("_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"))
    eventually("read_committed", seen["values"], crossing)
    eventually("offsets of an ended transaction", seen["offset"], lambda: committed("processing", 2)[0])


def transactions(turn):
    if turn > 1:
        carried_over(turn)
    abandoned = transactional(f"abandoned-{turn}", **{"transaction.timeout.ms": 15000})
    for client, word in ((abandoned, "abandoned"), (zombies[-1], "zombie"), (lasting, "open")):
        client.begin_transaction()
        send(client, "crossing", f"{turn} {word}")
    processing = Consumer({**COMMON, "group.id": "processing", "enable.auto.commit": False})
    lasting.send_offsets_to_transaction([TopicPartition("grouped", 2, turn)], processing.consumer_group_metadata(), 60)
    processing.close()


admin = AdminClient(COMMON)
plain = Producer({**COMMON, "enable.idempotence": True})
expected, joins, zombies, seen = set(), [], [], {"values": [], "offset": INVALID}
for line in sys.stdin:
    turn = int(line)
    if turn == 1:
        members = [Member(), Member(**({"group.instance.id": "static"} if sys.argv[2:] else {}))]
        while not all(member.owned and member.owned != {0, 1, 2} for member in members):
            for member in members:
                member.poll()
        lasting = transactional("crossing")
        zombies.append(transactional("fenced"))
    for part in (groups, idle, transactions):
        try:
            part(turn)
        except BaseException as error:
            print(f"FAILED {part.__name__} of turn {turn}: {type(error).__name__}: {error}", flush=True)
            raise
    print(f"ok groups and transactions of turn {turn}", flush=True)
