"""Transactions with librdkafka: what readers see, fencing, timeout, read-process-write. Arguments: BOOTSTRAP, a word for names."""
import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

BOOTSTRAP, WORD = sys.argv[1:]
INPUTS = 300
# librdkafka 2.16 that starts over from its bootstrap servers, because its only broker was away, hangs.
COMMON = {"bootstrap.servers": BOOTSTRAP, "metadata.recovery.strategy": "none"}
admin = AdminClient(COMMON)


def step(name, body, *args):
    try:
        body(*args)
    except BaseException as error:
        print(f"FAILED {name}: {type(error).__name__}: {error}", flush=True)
        raise
    print(f"ok {name}", flush=True)


def equal(what, expected, got):
    if expected != got:
        raise AssertionError(f"{what}: expected {expected!r}, got {got!r}")


def eventually(what, expected, call, *args):
    until = time.monotonic() + 20
    while (got := call(*args)) != expected:
        if time.monotonic() > until:
            equal(what, expected, got)


def topic(name, partitions):
    name = f"rdtx-{name}-{WORD}"
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result()
    return name


def producer(name, **settings):
    client = Producer({**COMMON, "transactional.id": f"rd-{name}-{WORD}", **settings})
    client.init_transactions(60)
    return client


def consumer(isolation, group="unused", **settings):
    return Consumer({
        **COMMON, "group.id": group, "isolation.level": isolation, "enable.auto.commit": False,
        "auto.offset.reset": "earliest", "session.timeout.ms": 10000, "heartbeat.interval.ms": 300, **settings,
    })  # fmt: skip


def send(client, topic, *values, partition=0):
    for value in values:
        client.produce(topic, value, partition=partition)
    equal("left in the queue", 0, client.flush(30))


def stable_end(topic):
    client = consumer("read_committed")
    end = client.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)[1]
    client.close()
    return end


def values(isolation, topic, partitions=1):
    """All records up to the end that this consumer sees."""
    client = consumer(isolation, **{"enable.partition.eof": True})
    client.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    found, ends, until = [], set(), time.monotonic() + 30
    while len(ends) < partitions:
        if time.monotonic() > until:
            raise AssertionError(f"no end of {topic}")
        record = client.poll(1)
        if record is not None and record.error():
            equal("error", "_PARTITION_EOF", record.error().name())
            ends.add(record.partition())
        elif record is not None:
            found.append(record.value().decode())
    client.close()
    return sorted(found)


def commit_and_abort():
    name = topic("ends", 1)
    client = producer("ends")
    for round in "abc":
        client.begin_transaction()
        send(client, name, round + "1", round + "2")
        client.abort_transaction(30) if round == "b" else client.commit_transaction(30)
    client.begin_transaction()
    client.commit_transaction(30)
    eventually("committed", ["a1", "a2", "c1", "c2"], values, "read_committed", name)
    equal("all", ["a1", "a2", "b1", "b2", "c1", "c2"], values("read_uncommitted", name))


def open_transaction():
    name = topic("open", 1)
    client = producer("open")
    plain = Producer(COMMON)
    send(plain, name, "before")
    client.begin_transaction()
    send(client, name, "open")
    send(plain, name, "after")
    equal("committed", ["before"], values("read_committed", name))
    client.commit_transaction(30)
    eventually("committed", ["after", "before", "open"], values, "read_committed", name)


def fenced(call, *args):
    try:
        call(*args)
    except KafkaException as error:
        equal("error", True, error.args[0].name() in ("_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"))
        return
    raise AssertionError("a zombie was not fenced")


def fencing():
    name = topic("fence", 1)
    old = producer("fence")
    old.begin_transaction()
    send(old, name, "old")
    fresh = producer("fence")
    fresh.begin_transaction()
    send(fresh, name, "new")
    fenced(old.commit_transaction, 30)
    fresh.commit_transaction(30)
    eventually("committed", ["new"], values, "read_committed", name)


def timeout():
    name = topic("timeout", 1)
    client = producer("timeout", **{"transaction.timeout.ms": 1000, "message.timeout.ms": 1000})
    client.begin_transaction()
    send(client, name, "late")
    eventually("stable end", 2, stable_end, name)
    try:
        client.commit_transaction(30)
    except KafkaException:
        return equal("committed", [], values("read_committed", name))
    raise AssertionError("a transaction was committed after its timeout")


def stale_member():
    name = topic("stale", 1)
    plain = Producer(COMMON)
    send(plain, name, "in")
    reader = consumer("read_committed", f"rd-stale-{WORD}")
    reader.subscribe([name])
    while reader.poll(1) is None:
        pass
    stale = reader.consumer_group_metadata()
    reader.close()
    client = producer("stale")
    client.begin_transaction()
    try:
        client.send_offsets_to_transaction([TopicPartition(name, 0, 1)], stale, 30)
    except KafkaException as error:
        equal("to be aborted", True, error.args[0].txn_requires_abort())
        client.abort_transaction(30)
        reader = consumer("read_committed", f"rd-stale-{WORD}")
        equal("committed", -1001, reader.committed([TopicPartition(name, 0)], 30)[0].offset)
        return reader.close()
    raise AssertionError("offsets of a member that has left were taken")


def read_process_write(kind):
    source, target, group = topic(kind + "-in", 3), topic(kind + "-out", 2), f"rd-{kind}-{WORD}"
    plain = Producer(COMMON)
    for i in range(INPUTS):
        plain.produce(source, f"v{i}", partition=i % 3)
    equal("left in the queue", 0, plain.flush(30))
    processed, deaths = 0, 0
    while processed < INPUTS:
        deaths += 1
        processed += process(source, target, group, processed, kind, kind == "deaths" and deaths < 5)
    eventually("outputs", sorted(f"V{i}" for i in range(INPUTS)), values, "read_committed", target, 2)


def process(source, target, group, before, kind, dies):
    """Processes all inputs, or dies in the middle of a transaction; or the broker does, twice."""
    client, reader, processed = producer(group), consumer("read_committed", group), 0
    reader.subscribe([source])
    signals, until = ["KILL", "TERM"] if kind == "broker" else [], time.monotonic() + 240
    while before + processed < INPUTS:
        equal("in time", True, time.monotonic() < until)
        records = [record for record in reader.consume(10, timeout=0.5) if not record.error()]
        if not records:
            continue
        client.begin_transaction()
        for record in records:
            client.produce(target, record.value().decode().upper(), partition=record.partition() % 2)
        client.send_offsets_to_transaction(reader.position(reader.assignment()), reader.consumer_group_metadata(), 60)
        if dies and processed > 20:
            client.flush(30)
            break
        if signals and processed > 80:
            print("restart", signals.pop(0), flush=True)
            sys.stdin.readline()
        client.commit_transaction(60)
        processed += len(records)
    reader.close()
    return processed


step("commit and abort", commit_and_abort)
step("an open transaction bounds read_committed", open_transaction)
step("a new producer fences the old one", fencing)
step("a transaction that is open too long is aborted", timeout)
step("a member that has left its group sends no offsets", stale_member)
step("read, process, write", read_process_write, "loop")
step("read, process, write, with deaths", read_process_write, "deaths")
step("read, process, write, while the broker is killed and stopped", read_process_write, "broker")
