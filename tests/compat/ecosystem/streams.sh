#!/bin/bash
# Kafka Streams: word counts at least once, exactly once and exactly once "beta", with two instances. A first part
# without trouble: each count of each word once, with every guarantee. Then an instance comes, the broker is killed, an
# instance is killed, comes back, the other one leaves: exactly once is still exactly once, and at least once misses
# nothing.
set -euo pipefail
name=streams
source "$(dirname "$0")/lib.sh"
input=lines
guarantees="at_least_once exactly_once exactly_once_beta"

declare -A app
running=0
# start_app NAME: all three applications, in one process; returns when they run.
start_app() {
  local log=$logs/app-$1.log before
  before=$(grep -cx running "$log" 2>/dev/null || true)
  eco WordCount "$BOOTSTRAP" "$input" "$run/state-$1" $guarantees >>"$log" 2>&1 &
  app[$1]=$!
  await_line "$log" running $((${before:-0} + 1)) ${app[$1]}
}
# produce SEED: in the background; until stop_producing.
produce() {
  rm -f "$run/stop"
  eco Words produce "$BOOTSTRAP" $input "$1" "$run/stop" "$run/totals" >>"$logs/produce.log" 2>&1 &
  producer=$!
}
stop_producing() {
  touch "$run/stop"
  wait $producer || { tail -n 5 "$logs/produce.log"; fail "the producer"; }
}
# Streams sets an option of its own, gives one of transactions to producers that have none, and subscribes to topics that
# it creates a moment later.
ALWAYS=(
  "The configuration '(internal.throw.on.fetch.stable.offset.unsupported|transaction.timeout.ms)' was supplied but isn't a known config"
  'Error while fetching metadata with correlation id [0-9]+ : \{([^ ]*-repartition=(UNKNOWN_TOPIC_OR_PARTITION|LEADER_NOT_AVAILABLE)(, )?)+\}'
)
# What Streams does when a broker or an instance was killed: exactly once throws away the state of a task that did not
# end cleanly, and the transaction that was open; members join without all tasks being given away; who stood still for
# longer than his session or his transaction lasts is fenced, and joins again.
KILLED=(
  'State store counts did not find checkpoint offsets while stores are not empty, since under EOS'
  'Detected the states of tasks \[.*\] are corrupted. Will close the task as dirty'
  'The following subscribed topics are not assigned to any members'
  'Detected that the thread is being fenced'
  'The following partitions .* are missing from the task partitions'
)
check() { eco Words check "$BOOTSTRAP" "$input-$1" "$run/totals" "$2" 2>>"$logs/check.log" || fail "$1: see $logs"; }

trap 'kill -9 ${app[@]} ${producer:-} 2>/dev/null || true; finish' EXIT
start_zookeeper $SETTINGS
start_broker "$AGAINST"
create_topics 4 $input
create_topics 3 $(printf "$input-%s " $guarantees)
start_app a
produce 1
part 4
stop_producing
for guarantee in $guarantees; do check "$guarantee" once; done
only_explained "$logs/app-a.log" "${ALWAYS[@]}"

produce 2
start_app b
part 6
stop_broker KILL
start_broker "$AGAINST"
part 6
end ${app[a]} KILL
part 6
start_app a
part 6
end ${app[b]} TERM
unset 'app[b]'
part 12
stop_producing
check exactly_once once
check exactly_once_beta once
check at_least_once least
end ${app[a]} TERM
unset 'app[a]'
for log in "$logs"/app-*.log; do
  only_explained "$log" "${ALWAYS[@]}" "${BROKER_AWAY[@]}" "${KILLED[@]}"
done
stop_broker
# Of the instance that was killed.
judge_broker "$logs/broker.log" 'Transaction of transactionalId .* was open for more than [0-9]+ ms: it is rolled back'
