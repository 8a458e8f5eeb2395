#!/bin/bash
# Runs unmodified, pinned client programs against a broker and fails on any deviation.
set -euo pipefail

ALL="java-0.8.2.2 java-0.10.2.2 java-1.1.1 java-2.8.2 java-3.9.1 java-4.1.0 sarama-1.19.0 sarama-1.61.1 tutorial-go
old-consumers-0.8.2.2 old-consumers-1.1.1
handover kcat kafka-python-2.0.2 kafka-python-3.0.12 kafkajs-2.2.4 tools-1.1.1 tools-2.8.2 takeover-2.8.2 takeover-1.1.1
consistency replicas-2.8.2 replicas-1.1.1 mixed-2.8.2 mixed-1.1.1 rolling-2.8.2 rolling-1.1.1 upgrade-1.1.1
groups-zookeeper groups-kafka transactions-zookeeper transactions-kafka streams-2.8.2 connect-2.8.2 mirrormaker-2.8.2"

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
source "$here/cluster.sh"

run=$home/run
logs=$home/logs
rm -rf "$run" "$logs"
mkdir -p "$run" "$logs"

for client in "${clients[@]}"; do
  echo "preparing $client"
  prepare "$client" >"$logs/$client.prepare.log" 2>&1 || { tail -n 20 "$logs/$client.prepare.log" >&2; echo "cannot prepare $client" >&2; exit 1; }
done
trap finish EXIT
start_zookeeper
start_broker "$against"
failed=()
passed=0
for client in "${clients[@]}"; do
  started=$SECONDS
  if (run_client "$client") >"$logs/$client.log" 2>&1; then
    passed=$((passed + 1))
    echo "PASS $client: $(grep -c '^ok ' "$logs/$client.log") steps, $((SECONDS - started)) s"
  else
    failed+=("$client")
    echo "FAIL $client after $(grep -c '^ok ' "$logs/$client.log") steps; $logs/$client.log ends:"
    tail -n 12 "$logs/$client.log" | sed 's/^/    /'
  fi
  kill -0 "$broker" 2>/dev/null || { echo "the broker has died; end of its log:"; tail -n 30 "$logs/broker.log"; exit 1; }
done
[ ${#failed[@]} = 0 ] || echo "failed: ${failed[*]}"
echo "$passed passed, ${#failed[@]} failed"
[ ${#failed[@]} = 0 ]
