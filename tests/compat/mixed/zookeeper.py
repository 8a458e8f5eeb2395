"""As much of ZooKeeper's protocol as a test needs: one connection, one request at a time.

As a program: zookeeper.py PORT get|ls PATH prints the data or the children, nothing if there is no such node. It starts
in a fraction of the time of ZooKeeper's own shell.
"""
import socket
import struct
import sys
import threading

CREATE, DELETE, EXISTS, GET, SET, CHILDREN, PING = 1, 2, 3, 4, 5, 8, 11
NO_NODE, NODE_EXISTS = -101, -110
ANYBODY = [(31, "world", "anyone")]


class Refused(Exception):
    def __init__(self, code, path):
        super().__init__(f"ZooKeeper answers {code} about {path}")
        self.code = code


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">i", len(data)) + data


class ZooKeeper:
    """Threads may share it. Everything fails with Refused, None where Kafka's clients say "no node"."""

    def __init__(self, port):
        self.lock = threading.Lock()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.xid = 0
        self.send(struct.pack(">iqiqi", 0, 0, 30000, 0, 16) + bytes(16))
        self.receive()
        threading.Thread(target=self.keep_alive, daemon=True).start()

    def keep_alive(self):
        """A driver waits for minutes without a request."""
        pause = threading.Event()
        while not pause.wait(5):
            try:
                with self.lock:
                    self.send(struct.pack(">ii", -2, PING))
                    self.receive()
            except OSError:
                return

    def send(self, body):
        self.socket.sendall(struct.pack(">i", len(body)) + body)

    def receive(self):
        size = struct.unpack(">i", self.exactly(4))[0]
        return self.exactly(size)

    def exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise OSError("ZooKeeper has closed the connection")
            data += part
        return data

    def call(self, kind, path, rest):
        with self.lock:
            self.xid += 1
            self.send(struct.pack(">ii", self.xid, kind) + text(path) + rest)
            answer = self.receive()
        code = struct.unpack(">i", answer[12:16])[0]
        if code == NO_NODE:
            return None
        if code != 0:
            raise Refused(code, path)
        return answer[16:]

    def get(self, path):
        """The data, None if there is no such node."""
        answer = self.call(GET, path, b"\0")
        if answer is None:
            return None
        size = struct.unpack(">i", answer[:4])[0]
        return answer[4 : 4 + size] if size > 0 else b""

    def children(self, path):
        answer = self.call(CHILDREN, path, b"\0")
        if answer is None:
            return []
        count, at, names = struct.unpack(">i", answer[:4])[0], 4, []
        for _ in range(count):
            size = struct.unpack(">i", answer[at : at + 4])[0]
            names.append(answer[at + 4 : at + 4 + size].decode())
            at += 4 + size
        return sorted(names)

    def exists(self, path):
        return self.call(EXISTS, path, b"\0") is not None

    def create(self, path, data):
        """False if it was there."""
        acl = struct.pack(">i", len(ANYBODY)) + b"".join(struct.pack(">i", p) + text(s) + text(i) for p, s, i in ANYBODY)
        try:
            self.call(CREATE, path, text(data) + acl + struct.pack(">i", 0))
            return True
        except Refused as refused:
            if refused.code == NODE_EXISTS:
                return False
            raise

    def delete(self, path):
        self.call(DELETE, path, struct.pack(">i", -1))


if __name__ == "__main__":
    port, command, path = sys.argv[1:4]
    zookeeper = ZooKeeper(int(port))
    print((zookeeper.get(path) or b"").decode() if command == "get" else " ".join(zookeeper.children(path)))
