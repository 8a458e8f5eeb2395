#!/bin/bash
# One group, read in turns by the new console consumer of Kafka 2.8.2, the old one of 1.1.1 (through ZooKeeper), and
# ours of both kinds: each goes on where the one before stopped. Arguments: jars of 2.8.2, jars of 1.1.1, a word.
# BOOTSTRAP and ZOOKEEPER describe the broker, root the project.
set -euo pipefail
new_jars=$1 old_jars=$2 word=$3
here=$(cd "$(dirname "$0")" && pwd)
topic=handover-$word group=handover-$word
next=0
fail() { echo "FAILED $*"; exit 1; }

java_tool() { # java_tool JARS CLASS ARGS...
  java -Xmx256m -XX:TieredStopAtLevel=1 "-Dlog4j.configuration=file:$here/java/log4j.properties" -cp "$1/*" "${@:2}" 2>>"$errors"
}
ours() { OTTLA_BIN=${OURS_BIN:-$root/target/release} "$root/bin/$1" "${@:2}" 2>>"$errors"; }
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

nodes() { "$root/zk-scripts/shell.sh" --port "${ZOOKEEPER#*:}" "$@" 2>>"$errors"; }
committed() { nodes get "/consumers/$group/offsets/$topic/0" | grep -E '^[0-9]+$' | tail -n 1; }

# turn NAME COUNT COMMAND...: COMMAND must print the next COUNT lines, and commit them.
turn() {
  local name=$1 count=$2 expected got
  expected=$(seq -f 'line %g' "$next" $((next + count - 1)))
  got=$("${@:3}" --topic "$topic" --max-messages "$count") || { cat "$errors"; fail "$name: exit code"; }
  [ "$got" = "$expected" ] || { cat "$errors"; fail "$name: expected $(printf %q "$expected"), got $(printf %q "$got")"; }
  next=$((next + count))
  [ "$(committed)" = "$next" ] || fail "$name: committed $(committed), not $next"
  echo "ok $name goes on at $((next - count))"
}

console=kafka.tools.ConsoleConsumer
new="java_tool $new_jars $console --bootstrap-server $BOOTSTRAP --group $group"
old="java_tool $old_jars $console --zookeeper $ZOOKEEPER --group $group"
our_new="ours kafka-console-consumer.sh --bootstrap-server $BOOTSTRAP --group $group"
our_old="ours kafka-console-consumer.sh --zookeeper $ZOOKEEPER --group $group"

java_tool "$old_jars" kafka.admin.TopicCommand --zookeeper "$ZOOKEEPER" --create --topic "$topic" --partitions 1 \
  --replication-factor 1 >/dev/null
seq -f 'line %g' 0 99 |
  java_tool "$new_jars" kafka.tools.ConsoleProducer --bootstrap-server "$BOOTSTRAP" --topic "$topic" \
    --request-required-acks all >/dev/null
turn "the new consumer of 2.8.2" 7 $new --from-beginning
turn "the old consumer of 1.1.1" 8 $old
turn "our new consumer" 5 $our_new
turn "our old consumer" 6 $our_old
turn "the new consumer of 2.8.2" 9 $new
turn "our old consumer" 4 $our_old
turn "the old consumer of 1.1.1" 3 $old
turn "our new consumer" 2 $our_new
nodes set "/consumers/$group/offsets/$topic/0" 50 >/dev/null
next=50
turn "after a reset by hand, the new consumer of 2.8.2" 5 $new
turn "then the old consumer of 1.1.1" 5 $old
