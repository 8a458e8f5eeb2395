#!/bin/bash
# MirrorMaker 2 copies topics from a cluster to another one, both of the kind that is tried: records, settings and
# offsets of groups. Either broker is killed in between, and MirrorMaker is stopped and started.
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

trap finish_all EXIT
start_cluster a
start_cluster b
start_maker
eco Mirror fill "${address[a]}" mirrored-one 3 "$base/stop" >"$logs/fill-one.log" 2>&1 &
fill_one=$!
eco Mirror fill "${address[a]}" mirrored-two 1 "$base/stop" >"$logs/fill-two.log" 2>&1 &
fill_two=$!
part 4
mirror consume "${address[a]}" mirrored-one group-one 200
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
mirror consume "${address[a]}" mirrored-one group-two 300
mirror consume "${address[a]}" mirrored-two group-two 150
touch "$base/stop"
wait $fill_one && wait $fill_two || { tail -n 3 "$logs"/fill-*.log; fail "a producer"; }
cat "$logs"/fill-*.log
mirror equal "${address[a]}" "${address[b]}" mirrored-one a
mirror equal "${address[a]}" "${address[b]}" mirrored-two a
mirror offsets "${address[a]}" "${address[b]}" mirrored-one a group-one
mirror offsets "${address[a]}" "${address[b]}" mirrored-one a group-two
mirror offsets "${address[a]}" "${address[b]}" mirrored-two a group-two
end $maker TERM
maker=
only_explained "$logs/mm2.log" "${BROKER_AWAY[@]}" "was supplied but isn't a known config"
for one in a b; do
  stop_cluster $one
  judge_broker "$logs/broker-$one.log"
done
