# What the three programs of the ecosystem share; sourced by streams.sh, connect.sh and mirrormaker.sh after `name` is
# set. AGAINST: ours or apache. ECOSYSTEM_SECONDS: how long there is load (60). OFFSETS: offsets.storage of ours.
# PROPERTIES: more lines for server.properties.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=$(cd "$here/../.." && pwd)
home=${INTEROP_HOME:-$root/target/interop}
run=$home/$name
logs=$home/$name-logs
source "$here/clients.sh"
source "$here/cluster.sh"
AGAINST=${AGAINST:-ours}
VERSION=${VERSION:-2.8.2}
load_seconds=${ECOSYSTEM_SECONDS:-60}
patience=240
# Nobody kills ZooKeeper here, and it shares its disk with others, who make it wait for seconds.
zookeeper_options=-Dzookeeper.forceSync=no
rm -rf "$run" "$logs"
mkdir -p "$run" "$logs"
eco_path="$home/java/ecosystem-$VERSION:$home/jars/ecosystem-$VERSION/*"

fail() { echo "FAILED $*"; exit 1; }

# eco CLASS ARGS...: a class of the ecosystem or of ours. In the background it takes the subshell's place, so that $! is
# the program.
eco() {
  local program=(java -Xmx384m -XX:TieredStopAtLevel=1 "-Dlog4j.configuration=file:$here/ecosystem/log4j.properties" -cp "$eco_path")
  [ $BASHPID = $$ ] || exec "${program[@]}" "$@"
  "${program[@]}" "$@"
}

# create_topics PARTITIONS TOPIC...
create_topics() { eco Words topics "$BOOTSTRAP" "$@" 2>>"$logs/topics.log" || { tail -n 5 "$logs/topics.log"; fail "topics ${*:2}"; }; }

# part N: sleeps for an Nth of the time of load.
part() { sleep $((load_seconds / $1)); }

# await_line LOG TEXT COUNT PID: until TEXT stands in COUNT lines.
await_line() {
  local until=$((SECONDS + patience))
  until [ "$(cat "$1" 2>/dev/null | grep -cF -- "$2")" -ge "$3" ]; do
    kill -0 "$4" 2>/dev/null || { tail -n 30 "$1"; fail "$1: the process has ended"; }
    [ $SECONDS -lt $until ] || { tail -n 30 "$1"; fail "$1: no '$2'"; }
    sleep 0.2
  done
}

# end PID SIGNAL: and waits.
end() {
  kill "-$2" "$1" || fail "process $1 has ended before"
  wait "$1" 2>/dev/null || true
}

# Causes of what a program says when its broker is away: anything else, such as a sequence that is out of order or an
# offset out of range, is a fault. Those of transactions come when one was open for too long meanwhile.
CAUSES='TimeoutException|DisconnectException|NetworkException|NoAvailableBrokersException|RebalanceInProgressException'
CAUSES+='|RetriableCommitFailedException|CommitFailedException|CoordinatorLoadInProgressException|NotCoordinatorException'
CAUSES+='|CoordinatorNotAvailableException|NotLeaderOrFollowerException|UnknownTopicOrPartitionException'
CAUSES+='|TopicExistsException|TaskCorruptedException|TaskMigratedException|ProducerFencedException'
CAUSES+='|InvalidProducerEpochException|SecurityDisabledException|errors.ConnectException|ExecutionException'
CAUSES+='|KafkaException: Producer is closed forcefully|InstanceAlreadyExistsException'

# only_explained LOG PATTERN...: no line of level WARN or worse but those that match, no exception but for the CAUSES.
only_explained() {
  local log=$1 count
  shift
  printf '%s\n' "$@" >"$run/explained"
  [ -s "$log" ] || fail "$log is empty"
  grep -aE '^\[[^]]*\] (WARN|ERROR|FATAL) ' "$log" | grep -avE -f "$run/explained" >"$run/unexplained" || true
  count=$(wc -l <"$run/unexplained")
  [ "$count" = 0 ] || { head -n 20 "$run/unexplained"; fail "$count unexplained warnings or errors in $log"; }
  grep -aE '^(Caused by: )?[a-z]+\.[A-Za-z.]*(Exception|Error)\b' "$log" | grep -avE "$CAUSES" >"$run/unexplained" || true
  [ ! -s "$run/unexplained" ] || { head -n 20 "$run/unexplained"; fail "unexplained exceptions in $log"; }
  echo "ok nothing unexplained in $(basename "$log")"
}

# Few partitions of the internal topics: a killed Apache broker recovers each of them. A machine that stands still for
# some seconds must not look like a broker that does.
SETTINGS="zookeeper.session.timeout.ms=18000 offsets.commit.timeout.ms=60000 zookeeper.connection.timeout.ms=60000 offsets.topic.num.partitions=5 transaction.state.log.num.partitions=5 ${OFFSETS:+offsets.storage=$OFFSETS} ${PROPERTIES:-}"

# What a client says while its broker is dead, or has just come and not yet heard from the controller which topics and
# brokers there are (Kafka then tries to create the topic, for no broker); and no more.
BROKER_AWAY=(
  'Connection to node -?[0-9]+ .*could not be established. Broker may not be available'
  'Bootstrap broker .* disconnected'
  'Got error produce response with correlation id .* (NETWORK_EXCEPTION|NOT_LEADER_OR_FOLLOWER|UNKNOWN_TOPIC_OR_PARTITION)'
  'Received invalid metadata error in produce request on partition .* due to org.apache.kafka.common.errors.(NetworkException|NotLeaderOrFollowerException|UnknownTopicOrPartitionException)'
  'Offset commit failed on partition .* at offset [0-9]+: (This is not the correct coordinator|The coordinator is (not available|loading))'
  'Received unknown topic or partition error in (produce request on|fetch for) partition'
  'Error while fetching metadata with correlation id [0-9]+ : \{([^ ]*=(UNKNOWN_TOPIC_OR_PARTITION|LEADER_NOT_AVAILABLE|INVALID_REPLICATION_FACTOR)(, )?)+\}'
)

# judge_broker LOG PATTERN...: Apache's own is not ours to judge. A new data directory is told of.
judge_broker() {
  [ "$AGAINST" = ours ] || return 0
  only_explained "$1" 'No meta.properties file under dir' "${@:2}"
}
