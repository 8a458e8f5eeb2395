"""What is done to a cluster under load. Each step ends with everything in sync again."""
import json

from cluster import Failed, say, wait_for

MORE = 150
COORDINATORS = 3
# Those whose every partition always gets records: transactions may wait.
WRITTEN = ["durable", "in"]
LOADED = ["durable", "in", "out", "__consumer_offsets", "__transaction_state"]


def ok(line):
    say(f"ok {line}")


def create_topics(cluster):
    """The load's own; those of the coordinators make themselves. Every broker leads something of each."""
    for topic, partitions in (("durable", 6), ("in", COORDINATORS), ("out", COORDINATORS)):
        replicas = ",".join(":".join(str((p + i) % 3) for i in range(3)) for p in range(partitions))
        create_topic(cluster, topic, "--replica-assignment", replicas)


def where(cluster):
    """How the topic tool finds the cluster. Old brokers know no admin requests that the new tool would send."""
    if cluster.tools_version() == "1.1.1":
        return ["--zookeeper", f"127.0.0.1:{cluster.zookeeper_port}"]
    return ["--bootstrap-server", cluster.bootstrap()]


def topic_tool(cluster, *arguments):
    return cluster.tool("kafka.admin.TopicCommand", *where(cluster), *arguments)


def create_topic(cluster, topic, *arguments):
    topic_tool(cluster, "--create", "--topic", topic, *arguments)
    cluster.await_full_isr(topic)


def spread_coordinators(cluster):
    """Each of their partitions gets another broker as its first replica."""
    wanted = {}
    for topic in ("__consumer_offsets", "__transaction_state"):
        wait_for(f"partitions of {topic}", lambda t=topic: len(cluster.assignment(t)) == COORDINATORS)
        for p in range(COORDINATORS):
            wanted[topic, p] = [(p + i) % 3 for i in range(3)]
    reassign(cluster, wanted, by_znode)
    cluster.elect_preferred()


def kinds(brokers):
    """The first broker of each kind."""
    first = {}
    for broker in brokers:
        first.setdefault(broker.kind, broker)
    return list(first.values())


def roles(cluster, load):
    """Each kind of broker ends and returns, while it leads a third of everything, the rest it follows, and each kind of
    broker is the controller: itself, one of its kind, and one of another."""
    for target in kinds(cluster.brokers):
        others = [b for b in cluster.brokers if b is not target]
        for controller in [target, *kinds(others)]:
            for signal in ("TERM", "KILL"):
                end_and_return(cluster, load, target, controller, signal)


def end_and_return(cluster, load, target, controller, signal):
    what = f"{signal} of {target}, " + ("itself the controller" if controller is target else f"{controller} is the controller")
    cluster.make_controller(controller)
    cluster.elect_preferred()
    for topic in LOADED:
        if not cluster.led_by(target, topic):
            raise Failed(f"{what}: it leads nothing of {topic}")
    load.await_more(f"{what}: before", MORE)
    cluster.await_followed(what, WRITTEN)
    end(cluster, target, signal, what)
    load.await_more(f"{what}: while it is away", MORE)
    if controller is not target and cluster.controller() != controller.number:
        raise Failed(f"{what}: {cluster.controller()} has become the controller")
    cluster.start(target)
    cluster.await_full_isr(f"{what}: when it is back")
    load.await_more(f"{what}: afterwards", MORE)
    ok(what)


def end(cluster, target, signal, what):
    """A broker that stops hands its partitions over first."""
    cluster.end(target, signal)
    if signal == "TERM":
        left = [topic for topic in LOADED if any(s["leader"] in (target.number, -1) for t, _, _, s in cluster.partitions() if t == topic)]
        if left:
            raise Failed(f"{what}: it stopped as the leader of partitions of {left}")


def pauses(cluster, load):
    """Each kind of broker is held until it has lost its session, and goes on as if nothing had happened, while it is the
    controller and while another one is."""
    for target in kinds(cluster.brokers):
        other = next(b for b in reversed(cluster.brokers) if b is not target)
        for controller in (target, other):
            what = f"pause of {target}, " + ("itself the controller" if controller is target else f"{controller} is the controller")
            cluster.make_controller(controller)
            cluster.elect_preferred()
            load.await_more(f"{what}: before", MORE)
            cluster.await_followed(what, WRITTEN)
            cluster.pause(target)
            load.await_more(f"{what}: meanwhile", MORE)
            cluster.go_on(target)
            cluster.await_full_isr(f"{what}: afterwards")
            load.await_more(f"{what}: afterwards", MORE)
            ok(what)


def by_znode(cluster, wanted):
    partitions = [{"topic": t, "partition": p, "replicas": r} for (t, p), r in wanted.items()]
    if not cluster.zookeeper.create("/admin/reassign_partitions", json.dumps({"version": 1, "partitions": partitions})):
        raise Failed("a reassignment is under way")


def by_request(cluster, wanted):
    """Apache's tool and its AlterPartitionReassignments."""
    partitions = [{"topic": t, "partition": p, "replicas": r} for (t, p), r in wanted.items()]
    file = cluster.run / "reassignment.json"
    file.write_text(json.dumps({"version": 1, "partitions": partitions}))
    cluster.tool(
        "kafka.admin.ReassignPartitionsCommand", "--bootstrap-server", cluster.bootstrap(), "--reassignment-json-file", str(file), "--execute"
    )


def reassign(cluster, wanted, ask):
    ask(cluster, wanted)

    def done():
        if cluster.zookeeper.exists("/admin/reassign_partitions"):
            return "the znode is still there"
        for topic in sorted({t for t, _ in wanted}):
            node = cluster.json(f"/brokers/topics/{topic}")
            if any(node.get("adding_replicas", {}).values()) or any(node.get("removing_replicas", {}).values()):
                return f"{topic} is under way: {node}"
            for p, replicas in node["partitions"].items():
                if wanted.get((topic, int(p)), replicas) != replicas:
                    return f"{topic}-{p} has {replicas}"
        return True

    wait_for("reassignment", done)
    cluster.await_full_isr("reassignment")
    wait_for("removed replicas", cluster.no_strangers)


def reassignment(cluster, load):
    """All partitions leave each broker in turn and come back, led by each kind of controller, asked in each way."""
    ways = [by_znode] if cluster.tools_version() == "1.1.1" else [by_znode, by_request]
    for controller in kinds(cluster.brokers):
        cluster.make_controller(controller)
        before = {(t, p): r for t, p, r, _ in cluster.partitions()}
        for shift in range(3):
            moved = {(t, p): [n for n in r if n != (p + shift) % 3] for (t, p), r in before.items()}
            reassign(cluster, moved, ways[shift % len(ways)])
            load.await_more(f"two replicas, {controller} is the controller", MORE)
        reassign(cluster, before, ways[-1])
        cluster.elect_preferred()
        load.await_more(f"three replicas, {controller} is the controller", MORE)
        if cluster.controller() != controller.number:
            raise Failed(f"{controller} did not stay the controller")
        ok(f"four reassignments of everything, {controller} is the controller")


def topics(cluster, load):
    """A topic's life under each kind of controller."""
    for controller in kinds(cluster.brokers):
        cluster.make_controller(controller)
        topic = f"short-{controller.number}"
        create_topic(cluster, topic, "--partitions", "3", "--replication-factor", "3")
        topic_tool(cluster, "--alter", "--topic", topic, "--partitions", "6")
        wait_for(f"partitions of {topic}", lambda t=topic: len(cluster.assignment(t)) == 6 and all(cluster.state(t, p) for p in range(6)))
        cluster.await_full_isr(topic)
        wait_for("directories", cluster.has_all)
        topic_tool(cluster, "--delete", "--topic", topic)
        wait_for(f"the end of {topic}", lambda t=topic: t not in cluster.topics() and not cluster.zookeeper.exists(f"/admin/delete_topics/{t}"))
        wait_for(f"the end of {topic}'s replicas", cluster.no_strangers)
        load.await_more(topic, MORE)
        ok(f"a topic's life, {controller} is the controller")


def replace(cluster, load, target, signal, kind, protocol=None):
    """Another broker takes over a broker's directories."""
    old = str(target)
    load.await_more(f"before {old} ends", MORE)
    cluster.await_followed(f"before {old} ends", WRITTEN)
    end(cluster, target, signal, f"{signal} of {old}")
    load.await_more(f"while {old} is away", MORE)
    target.kind = kind
    target.protocol = protocol or target.protocol
    cluster.start(target)
    cluster.await_full_isr(f"{target} in the place of {old}")
    cluster.elect_preferred()
    load.await_more(f"{target} in the place of {old}", MORE)
    ok(f"{target} in the place of {old} after {signal}, protocol {target.protocol}; the controller is {cluster.controller()}")


def rolling(cluster, load):
    """Every broker is replaced by one of ours on its directories, then every one by Apache's again."""
    apache = [broker.kind for broker in cluster.brokers]
    for target, signal in zip(cluster.brokers, ("TERM", "KILL", "TERM")):
        replace(cluster, load, target, signal, "ours")
    for target, signal, kind in zip(cluster.brokers, ("KILL", "TERM", "KILL"), apache):
        replace(cluster, load, target, signal, kind)


def upgrade(cluster, load):
    """From an old Apache by way of ours to the newest, with the protocol of each broker raised on the way."""
    for target in cluster.brokers:
        replace(cluster, load, target, "TERM", "ours")
    for target in cluster.brokers:
        replace(cluster, load, target, "TERM", "ours", "2.8")
    for target in cluster.brokers:
        replace(cluster, load, target, "KILL", "2.8.2")


STEPS = {"roles": roles, "pauses": pauses, "reassignment": reassignment, "topics": topics, "rolling": rolling, "upgrade": upgrade}
