#!/bin/bash
# Ours and Apache Kafka take turns on two data directories and one ZooKeeper, each stopped cleanly or killed. After each
# change every record is read back with its offset and timestamp, and a clean stop must have spared the next broker all
# recovery; groups and transactions go on over the changes. STEPS chooses the turns ("ours:TERM apache-2.8.2:KILL");
# FORMAT=1.1 keeps to what Apache 1.1.1 can read.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
home=${INTEROP_HOME:-$root/target/interop}
run=$home/takeover
logs=$home/takeover-logs
source "$here/clients.sh"
source "$here/cluster.sh"
rm -rf "$run" "$logs"
mkdir -p "$run" "$logs" "$run/readings"

FORMAT=${FORMAT:-2.8}
case $FORMAT in
  2.8) steps="ours:TERM apache-2.8.2:TERM ours:KILL apache-2.8.2:KILL ours:KILL ours:TERM apache-2.8.2:TERM apache-2.8.2:KILL ours:TERM" ;;
  *) steps="apache-1.1.1:TERM ours:TERM apache-1.1.1:KILL ours:KILL apache-1.1.1:TERM ours:TERM" ;;
esac
# What either broker says when it does not trust what it finds.
DISTRUST='Attempting recovery for all logs|Recovering unflushed segment|Could not find offset index|orphaned index|corrupted index|Corruption found|Deleting all segments|Error occurred while reading|Truncating to|leader epoch cache|is corrupt'

fail() { echo "FAILED $*"; exit 1; }
K() { kcat -b "$BOOTSTRAP" -m 20 "$@"; }

# NAME: codec, then topic settings.
TOPICS="plain-none: none
plain-gzip: gzip
plain-snappy: snappy
plain-lz4: lz4
idempotent: lz4
stamped: gzip message.timestamp.type=LogAppendTime
format-0.9: gzip message.format.version=0.9.0
format-0.10: snappy message.format.version=0.10.2
rolled: none segment.bytes=3000
recompressed: none compression.type=gzip
shortened: lz4 segment.bytes=3000
transactional: none segment.bytes=3000
compacted: none cleanup.policy=compact segment.bytes=800 min.cleanable.dirty.ratio=0.01"
[ "$FORMAT" = 1.1 ] || TOPICS+=$'\nplain-zstd: zstd'

topics_tool() { OTTLA_BIN=${OURS:+$(dirname "$OURS")} "$root/bin/kafka-topics.sh" --zookeeper "$ZOOKEEPER" "$@"; }

create() {
  local name=$1 settings=()
  for setting in "${@:2}"; do settings+=(--config "$setting"); done
  topics_tool --create --topic "$name" --partitions "${partitions:-1}" --replication-factor 1 "${settings[@]}" >/dev/null 2>&1 || fail "create $name"
}

create_topics() {
  while read -r name codec settings; do create "${name%:}" $settings; done <<<"$TOPICS"
  create sequence
  create crossing
  partitions=3 create grouped
}

# A broker that listens is not yet registered, and none is in the way of a topic.
await_registration() {
  local until=$((SECONDS + 60))
  until K -L | grep -q '(controller)'; do
    [ $SECONDS -lt $until ] || fail "$1 is not registered"
    sleep 0.1
  done
}

# A broker that has just started knows no topic until the controller has told it.
await_leaders() {
  local until=$((SECONDS + 60)) known expected=$(($(wc -l <<<"$TOPICS") + 3))
  while :; do
    known=$(K -L | awk '/^  topic/ { internal = /"__/ } /partition 0, leader 0,/ && !internal' | wc -l)
    [ "$known" -lt "$expected" ] || return 0
    [ $SECONDS -lt $until ] || fail "$1: $known of $expected topics have a leader"
    sleep 0.1
  done
}

# Thirty keys, forty records for each topic; the same keys in each turn, so that compaction has work.
write() {
  local lines=$(for i in $(seq 40); do echo "k$((i % 30)):$1 record $i"; done)
  while read -r name codec settings; do
    K -P -t "${name%:}" -p 0 -K: -z "$codec" -X batch.size=400 $([ "$name" = idempotent: ] && echo -X enable.idempotence=true) <<<"$lines"
  done <<<"$TOPICS"
  python3 "$here/takeover/producer.py" "$BOOTSTRAP" sequence "$run/sequence.json"
}

# Committed and aborted transactions.
write_transactions() {
  java_main 2.8.2 "$home/jars/clients-2.8.2" Transactions "$BOOTSTRAP" transactional "turn-$turn" >"$logs/transactions-$turn.log" 2>&1 ||
    fail "transactions: $(tail -n 5 "$logs/transactions-$turn.log")"
}

# The program that has members and transactions over all turns does another one.
coordinate() {
  local answer
  [ $turn != 1 ] || {
    coproc coordinators { exec "$home/python/confluent-2.8.0/bin/python" "$here/takeover/coordinators.py" "$BOOTSTRAP" $([ $FORMAT = 1.1 ] || echo static) \
      2>"$logs/coordinators.err"; }
    exec 3<&"${coordinators[0]}" 4>&"${coordinators[1]}"
  }
  echo $turn >&4
  read -r -u 3 answer || fail "groups and transactions: $(tail -n 3 "$logs/coordinators.err")"
  echo "$answer, $1"
  [[ $answer == ok* ]] || exit 1
}

delete_records() {
  local json=$run/delete.json
  shortened=$((shortened + 25))
  echo "{\"version\":1,\"partitions\":[{\"topic\":\"shortened\",\"partition\":0,\"offset\":$shortened}]}" >"$json"
  apache 2.8.2 "-Dlog4j.configuration=file:$here/java/log4j.properties" kafka.admin.DeleteRecordsCommand --bootstrap-server "$BOOTSTRAP" \
    --offset-json-file "$json" | grep -q "low_watermark: $shortened" || fail "delete records below $shortened"
}

# All of a topic: offset, timestamp, key, value; of a compacted one what compaction keeps. kcat reads what is committed.
reading() {
  K -C -q -e -t "$1" -p 0 -o beginning -f '%o %T %k %s\n' |
    if [ "$1" = compacted ]; then tac | awk '!seen[$3]++' | tac; else cat; fi
}

names() { cut -d: -f1 <<<"$TOPICS"; echo sequence; }

take_readings() {
  local name
  for name in $(names); do reading "$name" >"$run/readings/$name"; done
  [ "$(wc -l <"$run/readings/plain-gzip")" = $((turn * 40)) ] || fail "$1: plain-gzip has $(wc -l <"$run/readings/plain-gzip") records"
  [ "$(cut -d' ' -f1 "$run/readings/plain-gzip" | tr '\n' ' ')" = "$(seq -s ' ' 0 $((turn * 40 - 1))) " ] || fail "$1: offsets have gaps"
  ! grep 'transaction 1 ' "$run/readings/transactional" || fail "$1: aborted records are read"
  [ "$(grep -c ' transaction ' "$run/readings/transactional")" = $((turn * 10)) ] || fail "$1: not $turn times ten transactional records"
  [ "$(wc -l <"$run/readings/compacted")" = 30 ] || fail "$1: compacted has $(wc -l <"$run/readings/compacted") keys"
  [ "$(wc -l <"$run/readings/shortened")" = $((turn * 40 - shortened)) ] || fail "$1: shortened has $(wc -l <"$run/readings/shortened") records"
}

compare_readings() {
  local name
  for name in $(names); do
    reading "$name" >"$run/readings/$name.now"
    # Neither broker writes a raised log start to disk at once: a kill may bring records back in front.
    if [ "$name" = shortened ] && [[ $before == *:KILL ]]; then
      tail -n "$(wc -l <"$run/readings/$name")" "$run/readings/$name.now" >"$run/tail" && mv "$run/tail" "$run/readings/$name.now"
    fi
    cmp -s "$run/readings/$name" "$run/readings/$name.now" ||
      { diff "$run/readings/$name" "$run/readings/$name.now" | head -n 8; fail "$1: other records in $name"; }
    rm "$run/readings/$name.now"
  done
  echo "ok $1 the same $(cat "$run/readings/"* | wc -l) records"
}

# Waits for the cleaner: fewer records than were written.
await_compaction() {
  local until=$((SECONDS + 60))
  until [ "$(K -C -q -e -t compacted -p 0 -o beginning | wc -l)" -lt $((turn * 40)) ]; do
    [ $SECONDS -lt $until ] || fail "$1: nothing was compacted"
    sleep 0.2
  done
}

# The broker's own account of its start, after a clean stop of the one before.
no_recovery() {
  ! grep -E "$DISTRUST" "$broker_log" | head -n 5 | grep . || fail "$1 did not trust a clean stop"
  [[ $1 == *1.1.1 ]] || [ "$(grep -c 'Skipping recovery for all logs' "$broker_log")" = 2 ] || fail "$1 does not say that it skips recovery"
  echo "ok $1 started without recovery"
}

# Apache's dump of every file that ours left; without the indexes where 1.1.1 wrote too: it indexes the first offsets
# of batches, 2.8.2 and ours the last ones, both serve a reader, and the dump takes one for wrong.
dump_all() {
  local dump=$logs/dump-$turn.txt
  local files=$(ls "$run"/data*/*/*.{log,timeindex,snapshot} $([ "$FORMAT" != 2.8 ] || ls "$run"/data*/*/*.index) | grep -v -e '-delete/' | paste -sd,)
  apache 2.8.2 "-Dlog4j.configuration=file:$here/java/log4j.properties" kafka.tools.DumpLogSegments --files "$files" >"$dump" 2>&1 || fail "dump, see $dump"
  ! grep -E -A3 'Mismatches in|Found |isvalid: false|Exception|corrupt|are not consecutive' "$dump" | head -n 5 | grep . || fail "dump of our files, see $dump"
  decode offsets offsets "$run"/data*/__consumer_offsets-*/*.log
  decode transactions transaction-log "$run"/data*/__transaction_state-*/*.log
  echo "ok Apache's dump of our $(tr , '\n' <<<"$files" | wc -l) files"
}

# decode NAME DECODER FILE...: Apache's decoder understands every record.
decode() {
  local dump=$logs/dump-$turn-$1.txt
  apache 2.8.2 "-Dlog4j.configuration=file:$here/java/log4j.properties" kafka.tools.DumpLogSegments "--$2-decoder" --files "$(printf '%s,' "${@:3}")" >"$dump" 2>&1 || fail "decode, see $dump"
  ! grep -E 'Exception|Failed' "$dump" | head -n 5 | grep . || fail "decode, see $dump"
  grep -q 'key: .*\(lasting\|crossing\)' "$dump" || fail "nothing decoded, see $dump"
}

# Deletes a topic while no broker runs: the next controller has to do it.
delete_while_stopped() {
  topics_tool --delete --topic "doomed-$turn" >/dev/null 2>&1 || fail "delete doomed-$turn"
}

await_deletion() {
  local until=$((SECONDS + 60))
  while topics_tool --list | grep -q "^doomed-$1" || ls -d "$run"/data*/doomed-"$1"-0 >/dev/null 2>&1; do
    [ $SECONDS -lt $until ] || fail "doomed-$1, deleted while no broker ran, is still there"
    sleep 0.1
  done
}

prepare kcat
python_env confluent-2.8.0 confluent
core_jars 2.8.2 2.13
clients_jars 2.8.2
compile_java 2.8.2 "$home/jars/clients-2.8.2" Check.java Clients.java Transactions.java
trap finish EXIT
start_zookeeper "log.dirs=$run/data,$run/data2" log.cleaner.backoff.ms=200 log.retention.check.interval.ms=3600000 offsets.storage=kafka \
  {offsets.topic,transaction.state.log}.num.partitions=2 {offsets.topic,transaction.state.log}.segment.bytes=3000 \
  transaction.abort.timed.out.transaction.cleanup.interval.ms=1000 \
  $([ "$FORMAT" = 2.8 ] || echo "inter.broker.protocol.version=$FORMAT log.message.format.version=$FORMAT")
turn=0
shortened=0
before=
for step in ${STEPS:-$steps}; do
  turn=$((turn + 1))
  kind=${step%:*} signal=${step#*:}
  start_broker "$kind" "$logs/turn-$turn-$kind.log" >/dev/null || exit 1
  await_registration "turn $turn, $kind"
  if [ $turn = 1 ]; then create_topics; fi
  await_leaders "turn $turn, $kind"
  if [ $turn -gt 1 ]; then
    compare_readings "turn $turn, $kind after $before:"
    await_deletion $((turn - 1))
    [[ $before != *TERM ]] || no_recovery "turn $turn, $kind"
  fi
  write "turn-$turn-$kind"
  delete_records
  create "doomed-$turn"
  write_transactions
  [ $turn = 1 ] || await_compaction "turn $turn, $kind"
  coordinate "$kind"
  take_readings "turn $turn, $kind"
  echo "ok turn $turn, $kind wrote"
  stop_broker "$signal"
  [ "$step" != ours:TERM ] || dump_all
  delete_while_stopped
  before=$step
done
echo "$turn turns passed"
