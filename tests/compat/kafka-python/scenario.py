"""Produce, read, offsets and admin calls with kafka-python 2.0 and 3.0. Arguments: BOOTSTRAP, a word for topic names."""
import importlib.util
import sys
import time

import kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic
from kafka.errors import TopicAlreadyExistsError

BOOTSTRAP, WORD = sys.argv[1], sys.argv[2]
SINCE_3 = int(kafka.__version__.split(".")[0]) >= 3
COUNT = 60


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


def consumer(**settings):
    return KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=None, **settings)


def read(client, partition, offset, count):
    client.assign([partition])
    client.seek(partition, offset)
    got, until = [], time.monotonic() + 30
    while len(got) < count:
        if time.monotonic() > until:
            raise AssertionError(f"{len(got)} of {count} records of {partition}")
        for records in client.poll(timeout_ms=500).values():
            got += records
    return got


def key(i):
    return b"k%d" % i if i % 5 else None


def value(i):
    return b"v%d" % i if i % 7 or i % 5 == 0 else None


def round_trip(acks, codec, settings):
    idempotent = "-idempotent" if settings.get("enable_idempotence") else ""
    partition = TopicPartition(f"kp-{WORD}-{acks}-{codec}{idempotent}", 1)
    producer = KafkaProducer(
        bootstrap_servers=BOOTSTRAP, acks=acks, compression_type=codec, linger_ms=5, batch_size=700, **settings
    )
    sent = [
        producer.send(partition.topic, partition=1, key=key(i), value=value(i), headers=[("h", b"%d" % i)])
        for i in range(COUNT)
    ]
    producer.flush()
    for i, future in enumerate(sent):
        metadata = future.get(timeout=30)
        if acks != 0:
            equal("offset", i, metadata.offset)
    producer.close()
    client = consumer()
    for i, record in enumerate(read(client, partition, 0, COUNT)):
        equal("record", (i, key(i), value(i)), (record.offset, record.key, record.value))
        equal("headers", [("h", b"%d" % i)], list(record.headers))
    equal("first after seek", 33, read(client, partition, 33, 1)[0].offset)
    client.close()


def offsets():
    partition = TopicPartition(f"kp-{WORD}-times", 0)
    base = int(time.time() * 1000) - 50_000
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all", batch_size=300)
    for i in range(50):
        producer.send(partition.topic, partition=0, value=b"v%d" % i, timestamp_ms=base + 100 * i)
    producer.flush()
    producer.close()
    client = consumer()
    client.assign([partition])
    equal("partitions", {0, 1, 2}, client.partitions_for_topic(partition.topic))
    equal("beginning", {partition: 0}, client.beginning_offsets([partition]))
    equal("end", {partition: 50}, client.end_offsets([partition]))
    found = client.offsets_for_times({partition: base + 1501})[partition]
    equal("offset for a time", (16, base + 1600), (found.offset, found.timestamp))
    equal("after the last", None, client.offsets_for_times({partition: base + 5000})[partition])
    client.seek_to_end(partition)
    equal("position at the end", 50, client.position(partition))
    client.close()


def admin():
    topic = f"kp-{WORD}-admin"
    client = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    client.create_topics([NewTopic(topic, 2, 1, topic_configs={"retention.ms": "3600000"})])
    try:
        client.create_topics([NewTopic(topic, 2, 1)])
        raise AssertionError("the topic was created twice")
    except TopicAlreadyExistsError:
        pass
    if topic not in client.list_topics():
        raise AssertionError("the topic is not listed")
    partitions = 4 if SINCE_3 else NewPartitions(4)
    client.create_partitions({topic: partitions})
    until = time.monotonic() + 20
    while len(client.describe_topics([topic])[0]["partitions"]) != 4:
        if time.monotonic() > until:
            raise AssertionError("no four partitions")
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    if "3600000" not in str(client.describe_configs([resource])):
        raise AssertionError("retention.ms is not described")
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"segment.bytes": "20000000"})])
    until = time.monotonic() + 20
    while "20000000" not in str(client.describe_configs([resource])):
        if time.monotonic() > until:
            raise AssertionError("segment.bytes is not described")
    if SINCE_3:
        partition = TopicPartition(f"kp-{WORD}-times", 0)
        client.delete_records({partition: 20})
        equal("beginning", {partition: 20}, consumer().beginning_offsets([partition]))
    client.delete_topics([topic])
    client.close()


def main():
    codecs = [None, "gzip", "snappy", "lz4"]
    if importlib.util.find_spec("zstandard"):
        codecs.append("zstd")
    # 3.x is idempotent unless told otherwise.
    plain = {"enable_idempotence": False} if SINCE_3 else {}
    for acks in (0, 1, "all"):
        for codec in codecs:
            step(f"acks {acks} {codec}", round_trip, acks, codec, dict(plain))
    if SINCE_3:
        for codec in codecs:
            step(f"idempotent {codec}", round_trip, "all", codec, {"enable_idempotence": True})
    step("offsets", offsets)
    step("admin calls", admin)


main()
