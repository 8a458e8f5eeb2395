"""An idempotent producer whose state outlives the broker: raw Produce requests (version 5, Kafka 1.0 and newer).

Usage: producer.py BOOTSTRAP TOPIC STATE_FILE. What it has sent before must be known: the last batch, sent again, is
answered with its old offset (DUPLICATE is no error to a producer), a batch that skips a sequence number is refused, and
the next one in order is appended. The first run asks for a producer id.
"""
import json
import os
import socket
import struct
import sys
import time

BOOTSTRAP, TOPIC, STATE = sys.argv[1:4]
PRODUCE, INIT_PRODUCER_ID = 0, 22
OUT_OF_ORDER_SEQUENCE_NUMBER = 45
PER_BATCH = 3


def crc32c(data):
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def varint(number):
    number = number << 1 ^ number >> 63
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def batch(state, sequence):
    records = b""
    for i in range(PER_BATCH):
        value = f"sequence {sequence + i}".encode()
        record = b"\0" + varint(0) + varint(i) + varint(-1) + varint(len(value)) + value + varint(0)
        records += varint(len(record)) + record
    now = int(time.time() * 1000)
    body = struct.pack(">hiqqqhii", 0, PER_BATCH - 1, now, now, state["id"], state["epoch"], sequence, PER_BATCH)
    body += records
    return struct.pack(">qiibI", 0, 9 + len(body), -1, 2, crc32c(body)) + body


class Connection:
    def __init__(self):
        host, port = BOOTSTRAP.split(":")
        self.stream = socket.create_connection((host, int(port)), timeout=30).makefile("rwb")

    def ask(self, api_key, version, body):
        message = struct.pack(">hhi", api_key, version, 1) + string("takeover") + body
        self.stream.write(struct.pack(">i", len(message)) + message)
        self.stream.flush()
        (size,) = struct.unpack(">i", self.stream.read(4))
        return self.stream.read(size)[4:]

    def produce(self, records):
        """The error code and the base offset."""
        body = struct.pack(">hhii", -1, -1, 30000, 1) + string(TOPIC)
        body += struct.pack(">iii", 1, 0, len(records)) + records
        answer = self.ask(PRODUCE, 5, body)
        return struct.unpack_from(">hq", answer, 4 + len(string(TOPIC)) + 4 + 4)

    def init_producer_id(self):
        until = time.monotonic() + 60
        while True:
            _, error, producer_id, epoch = struct.unpack(">ihqh", self.ask(INIT_PRODUCER_ID, 0, struct.pack(">hi", -1, 60000)))
            if error == 0:
                return {"id": producer_id, "epoch": epoch, "next": 0}
            if time.monotonic() > until:
                raise SystemExit(f"FAILED InitProducerId: error {error}")
            time.sleep(0.1)


def equal(what, expected, got):
    if expected != got:
        raise SystemExit(f"FAILED {what}: expected {expected}, got {got}")


connection = Connection()
state = {}
if os.path.exists(STATE):
    with open(STATE) as file:
        state = json.load(file)
else:
    state = connection.init_producer_id()
if state["next"]:
    last = state["next"] - PER_BATCH
    equal("the last batch again (error, offset)", (0, state["offset"]), connection.produce(batch(state, last)))
    equal("a gap in the sequence", OUT_OF_ORDER_SEQUENCE_NUMBER, connection.produce(batch(state, state["next"] + 5))[0])
for _ in range(2):
    error, offset = connection.produce(batch(state, state["next"]))
    equal(f"batch with sequence {state['next']}", 0, error)
    if state["next"]:
        equal("its offset", state["offset"] + PER_BATCH, offset)
    state.update(next=state["next"] + PER_BATCH, offset=offset)
with open(STATE, "w") as file:
    json.dump(state, file)
