//! Identity, ZooKeeper, threads, KRaft leftovers.

use super::prelude::*;

keys! {
    /// Connection to ZooKeeper.
    pub ZOOKEEPER {
        "zookeeper.connect": String = null, Any, High, ReadOnly, Now =>
            "ZooKeeper servers as `host:port,host:port`, with an optional chroot path after the last \
             one. Required.";
        "zookeeper.session.timeout.ms": Int = "18000", Any, High, ReadOnly, Now =>
            "Silence after which ZooKeeper declares this broker dead and the controller moves its \
             leaderships.";
        "zookeeper.connection.timeout.ms": Int = null, Any, High, ReadOnly, Now =>
            "Longest wait for the first connection to ZooKeeper; unset, the session timeout.";
        "zookeeper.sync.time.ms": Int = "2000", Any, Low, ReadOnly, Nothing =>
            "How far a ZooKeeper follower may lag; kept for old files, nothing reads it.";
        "zookeeper.set.acl": Boolean = "false", Any, High, ReadOnly, Refused =>
            "Creates znodes that only authenticated brokers can change.";
        "zookeeper.max.in.flight.requests": Int = "10", AtLeast(1), High, ReadOnly, Now =>
            "Requests sent to ZooKeeper without waiting for the answers of earlier ones; where this is not set, up to 256 \
             if they only read.";
        "zookeeper.ssl.client.enable": Boolean = "false", Any, Medium, ReadOnly, Refused =>
            "Speaks TLS with ZooKeeper.";
        "zookeeper.clientCnxnSocket": String = null, Any, Medium, ReadOnly, Nothing =>
            "Java class of the ZooKeeper connection.";
        "zookeeper.ssl.keystore.location": String = null, Any, Medium, ReadOnly, Later =>
            "Key store with this broker's certificate for ZooKeeper.";
        "zookeeper.ssl.keystore.password": Password = null, Any, Medium, ReadOnly, Later =>
            "Password of that key store.";
        "zookeeper.ssl.keystore.type": String = null, Any, Medium, ReadOnly, Later =>
            "Type of that key store; unset, told by the file's extension.";
        "zookeeper.ssl.truststore.location": String = null, Any, Medium, ReadOnly, Later =>
            "Trust store for ZooKeeper's certificates.";
        "zookeeper.ssl.truststore.password": Password = null, Any, Medium, ReadOnly, Later =>
            "Password of that trust store.";
        "zookeeper.ssl.truststore.type": String = null, Any, Medium, ReadOnly, Later =>
            "Type of that trust store; unset, told by the file's extension.";
        "zookeeper.ssl.protocol": String = "TLSv1.2", Any, Low, ReadOnly, Later =>
            "TLS version offered to ZooKeeper.";
        "zookeeper.ssl.enabled.protocols": List = null, Any, Low, ReadOnly, Later =>
            "TLS versions allowed with ZooKeeper; unset, only `zookeeper.ssl.protocol`.";
        "zookeeper.ssl.cipher.suites": List = null, Any, Low, ReadOnly, Later =>
            "Cipher suites allowed with ZooKeeper; unset, all that the TLS library allows.";
        "zookeeper.ssl.endpoint.identification.algorithm": String = "HTTPS", Any, Low, ReadOnly, Later =>
            "`HTTPS` checks ZooKeeper's host name against its certificate, empty does not.";
        "zookeeper.ssl.crl.enable": Boolean = "false", Any, Low, ReadOnly, Later =>
            "Checks ZooKeeper's certificates against revocation lists.";
        "zookeeper.ssl.ocsp.enable": Boolean = "false", Any, Low, ReadOnly, Later =>
            "Checks ZooKeeper's certificates by OCSP.";
    }
}

keys! {
    /// Identity and threads.
    pub GENERAL {
        "broker.id.generation.enable": Boolean = "true", Any, Medium, ReadOnly, Now =>
            "Lets a broker without `broker.id` take a number above `reserved.broker.max.id` from ZooKeeper.";
        "reserved.broker.max.id": Int = "1000", AtLeast(0), Medium, ReadOnly, Now =>
            "Largest `broker.id` that may be configured while generation is enabled.";
        "broker.id": Int = "-1", Any, High, ReadOnly, Now =>
            "This broker's number, unique in the cluster; -1 asks ZooKeeper for one.";
        "message.max.bytes": Int = "1048588", AtLeast(0), High, ClusterWide, Now =>
            "Largest record batch that is accepted, after compression, with its 12 bytes of offset \
             and length.";
        "num.network.threads": Int = "3", AtLeast(1), High, ClusterWide, Now =>
            "Threads that serve connections.";
        "num.io.threads": Int = "8", AtLeast(1), High, ClusterWide, Now =>
            "Threads that do disk work which may block: cold reads, flushes, deletions.";
        "num.replica.alter.log.dirs.threads": Int = null, Any, High, ReadOnly, Now =>
            "Threads that move replicas between log directories; unset, one per directory.";
        "background.threads": Int = "10", AtLeast(1), High, ClusterWide, Now =>
            "Threads for periodic work.";
        "queued.max.requests": Int = "500", AtLeast(1), High, ReadOnly, Nothing =>
            "Requests that may wait between network and request threads; here a request runs on the \
             thread that read it.";
        "queued.max.request.bytes": Long = "-1", Any, Medium, ReadOnly, Later =>
            "Bytes of requests in memory after which no more are read; below 1, no limit.";
        "request.timeout.ms": Int = "30000", Any, High, ReadOnly, Now =>
            "Longest wait for the answer to a request that this broker sends.";
        "socket.connection.setup.timeout.ms": Long = "10000", Any, Medium, ReadOnly, Now =>
            "Longest wait for a connection to another broker; doubles with each failure in a row.";
        "socket.connection.setup.timeout.max.ms": Long = "30000", Any, Medium, ReadOnly, Now =>
            "Where the doubling of the connection timeout ends.";
    }
}

keys! {
    /// KRaft, known so that files for it are understood.
    pub KRAFT {
        "process.roles": List = "", EachOf(&["broker", "controller"]), High, ReadOnly, Refused =>
            "Roles of a KRaft process; this broker uses ZooKeeper.";
        "node.id": Int = "-1", Any, High, ReadOnly, Now =>
            "KRaft's name for `broker.id`; overrides it if not negative, as in Kafka.";
        "initial.broker.registration.timeout.ms": Int = "60000", Any, Medium, ReadOnly, Kraft =>
            "KRaft: longest wait for the first registration.";
        "broker.heartbeat.interval.ms": Int = "2000", Any, Medium, ReadOnly, Kraft =>
            "KRaft: time between heartbeats to the controller.";
        "broker.session.timeout.ms": Int = "9000", Any, Medium, ReadOnly, Kraft =>
            "KRaft: silence after which the controller fences a broker.";
        "metadata.log.dir": String = null, Any, High, ReadOnly, Kraft =>
            "KRaft: directory of the metadata log.";
        "controller.listener.names": String = null, Any, High, ReadOnly, Kraft =>
            "KRaft: listeners of the controller.";
        "sasl.mechanism.controller.protocol": String = "GSSAPI", Any, High, ReadOnly, Kraft =>
            "KRaft: SASL mechanism towards controllers.";
    }
}
