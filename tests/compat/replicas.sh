#!/bin/bash
# Ours and an Apache broker replicate each other's partitions: the logs of both become the same to the byte, whatever the
# format, after stops and kills of either, after the leader dropped what the follower has not seen, and the follower is
# taken into the ISR each time. No acknowledged record is lost.
# AGAINST=apache proves the scenario with an Apache broker in our place. FORMAT=1.1: the other one is Apache 1.1.1.
# PROTOCOL overrides inter.broker.protocol.version.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
home=${INTEROP_HOME:-$root/target/interop}
run=$home/replicas
source "$here/clients.sh"
source "$here/cluster.sh"
rm -rf "$run"
mkdir -p "$run"

FORMAT=${FORMAT:-2.8}
version=2.8.2 scala=2.13
[ "$FORMAT" = 2.8 ] || version=1.1.1 scala=2.12
protocol=${PROTOCOL:-$FORMAT}
zstd=yes
case $protocol in 0.* | 1.* | 2.0) zstd=no ;; esac
# Ours is 0, Apache 1.
declare -A port pid written

fail() { echo "FAILED $*"; exit 1; }
K() { kcat -b "127.0.0.1:${port[1]},127.0.0.1:${port[0]}" -m 20 "$@" 2>>"$run/kcat.log"; }
ok() { echo "ok $*"; }

# configure ID
configure() {
  port[$1]=$(free_port)
  cat >"$run/$1.properties" <<P
broker.id=$1
listeners=PLAINTEXT://127.0.0.1:${port[$1]}
log.dirs=$run/data-$1
zookeeper.connect=$ZOOKEEPER
zookeeper.session.timeout.ms=12000
zookeeper.connection.timeout.ms=60000
inter.broker.protocol.version=$protocol
log.message.format.version=$protocol
log.retention.check.interval.ms=2000
log.segment.delete.delay.ms=100
offsets.topic.replication.factor=1
auto.create.topics.enable=false
replica.lag.time.max.ms=5000
auto.leader.rebalance.enable=false
P
}

# start ID
start() {
  local command until=$((SECONDS + 300))
  if [ "$1" = 0 ] && [ "${AGAINST:-ours}" = ours ]; then
    command=("${OURS:-$root/target/release/kafka-server}")
  else
    command=(java -Xmx256m -Xms128m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$home/jars/core-$version/*"
      "-Dlog4j.configuration=file:$here/java/log4j-broker.properties" kafka.Kafka)
  fi
  (cd "$run" && LOG_DIR=$run/server-logs-$1 exec "${command[@]}" "$run/$1.properties" >>"$run/$1.log" 2>&1) &
  pid[$1]=$!
  until (exec 3<>"/dev/tcp/127.0.0.1/${port[$1]}") 2>/dev/null; do
    kill -0 "${pid[$1]}" 2>/dev/null && [ $SECONDS -lt $until ] || { tail -n 40 "$run/$1.log" >&2; fail "start of $1"; }
    sleep 0.1
  done
}

# stop ID SIGNAL
stop() {
  kill "-$2" "${pid[$1]}"
  wait "${pid[$1]}" 2>/dev/null || true
  unset "pid[$1]"
  await "$1 is forgotten" not_registered "$1"
}

zk() { python3 "$here/mixed/zookeeper.py" "${ZOOKEEPER#*:}" "$@" 2>/dev/null; }
not_registered() { local ids; ids=$(zk ls /brokers/ids) && ! grep -q "\b$1\b" <<<"$ids"; }
registered() { zk ls /brokers/ids | grep -q "\b$1\b"; }

# await WHAT COMMAND...
await() {
  local until=$((SECONDS + 300))
  until "${@:2}"; do
    [ $SECONDS -lt $until ] || fail "$1: not within 300 s"
    sleep 0.2
  done
}

state() { zk get "/brokers/topics/$1/partitions/0/state" | grep '"isr"'; }
# in_sync TOPIC N: so many replicas are
in_sync() { [ "$(state "$1" | sed 's/.*"isr":\[\([^]]*\)\].*/\1/' | tr ',' '\n' | grep -c .)" = "$2" ]; }
led_by() { state "$1" | grep -q "\"leader\":$2,"; }
bytes() { cat "$run/data-$1/$2-0/"*.log | md5sum; }
# The newer records only: retention need not have come to both.
same() { [ "$(bytes 0 "$1")" = "$(bytes 1 "$1")" ]; }

tool() { java -Xmx256m -XX:TieredStopAtLevel=1 -cp "$home/jars/core-$version/*" "-Dlog4j.configuration=file:$here/java/log4j.properties" "$@"; }
create() {
  local name=$1 settings=()
  for setting in "${@:2}"; do settings+=(--config "$setting"); done
  tool kafka.admin.TopicCommand --zookeeper "$ZOOKEEPER" --create --topic "$name" --replica-assignment 1:0 "${settings[@]}" >/dev/null 2>&1 || fail "create $name"
}

# write TOPIC CODEC COUNT
write() {
  written[$1]=$((${written[$1]:-0} + $3))
  seq "$3" | sed "s/^/$1 $RANDOM$RANDOM /" | K -P -t "$1" -p 0 -z "$2" -X acks=all -X batch.num.messages=50 -X linger.ms=1 || fail "write $1"
}

TOPICS="none: none
gzip: gzip
snappy: snappy
lz4: lz4
rolled: none segment.bytes=3000
format-0.9: gzip message.format.version=0.9.0
format-0.10: snappy message.format.version=0.10.2
stamped: gzip message.timestamp.type=LogAppendTime"
[ $zstd = no ] || TOPICS+=$'\nzstd: zstd'
each() { while read -r name codec settings; do "$1" "${name%:}" "$codec" "${@:2}" </dev/null; done <<<"$TOPICS"; }
create_one() { local line; line=$(grep "^$1:" <<<"$TOPICS"); read -r _ _ settings <<<"$line"; create "$1" $settings; }
settle_one() { await "$1 in sync" in_sync "$1" 2; await "$1 identical" same "$1"; }
count_one() {
  local found=$(K -C -t "$1" -p 0 -o beginning -e -q -f '%o\n' | sort -nu | wc -l)
  [ "$found" = "${written[$1]}" ] || fail "$1 holds $found of ${written[$1]} acknowledged records"
}

trap 'kill ${pid[@]} 2>/dev/null; wait; "$root/zk-scripts/stop.sh" --data-dir "$run/zookeeper" >/dev/null' EXIT
core_jars "$version" "$scala"
zookeeper_port=$(free_port)
"$root/zk-scripts/start.sh" --data-dir "$run/zookeeper" --port "$zookeeper_port" >/dev/null
ZOOKEEPER=127.0.0.1:$zookeeper_port
configure 0
configure 1
start 1
await "registration of 1" registered 1
start 0
await "registration of 0" registered 0
each create_one
each write 500
each settle_one
ok "byte for byte, in sync"

stop 0 TERM
each write 300
start 0
each settle_one
ok "after a clean stop of the follower"

each write 200
stop 0 KILL
each write 300
start 0
each settle_one
ok "after a kill of the follower"

for signal in KILL TERM; do
  stop 0 KILL
  each write 100
  stop 1 $signal
  start 1
  await "1 leads" led_by none 1
  each write 100
  start 0
  each settle_one
done
each count_one
ok "after a kill and a clean stop of the leader"

# The other one leads while this one is away: each in turn.
for turn in "1 KILL" "0 KILL" "1 TERM" "0 TERM" "1 KILL"; do
  read -r id signal <<<"$turn"
  each write 100
  stop $id $signal
  await "$((1 - id)) leads" led_by none $((1 - id))
  each write 100
  start $id
  each settle_one
done
each count_one
ok "five times the other one took over"
stop 0 TERM
start 0
each settle_one

# The leader's log begins inside a batch; the follower has nothing.
create inside
write inside none 100
settle_one inside
stop 0 TERM
rm -r "$run/data-0/inside-0"
echo '{"version":1,"partitions":[{"topic":"inside","partition":0,"offset":20}]}' >"$run/delete.json"
if [ "$FORMAT" != 1.1 ] && [ $zstd = yes ]; then
  tool kafka.admin.DeleteRecordsCommand --bootstrap-server "127.0.0.1:${port[1]}" --offset-json-file "$run/delete.json" | grep -q "low_watermark: 20" || fail "delete records"
  start 0
  settle_one inside
  write inside none 50
  settle_one inside
  ok "a log that begins inside a batch"
else
  start 0
fi

# What the follower has not seen goes while it is down: it begins anew at the leader's start.
create short segment.bytes=3000
write short none 300
settle_one short
stop 0 KILL
write short none 2000
tool kafka.admin.ConfigCommand --zookeeper "$ZOOKEEPER" --alter --entity-type topics --entity-name short --add-config retention.bytes=5000 >/dev/null 2>&1
dropped() { [ "$(find "$run/data-1/short-0" -name "*.log" 2>/dev/null | wc -l)" -lt 5 ]; }
await "retention" dropped
start 0
await "short in sync" in_sync short 2
tails() { [ "$(tail -c 2000 "$(ls "$run/data-0/short-0/"*.log | tail -n 1)" | md5sum)" = "$(tail -c 2000 "$(ls "$run/data-1/short-0/"*.log | tail -n 1)" | md5sum)" ]; }
write short none 200
await "the same end" tails
grep -q "current leader's start offset" "$run/0.log" || fail "it should have begun anew"
ok "after the leader dropped what the follower had"

for _ in 1 2 3 4 5 6; do
  write none none 300 &
  writer=$!
  stop 0 KILL
  start 0
  wait $writer
done
settle_one none
ok "six kills under load"
