#!/bin/bash
# Apache's own command line tools against the broker. Arguments: their version, the directory of their jars, a word for
# topic names. BOOTSTRAP, ZOOKEEPER and LOG_DIRS describe the broker.
set -euo pipefail
version=$1 jars=$2 word=$3
here=$(cd "$(dirname "$0")" && pwd)
fail() { echo "FAILED $*"; exit 1; }
equal() { [ "$2" = "$3" ] || fail "$1: expected $(printf %q "$2"), got $(printf %q "$3")"; }
has() { [[ $3 == *"$2"* ]] || fail "$1: no $(printf %q "$2") in $(printf %q "$3")"; }

# tool CLASS ARGS...: standard output; a failing exit code ends the scenario with all that was said.
tool() {
  local errors
  errors=$(mktemp)
  java -Xmx256m -XX:TieredStopAtLevel=1 "-Dlog4j.configuration=file:$here/../java/log4j.properties" -cp "$jars/*" "$@" 2>"$errors" ||
    { echo "FAILED $*: exit code $?"; cat "$errors"; return 1; }
  rm -f "$errors"
}
topics() { tool kafka.admin.TopicCommand "$@"; }
zk="--zookeeper $ZOOKEEPER"
bs="--bootstrap-server $BOOTSTRAP"

# The tutorial's steps on the topics tool; $1: how it connects, $2: a topic.
topics_scenario() {
  topics $1 --create --replication-factor 1 --partitions 3 --topic "$2" >/dev/null
  has list "$2" "$(topics $1 --list)"
  local described=$(topics $1 --describe --topic "$2")
  equal "described partitions" 3 "$(grep -c $'\tPartition: ' <<<"$described")"
  for p in 0 1 2; do has describe $'\tPartition: '$p$'\tLeader: 0\tReplicas: 0\tIsr: 0' "$described"; done
  topics $1 --alter --topic "$2" --partitions 6 >/dev/null
  local until=$((SECONDS + 20))
  until [ "$(topics $1 --describe --topic "$2" | grep -c $'\tLeader: 0\t')" = 6 ]; do
    [ $SECONDS -lt $until ] || fail "six partitions with a leader: $(topics $1 --describe --topic "$2")"
  done
  ! topics $1 --create --replication-factor 1 --partitions 1 --topic "$2" >/dev/null || fail "created $2 twice"
  ! topics $1 --create --replication-factor 3 --partitions 1 --topic "$2-x" >/dev/null || fail "three replicas on one broker"
  echo "ok topics $1: create, list, describe, alter"
}

delete_topic() {
  topics $1 --delete --topic "$2" >/dev/null
  local until=$((SECONDS + 30))
  while topics $1 --list | grep -q "^$2\b"; do [ $SECONDS -lt $until ] || fail "$2 is still listed"; done
  while compgen -G "$LOG_DIRS/$2-[0-9]*" | grep -qv -- '-delete$'; do [ $SECONDS -lt $until ] || fail "$2 still has directories"; done
  echo "ok topics $1: delete"
}

lines() { for i in $(seq 0 19); do echo "k$i:value $i"; done; }

topics_scenario "$zk" "tools-$word-zk"
[ "$version" = 1.1.1 ] || topics_scenario "$bs" "tools-$word-bs"

topic=tools-$word-console
topics $zk --create --replication-factor 1 --partitions 1 --topic "$topic" >/dev/null
lines | tool kafka.tools.ConsoleProducer --broker-list "$BOOTSTRAP" --topic "$topic" --property parse.key=true \
  --property key.separator=: --request-required-acks all >/dev/null
echo "ok console producer"

consume() {
  tool kafka.tools.ConsoleConsumer "$@" --topic "$topic" --property print.key=true --property key.separator=: \
    --max-messages 20 --timeout-ms 20000
}
equal "console consumer" "$(lines)" "$(consume $bs --partition 0 --offset earliest --consumer-property enable.auto.commit=false)"
echo "ok console consumer by assignment"
if [ "$version" = 1.1.1 ]; then
  equal "old consumer" "$(lines)" "$(consume $zk --from-beginning)"
  echo "ok console consumer --zookeeper"
  equal "simple consumer" 20 "$(tool kafka.tools.SimpleConsumerShell --broker-list "$BOOTSTRAP" --topic "$topic" --partition 0 --offset -2 --no-wait-at-logend | grep -c '^value')"
  echo "ok simple consumer shell"
  equal "old producer" "" "$(lines | tool kafka.tools.ConsoleProducer --old-producer --broker-list "$BOOTSTRAP" --topic "$topic" --sync | tr -d '>\n')"
  echo "ok console producer, old"
fi

end=$([ "$version" = 1.1.1 ] && echo 40 || echo 20)
equal "latest offset" "$topic:0:$end" "$(tool kafka.tools.GetOffsetShell --broker-list "$BOOTSTRAP" --topic "$topic" --time -1)"
equal "earliest offset" "$topic:0:0" "$(tool kafka.tools.GetOffsetShell --broker-list "$BOOTSTRAP" --topic "$topic" --time -2)"
echo "ok offsets"

dump=$(tool kafka.tools.DumpLogSegments --files "$LOG_DIRS/$topic-0/00000000000000000000.log" --print-data-log)
has dump "isvalid: true" "$dump"
has dump "value 19" "$dump"
echo "ok dump of our log"

json=$(mktemp)
echo "{\"version\":1,\"partitions\":[{\"topic\":\"$topic\",\"partition\":0,\"offset\":5}]}" >"$json"
has "delete records" "low_watermark: 5" "$(tool kafka.admin.DeleteRecordsCommand $bs --offset-json-file "$json")"
equal "earliest offset" "$topic:0:5" "$(tool kafka.tools.GetOffsetShell --broker-list "$BOOTSTRAP" --topic "$topic" --time -2)"
echo "ok delete records"

has "log dirs" "\"$topic-0\"" "$(tool kafka.admin.LogDirsCommand $bs --describe --topic-list "$topic")"
echo "ok log dirs"
has "api versions" "Produce(0): 0 to 9 [usable: " "$(tool kafka.admin.BrokerApiVersionsCommand $bs)"
echo "ok api versions"

tool kafka.admin.ConfigCommand $zk --alter --entity-type topics --entity-name "$topic" --add-config retention.ms=7200000 >/dev/null
has "configs by ZooKeeper" "retention.ms=7200000" "$(tool kafka.admin.ConfigCommand $zk --describe --entity-type topics --entity-name "$topic")"
if [ "$version" != 1.1.1 ]; then
  has "configs by broker" "retention.ms=7200000" "$(tool kafka.admin.ConfigCommand $bs --describe --entity-type topics --entity-name "$topic")"
  tool kafka.admin.ConfigCommand $bs --alter --entity-type topics --entity-name "$topic" --delete-config retention.ms >/dev/null
  until=$((SECONDS + 20))
  while tool kafka.admin.ConfigCommand $bs --describe --entity-type topics --entity-name "$topic" | grep -q retention.ms=; do
    [ $SECONDS -lt $until ] || fail "retention.ms is still set"
  done
fi
echo "ok configs"

perf=$(tool org.apache.kafka.tools.ProducerPerformance --topic "$topic" --num-records 20000 --record-size 100 --throughput -1 \
  --producer-props "bootstrap.servers=$BOOTSTRAP" acks=all | tail -n 1)
has "producer performance" "20000 records sent" "$perf"
equal "latest offset" "$topic:0:$((end + 20000))" "$(tool kafka.tools.GetOffsetShell --broker-list "$BOOTSTRAP" --topic "$topic" --time -1)"
echo "ok producer performance: ${perf#*sent, }"

[ "$version" = 1.1.1 ] || delete_topic "$bs" "tools-$word-bs"
delete_topic "$zk" "tools-$word-zk"
delete_topic "$zk" "$topic"
