#!/bin/bash
# Ours and Apache Kafka 2.8.2 take turns on one data directory and one ZooKeeper, each stopped cleanly or killed; after
# each change everything written so far is read back. Proves what README.md promises about log directories and znodes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
home=${INTEROP_HOME:-$root/target/interop}
run=$home/takeover
logs=$home/takeover-logs
source "$here/clients.sh"
source "$here/cluster.sh"
rm -rf "$run" "$logs"
mkdir -p "$run" "$logs"
prepare kcat
core_jars 2.8.2 2.13

declare -A written=()
K() { kcat -b "$BOOTSTRAP" -m 20 "$@"; }

# Adds forty records to each topic: every codec, and an idempotent producer.
write() {
  local topic lines
  lines=$(for i in $(seq 40); do echo "$1 record $i"; done)
  for topic in plain-none plain-gzip plain-snappy plain-lz4 plain-zstd idempotent-lz4; do
    K -P -t "$topic" -p 0 -z "${topic#*-}" -X batch.size=400 \
      $([ "${topic%-*}" = plain ] || echo -X enable.idempotence=true) <<<"$lines"
    written[$topic]=${written[$topic]:-}$lines$'\n'
  done
}

# A broker that has just started knows no topic until the controller has told it.
await_leaders() {
  local until=$((SECONDS + 30)) known
  while :; do
    known=$(K -L | grep -c 'partition 0, leader 0,' || true)
    [ "$known" -lt ${#written[@]} ] || return 0
    [ $SECONDS -lt $until ] || { echo "FAILED $1: $known of ${#written[@]} topics have a leader"; exit 1; }
    sleep 0.1
  done
}

verify() {
  local topic got
  await_leaders "$1"
  for topic in "${!written[@]}"; do
    got=$(K -C -q -e -t "$topic" -p 0 -o beginning)
    [ "$got"$'\n' = "${written[$topic]}" ] ||
      { echo "FAILED $1: $topic: $(wc -l <<<"$got") records, not $(grep -c . <<<"${written[$topic]}"), or others"; exit 1; }
  done
  echo "ok $1: $(grep -c . <<<"${written[plain-none]:-}" || true) records in each of ${#written[@]} topics"
}

trap finish EXIT
start_zookeeper
turn=0
for step in ${STEPS:-ours:TERM apache:TERM ours:KILL apache:KILL ours:TERM apache:TERM ours:TERM}; do
  turn=$((turn + 1))
  kind=${step%:*} signal=${step#*:}
  start_broker "$kind" >/dev/null || exit 1
  verify "turn $turn, $kind reads"
  write "turn-$turn-$kind"
  verify "turn $turn, $kind wrote"
  stop_broker "$signal"
done
echo "$turn turns passed"
