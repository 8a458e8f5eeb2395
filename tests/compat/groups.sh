#!/bin/bash
# Consumer groups of unmodified clients, of one kind and mixed: members join, leave and are killed, the broker is stopped
# and killed meanwhile. Every partition has one owner, every record is read, and what was committed is never read again.
# OFFSETS: where the cluster keeps committed offsets, zookeeper or kafka. KINDS: which lines of the table below.
#
# A member prints "owns PARTITION..." when that changes, "read PARTITION OFFSET VALUE" before it commits, and "left".
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
home=${INTEROP_HOME:-$root/target/interop}
OFFSETS=${OFFSETS:-zookeeper}
AGAINST=${AGAINST:-ours}
run=$home/groups-$OFFSETS-$AGAINST
logs=$run-logs
source "$here/clients.sh"
source "$here/cluster.sh"
PARTITIONS=8 COUNT=80

# KIND: groups that run side by side, each ASSIGNOR=CLIENT,CLIENT...
TABLE='java-0.9.0.1: range roundrobin
java-0.10.2.2: range roundrobin
java-1.1.1: range roundrobin sticky
java-2.8.2: range roundrobin sticky cooperative-sticky
java-3.9.1: range roundrobin sticky cooperative-sticky
java-4.1.0: range roundrobin sticky cooperative-sticky
sarama-1.19.0: range roundrobin
sarama-1.61.1: range roundrobin sticky
franz-go: range roundrobin sticky cooperative-sticky
confluent-2.16.1: range roundrobin cooperative-sticky
kafka-python-2.0.2: range roundrobin
kafka-python-3.0.12: range roundrobin sticky cooperative-sticky
kafkajs-2.2.4: roundrobin
old-and-new: range=java-0.9.0.1,java-0.10.2.2,java-4.1.0,sarama-1.19.0,kafka-python-2.0.2 roundrobin=java-0.9.0.1,kafkajs-2.2.4,confluent-2.16.1,franz-go
mixed: range=sarama-1.61.1,confluent-2.16.1,franz-go,kafka-python-3.0.12,java-3.9.1 sticky=java-1.1.1,franz-go,java-2.8.2,java-4.1.0 cooperative-sticky=java-2.8.2,confluent-2.16.1,franz-go,java-4.1.0'

fail() { echo "FAILED $*"; exit 1; }
K() { kcat -b "$BOOTSTRAP" -m 60 "$@" 2>>"$logs/kcat.log"; }
tool() { OTTLA_BIN=${OURS:+$(dirname "$OURS")} "$root/bin/$@" 2>>"$logs/tools.log"; }

# await WHAT COMMAND...
await() {
  local until=$((SECONDS + 180)) member
  until "${@:2}"; do
    for member in "${!pid[@]}"; do kill -0 "${pid[$member]}" 2>/dev/null || fail "$group: $member has ended, see $dir"; done
    [ $SECONDS -lt $until ] || fail "$group: $1: not within 180 s, see $dir"
    sleep 0.1
  done
}

# join CLIENT: one more member.
join() {
  local command name
  joined=$((joined + 1))
  name=$joined-$1
  group_member "$1" "$BOOTSTRAP" "$group" "$topic" "$assignor"
  : >"$dir/$name"
  "${command[@]}" >"$dir/$name" 2>"$dir/$name.err" &
  pid[$name]=$!
  members+=("$name")
  await "$name has its share" shares
}

# Each member owns something, and all of them together each partition once.
shares() {
  local name owns all=
  for name in "${members[@]}"; do
    owns=$(grep '^owns' "$dir/$name" | tail -n 1) || return 1
    [ "$owns" != owns ] && [ "$owns" != "owns " ] || return 1
    all+=" ${owns#owns}"
  done
  [ "$(tr ' ' '\n' <<<"$all" | grep . | sort -n | paste -sd' ')" = "$(seq -s' ' 0 $((PARTITIONS - 1)))" ]
}

# part NAME SIGNAL: the member leaves, or dies.
part() {
  local name rest=()
  kill "-$2" "${pid[$1]}"
  wait "${pid[$1]}" 2>/dev/null || true
  unset "pid[$1]"
  for name in "${members[@]}"; do [ "$name" = "$1" ] || rest+=("$name"); done
  members=("${rest[@]}")
  [ "$2" = KILL ] || [ "$(tail -n 1 "$dir/$1")" = left ] || fail "$group: $1 has not left, see $dir"
  [ ${#members[@]} = 0 ] || await "the others have the share of $1" shares
}

write() {
  seq $COUNT | sed "s/.*/k&:phase-$1-&/" |
    K -E -P -t "$topic" -K: -X message.timeout.ms=120000 -X reconnect.backoff.max.ms=500 -X enable.idempotence=true
}
readings() { grep -h "^read .* phase-$1-" "$dir"/[0-9]*; }
all_read() { [ "$(readings $phase | grep -o 'phase-.*' | sort -u | wc -l)" = $COUNT ]; }
all_committed() {
  [ "$(tool kafka-consumer-groups.sh --bootstrap-server "$BOOTSTRAP" --describe --group "$group" |
    awk -v topic="$topic" '$2 == topic && $6 == "0"' | wc -l)" = $PARTITIONS ]
}

# settle [calm]: what was written last is read and committed; in calm times by one member once.
settle() {
  await "phase $phase is read" all_read
  await "phase $phase is committed" all_committed
  settled[$phase]=$(readings $phase | wc -l)
  [ "${1:-}" != calm ] || [ "${settled[$phase]}" = $COUNT ] || fail "$group: phase $phase was read ${settled[$phase]} times, not $COUNT, see $dir"
}

calm() { phase=$((phase + 1)); write $phase; settle calm; }

# trouble N: writes while the broker ends and comes back, which the parent does when all groups have come so far.
trouble() {
  local writer
  phase=$((phase + 1))
  # To producers that ask in its first moments Apache's broker says that there is no such topic.
  (for _ in {1..9}; do write $phase && exit; done; exit 1) &
  writer=$!
  touch "$dir/ready-$1"
  until [ -e "$run/restarted-$1-$round" ]; do sleep 0.1; done
  wait $writer || fail "$group: write"
  settle
}

scenario() { # scenario ASSIGNOR CLIENT...
  local assignor=$1 clients=("${@:2}") client members=() settled=() joined=0 phase=0 name earlier
  declare -A pid=()
  trap 'kill -KILL "${pid[@]}" 2>/dev/null || true' EXIT
  tool kafka-topics.sh --bootstrap-server "$BOOTSTRAP" --create --topic "$topic" --partitions $PARTITIONS --replication-factor 1 >/dev/null || fail "create $topic"
  for client in "${clients[@]}"; do
    join "$client"
    calm
  done
  part "${members[0]}" TERM
  calm
  trouble TERM
  trouble KILL
  join "${clients[0]}"
  calm
  phase=$((phase + 1))
  write $phase
  part "${members[0]}" KILL
  settle
  while [ ${#members[@]} -gt 0 ]; do part "${members[0]}" TERM; done
  phase=$((phase + 1))
  write $phase
  join "${clients[1]}"
  settle calm
  part "${members[0]}" TERM
  for earlier in $(seq $phase); do
    [ "$(readings $earlier | wc -l)" = "${settled[$earlier]}" ] || fail "$group: phase $earlier was read again after its commit, see $dir"
  done
  echo "ok $group: ${clients[*]}"
}

# clients_of KIND GROUP
clients_of() { if [[ $2 == *=* ]]; then tr , ' ' <<<"${2#*=}"; else echo "$1 $1"; fi; }

# run_round KIND GROUP...: these groups at once.
run_round() {
  local spec scenarios=() dirs=() signal pid
  for spec in "${@:2}"; do
    group=$1-${spec%%=*} topic=$1-${spec%%=*} dir=$logs/$1-${spec%%=*}
    mkdir -p "$dir"
    dirs+=("$dir")
    (scenario "${spec%%=*}" $(clients_of "$1" "$spec")) &
    scenarios+=($!)
  done
  for signal in TERM KILL; do
    for dir in "${dirs[@]}"; do
      until [ -e "$dir/ready-$signal" ]; do
        for pid in "${scenarios[@]}"; do kill -0 $pid 2>/dev/null || fail "$1"; done
        sleep 0.1
      done
    done
    stop_broker $signal
    start_broker "$AGAINST" >/dev/null
    touch "$run/restarted-$signal-$round"
  done
  for pid in "${scenarios[@]}"; do wait $pid || fail "$1"; done
}

rm -rf "$run" "$logs"
mkdir -p "$run" "$logs"
chosen() { [ -z "${KINDS:-}" ] || [[ " $KINDS " == *" $1 "* ]]; }
while IFS=: read -r kind specs; do
  for spec in $specs; do ! chosen "$kind" || clients_of "$kind" "$spec"; done
done <<<"$TABLE" | tr ' ' '\n' | sort -u >"$run/clients"
[ -s "$run/clients" ] || fail "no line of the table: $KINDS"
for client in $(<"$run/clients"); do
  prepare_member "$client" >>"$logs/prepare.log" 2>&1 || { tail -n 5 "$logs/prepare.log"; fail "prepare $client"; }
done
trap 'kill $(jobs -p) 2>/dev/null || true; finish' EXIT
start_zookeeper offsets.storage="$OFFSETS" auto.create.topics.enable=false offsets.topic.num.partitions=5
start_broker "$AGAINST"
while IFS=: read -r kind specs; do
  chosen "$kind" || continue
  round=$kind
  run_round "$kind" $specs </dev/null
done <<<"$TABLE"
