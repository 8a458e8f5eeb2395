#!/bin/bash
# Idempotent producers write while the broker is stopped and killed: Java ones (uncompressed, lz4 and gzip) and kcat to
# ten partitions. Afterwards each acknowledged record is there once, at the offset that was said, in its producer's order.
# STEPS: how each broker ends. PRODUCERS: Java ones (8). RECORDS: acknowledgements before each end (3000).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
home=${INTEROP_HOME:-$root/target/interop}
run=$home/consistency
logs=$home/consistency-logs
source "$here/clients.sh"
source "$here/cluster.sh"
rm -rf "$run" "$logs"
mkdir -p "$run" "$logs"
AGAINST=${AGAINST:-ours}
STEPS=${STEPS:-TERM KILL KILL TERM KILL TERM KILL KILL}
VERSION=${VERSION:-2.8.2}
fail() { echo "FAILED $*"; exit 1; }

durable() { java_main "$VERSION" "$home/jars/clients-$VERSION" Durable "$@"; }

acknowledged() { grep -o '^acknowledged [0-9]*' "$logs/write.log" 2>/dev/null | tail -n 1 | cut -d' ' -f2 || true; }

# await_more COUNT: that many acknowledgements more than now.
await_more() {
  local have=$(acknowledged) until=$((SECONDS + 120))
  local goal=$((${have:-0} + $1))
  until have=$(acknowledged) && [ "${have:-0}" -ge $goal ]; do
    kill -0 $writer 2>/dev/null || fail "the producers ended: $(tail -n 5 "$logs/write.log")"
    [ $SECONDS -lt $until ] || fail "only ${have:-0} acknowledgements, not $goal"
    sleep 0.05
  done
}

# Numbered lines until the stop file exists, at most 500 in a breath.
numbers() {
  local i=0
  until [ -e "$run/stop" ]; do
    for _ in {1..100}; do echo "line $i"; i=$((i + 1)); done
    sleep 0.05
  done
}

prepare kcat
clients_jars "$VERSION"
compile_java "$VERSION" "$home/jars/clients-$VERSION" Check.java Clients.java Durable.java
trap finish EXIT
start_zookeeper "log.dirs=$run/data,$run/data2" num.partitions=10 log.segment.bytes=200000 ${PROPERTIES:-}
start_broker "$AGAINST" >/dev/null
until kcat -b "$BOOTSTRAP" -m 20 -L -t durable 2>/dev/null | grep -q 'partition 9, leader 0'; do sleep 0.1; done
until kcat -b "$BOOTSTRAP" -m 20 -L -t lines 2>/dev/null | grep -q 'partition 9, leader 0'; do sleep 0.1; done
durable write "$BOOTSTRAP" durable "${PRODUCERS:-8}" "$run/stop" "$run/acknowledged" >"$logs/write.log" 2>&1 &
writer=$!
kcats=()
for codec in none snappy zstd; do
  numbers | tee "$run/lines-$codec" | sed "s/^/$codec /" | kcat -b "$BOOTSTRAP" -m 60 -E -P -t lines -p 3 -z $codec -X enable.idempotence=true \
    -X message.timeout.ms=600000 -X batch.size=2000 -X reconnect.backoff.max.ms=500 >"$logs/kcat-$codec.log" 2>&1 &
  kcats+=($!)
done
for signal in $STEPS; do
  await_more "${RECORDS:-3000}"
  stop_broker "$signal"
  start_broker "$AGAINST" >/dev/null
  echo "ok $signal after $(acknowledged) acknowledgements"
done
await_more "${RECORDS:-3000}"
touch "$run/stop"
wait $writer || fail "producers: $(tail -n 6 "$logs/write.log")"
for pid in "${kcats[@]}"; do wait "$pid" || fail "a kcat: $(tail -n 3 "$logs"/kcat-*.log)"; done
durable check "$BOOTSTRAP" durable "$run/acknowledged"
kcat -b "$BOOTSTRAP" -m 20 -C -q -e -t lines -p 3 -o beginning >"$run/lines"
for codec in none snappy zstd; do
  cmp <(sed -n "s/^$codec //p" "$run/lines") "$run/lines-$codec" || fail "lines of kcat with $codec"
  echo "ok $(wc -l <"$run/lines-$codec") lines of kcat with $codec"
done
stop_broker TERM
start_broker "$AGAINST" >/dev/null
durable check "$BOOTSTRAP" durable "$run/acknowledged"
tail -n 1 "$logs/write.log"
