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
  only_explained "$log" "${BROKER_AWAY[@]}"
done
stop_broker
judge_broker "$logs/broker.log"
