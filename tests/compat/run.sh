#!/bin/bash
# Runs unmodified, pinned client programs against a broker and fails on any deviation.
set -euo pipefail

ALL="java-0.8.2.2 java-0.10.2.2 java-1.1.1 java-2.8.2 java-3.9.1 java-4.1.0 sarama-1.19.0 sarama-1.61.1 tutorial-go
kcat kafka-python-2.0.2 kafka-python-3.0.12 kafkajs-2.2.4 tools-1.1.1 tools-2.8.2"

usage() { cat <<USAGE
usage: run.sh [--against ours|apache] [CLIENT...]
  --against  ours: target/release/kafka-server, or \$OURS (default); apache: Apache Kafka 2.8.2, to prove the clients
  CLIENT     $(echo $ALL | fold -sw 90 | sed '2,$s/^/             /')
             (default: all)
Programs come from Maven, Go, npm, PyPI and Debian at these versions; everything built or fetched is kept in
\${INTEROP_HOME:-target/interop}. Logs: \$INTEROP_HOME/logs/CLIENT.log.
USAGE
}

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
home=${INTEROP_HOME:-$root/target/interop}
against=ours
clients=()
while [ $# -gt 0 ]; do
  case $1 in
    --against) against=${2:?--against needs ours or apache}; shift 2 ;;
    -h|--help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *) clients+=("$1"); shift ;;
  esac
done
[ ${#clients[@]} -gt 0 ] || read -r -d '' -a clients <<<"$ALL" || true
source "$here/clients.sh"

run=$home/run
logs=$home/logs
rm -rf "$run" "$logs"
mkdir -p "$run" "$logs"

# A loopback port below the ephemeral range on which nobody listens.
free_port() {
  local port
  while :; do
    port=$((12000 + RANDOM % 19000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo $port; return; }
  done
}

start_broker() {
  local zookeeper_port=$(free_port) port=$(free_port) command
  "$root/zk-scripts/start.sh" --data-dir "$run/zookeeper" --port "$zookeeper_port"
  export BOOTSTRAP=127.0.0.1:$port ZOOKEEPER=127.0.0.1:$zookeeper_port LOG_DIRS=$run/data
  cat >"$run/server.properties" <<P
broker.id=0
listeners=PLAINTEXT://$BOOTSTRAP
log.dirs=$LOG_DIRS
zookeeper.connect=$ZOOKEEPER
num.partitions=3
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
P
  case $against in
    ours)
      command=("${OURS:-$root/target/release/kafka-server}")
      [ -x "${command[0]}" ] || { echo "no ${command[0]}: cargo build --release" >&2; exit 1; } ;;
    apache)
      core_jars 2.8.2 2.13
      command=(java -Xmx512m -cp "$home/jars/core-2.8.2/*" "-Dlog4j.configuration=file:$here/java/log4j.properties" kafka.Kafka) ;;
    *) usage >&2; exit 2 ;;
  esac
  (cd "$run" && LOG_DIR=$run/server-logs exec "${command[@]}" "$run/server.properties" >"$logs/broker.log" 2>&1) &
  broker=$!
  local until=$((SECONDS + 60))
  until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    kill -0 $broker 2>/dev/null && [ $SECONDS -lt $until ] || { tail -n 40 "$logs/broker.log" >&2; echo "the broker does not start" >&2; exit 1; }
    sleep 0.1
  done
  echo "broker: $against on $BOOTSTRAP, ZooKeeper on $ZOOKEEPER"
}

finish() {
  [ -z "${broker:-}" ] || { kill "$broker" 2>/dev/null && wait "$broker" 2>/dev/null || true; }
  "$root/zk-scripts/stop.sh" --data-dir "$run/zookeeper" >/dev/null
}

for client in "${clients[@]}"; do
  echo "preparing $client"
  prepare "$client" >"$logs/$client.prepare.log" 2>&1 || { tail -n 20 "$logs/$client.prepare.log" >&2; echo "cannot prepare $client" >&2; exit 1; }
done
trap finish EXIT
start_broker
failed=0
passed=0
for client in "${clients[@]}"; do
  started=$SECONDS
  if (run_client "$client") >"$logs/$client.log" 2>&1; then
    passed=$((passed + 1))
    echo "PASS $client: $(grep -c '^ok ' "$logs/$client.log") steps, $((SECONDS - started)) s"
  else
    failed=$((failed + 1))
    echo "FAIL $client after $(grep -c '^ok ' "$logs/$client.log") steps; $logs/$client.log ends:"
    tail -n 12 "$logs/$client.log" | sed 's/^/    /'
  fi
  kill -0 "$broker" 2>/dev/null || { echo "the broker has died; end of its log:"; tail -n 30 "$logs/broker.log"; exit 1; }
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
