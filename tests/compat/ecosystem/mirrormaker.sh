#!/bin/bash
# MirrorMaker 2 copies topics from a cluster to another one, both of the kind that is tried: records, settings and
# offsets of groups, exactly. Then either broker is killed and MirrorMaker is stopped and started, after which it may
# repeat records: without these the copies are equal still.
set -euo pipefail
name=mirrormaker
source "$(dirname "$0")/lib.sh"
base=$run

declare -A pid address zookeeper
# cluster NAME: what cluster.sh keeps in variables becomes that cluster's.
cluster() { run=$base/$1 broker=${pid[$1]:-} BOOTSTRAP=${address[$1]:-} ZOOKEEPER=${zookeeper[$1]:-}; }
start_cluster() {
  cluster "$1"
  if [ -z "${address[$1]:-}" ]; then
    mkdir -p "$run"
    start_zookeeper $SETTINGS
    address[$1]=$BOOTSTRAP zookeeper[$1]=$ZOOKEEPER
  fi
  start_broker "$AGAINST" "$logs/broker-$1.log"
  pid[$1]=$broker
}
stop_cluster() {
  cluster "$1"
  stop_broker "${2:-TERM}"
  pid[$1]=
}
finish_all() {
  [ -z "${maker:-}" ] || kill -9 $maker 2>/dev/null || true
  for one in a b; do cluster $one; finish; done
}

start_maker() {
  cat >"$base/mm2.properties" <<P
clusters=a,b
a.bootstrap.servers=${address[a]}
b.bootstrap.servers=${address[b]}
a->b.enabled=true
a->b.topics=mirrored.*
a->b.groups=group.*
b->a.enabled=false
replication.factor=1
checkpoints.topic.replication.factor=1
heartbeats.topic.replication.factor=1
offset-syncs.topic.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
config.storage.replication.factor=1
refresh.topics.interval.seconds=2
refresh.groups.interval.seconds=2
emit.checkpoints.interval.seconds=1
emit.heartbeats.interval.seconds=1
sync.topic.configs.interval.seconds=2
sync.group.offsets.enabled=true
sync.group.offsets.interval.seconds=1
offset.lag.max=0
a.producer.enable.idempotence=true
b.producer.enable.idempotence=true
b.offset.flush.interval.ms=2000
b.offset.flush.timeout.ms=30000
tasks.max=2
P
  eco org.apache.kafka.connect.mirror.MirrorMaker "$base/mm2.properties" >>"$logs/mm2.log" 2>&1 &
  maker=$!
}
mirror() { eco Mirror "$@" 2>>"$logs/check.log" || fail "$1: see $logs"; }
# fill WORD: into both topics, in the background; until stop_filling.
fill() {
  rm -f "$base/stop"
  eco Mirror fill "${address[a]}" mirrored-one 3 "$1" "$base/stop" >>"$logs/fill-one.log" 2>&1 &
  fill_one=$!
  eco Mirror fill "${address[a]}" mirrored-two 1 "$1" "$base/stop" >>"$logs/fill-two.log" 2>&1 &
  fill_two=$!
}
stop_filling() {
  touch "$base/stop"
  wait $fill_one && wait $fill_two || { tail -n 3 "$logs"/fill-*.log; fail "a producer"; }
  grep -h '^wrote' "$logs"/fill-*.log | tail -n 2
}
# check exactly|again GROUP
check() {
  mirror consume "${address[a]}" mirrored-one "$2"
  mirror consume "${address[a]}" mirrored-two "$2"
  mirror equal "${address[a]}" "${address[b]}" mirrored-one a "$1"
  mirror equal "${address[a]}" "${address[b]}" mirrored-two a "$1"
  mirror offsets "${address[a]}" "${address[b]}" mirrored-one a "$2"
  mirror offsets "${address[a]}" "${address[b]}" mirrored-two a "$2"
}
# What MirrorMaker says anyway: see connect.sh; it wants to copy ACLs from brokers that have none, and gives clients of
# one process the same name.
ALWAYS=(
  "The configuration '.*' was supplied but isn't a known config"
  "Variables cannot be used in the 'plugin.path' property"
  "Catching up to assignment's config offset"
  'Close timed out with [0-9]+ pending requests to coordinator, terminating client connections'
  'Scheduler for MirrorSourceConnector caught exception in scheduled task: syncing topic ACLs'
  'Error registering AppInfo mbean'
)
# When a broker is away, workers give up their tasks, and what these have begun fails (see connect.sh); topics are created
# that are there.
KILLED=(
  'Graceful stop of task .* failed'
  'Invalid call to OffsetStorageWriter flush\(\) while already flushing'
  'WorkerSourceTask.* (Failed to commit offsets|Timed out waiting to flush offsets to storage)'
  'WorkerSourceTask.* Task threw an uncaught and unrecoverable exception'
  'Connector .* failed to properly shut down, has become unresponsive'
  'WorkerSourceTask.* failed to send record to (a\.)?(mirrored-one|mirrored-two|heartbeats|checkpoints\.internal)'
  'WorkerSourceTask.* Failed to flush, timed out while waiting for producer'
  'Error querying for consumer group .* on cluster'
  'Scheduler for Mirror[A-Za-z]* caught exception in scheduled task'
  'Could not alter configuration of topic a\.(mirrored-one|mirrored-two|heartbeats)'
  'Could not create topic a\.(mirrored-one|mirrored-two|heartbeats)'
)

trap finish_all EXIT
start_cluster a
start_cluster b
start_maker
fill calm
part 3
stop_filling
check exactly group-one
only_explained "$logs/mm2.log" "${ALWAYS[@]}"

# From here on MirrorMaker may go back to what it has committed last.
fill killed
part 6
stop_cluster b KILL
start_cluster b
part 6
stop_cluster a KILL
start_cluster a
part 6
end $maker TERM
start_maker
part 6
stop_filling
check again group-two
end $maker TERM
maker=
only_explained "$logs/mm2.log" "${ALWAYS[@]}" "${BROKER_AWAY[@]}" "${KILLED[@]}"
for one in a b; do
  stop_cluster $one
  judge_broker "$logs/broker-$one.log"
done
