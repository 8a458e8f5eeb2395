//! Listeners and connections.

use super::prelude::*;

keys! {
    /// Listeners and connections.
    pub NETWORK {
        "authorizer.class.name": String = "", Any, Low, ReadOnly, Refused =>
            "Class that decides who may do what; empty, everybody may do everything.";
        "port": Int = "9092", Any, High, ReadOnly, Now =>
            "Port to listen on if `listeners` is not set. Deprecated.";
        "host.name": String = "", Any, High, ReadOnly, Now =>
            "Host to listen on if `listeners` is not set; empty, all interfaces. Deprecated.";
        "listeners": String = null, Any, High, PerBroker, Now =>
            "Where to listen: `name://host:port`, comma separated. An empty host is all interfaces.";
        "advertised.host.name": String = null, Any, High, ReadOnly, Now =>
            "Host told to clients if `advertised.listeners` is not set. Deprecated.";
        "advertised.port": Int = null, Any, High, ReadOnly, Now =>
            "Port told to clients if `advertised.listeners` is not set. Deprecated.";
        "advertised.listeners": String = null, Any, High, PerBroker, Now =>
            "Addresses told to clients and other brokers; unset, those of `listeners`.";
        "listener.security.protocol.map": String = "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
            Any, Low, PerBroker, Now =>
            "Security protocol of each listener name, `name:protocol`, comma separated.";
        "control.plane.listener.name": String = null, Any, High, ReadOnly, Now =>
            "Listener on which this broker takes the controller's requests; unset, they share the \
             inter-broker listener.";
        "socket.send.buffer.bytes": Int = "102400", Any, High, ReadOnly, Now =>
            "SO_SNDBUF of accepted connections; -1 leaves it to the system.";
        "socket.receive.buffer.bytes": Int = "102400", Any, High, ReadOnly, Now =>
            "SO_RCVBUF of accepted connections; -1 leaves it to the system.";
        "socket.request.max.bytes": Int = "104857600", AtLeast(1), High, ReadOnly, Now =>
            "Largest request that is read; a larger one closes its connection.";
        "max.connections.per.ip": Int = "2147483647", AtLeast(0), Medium, ClusterWide, Now =>
            "Connections allowed from one address; 0 only with overrides.";
        "max.connections.per.ip.overrides": String = "", Any, Medium, ClusterWide, Now =>
            "Limits of single hosts, `host:count`, comma separated.";
        "max.connections": Int = "2147483647", AtLeast(0), Medium, ClusterWide, Now =>
            "Connections allowed on this broker, also per listener as `listener.name.NAME.max.connections`.";
        "max.connection.creation.rate": Int = "2147483647", AtLeast(0), Medium, ClusterWide, Now =>
            "New connections accepted per second, also per listener.";
        "connections.max.idle.ms": Long = "600000", Any, Medium, ReadOnly, Now =>
            "Idle time after which a connection is closed; negative, never.";
        "connection.failed.authentication.delay.ms": Int = "100", AtLeast(0), Low, ReadOnly, Later =>
            "Delay before a failed authentication is answered and its connection closed.";
        "broker.rack": String = null, Any, Medium, ReadOnly, Now =>
            "Rack of this broker; replicas of a partition are spread over racks.";
    }
}
