#!/bin/bash
# Kafka Connect, two distributed workers: a file goes line by line into a topic and out of it into two files. The broker
# is killed, a worker is stopped and comes back, a task is restarted, a connector is paused: the files stay equal. Then a
# worker is killed, which may double lines but must not lose any.
set -euo pipefail
name=connect
source "$(dirname "$0")/lib.sh"

declare -A worker port
# start_worker N: returns when its REST interface answers.
start_worker() {
  local until=$((SECONDS + patience))
  port[$1]=${port[$1]:-$(free_port)}
  cat >"$run/worker-$1.properties" <<P
bootstrap.servers=$BOOTSTRAP
group.id=connect
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
offset.storage.topic=connect-offsets
offset.storage.replication.factor=1
config.storage.topic=connect-configs
config.storage.replication.factor=1
status.storage.topic=connect-status
status.storage.replication.factor=1
offset.flush.interval.ms=2000
offset.flush.timeout.ms=30000
session.timeout.ms=30000
heartbeat.interval.ms=1000
scheduled.rebalance.max.delay.ms=1000
listeners=http://127.0.0.1:${port[$1]}
producer.enable.idempotence=true
consumer.session.timeout.ms=30000
P
  eco org.apache.kafka.connect.cli.ConnectDistributed "$run/worker-$1.properties" >>"$logs/worker-$1.log" 2>&1 &
  worker[$1]=$!
  until rest "$1" GET / >/dev/null 2>&1; do
    kill -0 ${worker[$1]} 2>/dev/null && [ $SECONDS -lt $until ] || { tail -n 20 "$logs/worker-$1.log"; fail "worker $1 does not start"; }
    sleep 0.2
  done
}
# rest WORKER METHOD PATH [JSON]
rest() {
  curl -sS --fail-with-body -m 30 -X "$2" -H 'Content-Type: application/json' ${4:+-d "$4"} "http://127.0.0.1:${port[$1]}$3"
}
# connector WORKER NAME JSON: repeated while a rebalance goes on (409).
connector() { retry rest "$1" PUT "/connectors/$2/config" "$3"; }
retry() {
  local until=$((SECONDS + patience))
  until "$@" >"$run/answer" 2>&1; do
    [ $SECONDS -lt $until ] || { cat "$run/answer"; fail "$*"; }
    sleep 0.3
  done
}
# await_state NAME STATE: the connector and one task.
await_state() {
  local until=$((SECONDS + patience))
  until [ "$(rest "${3:-1}" GET "/connectors/$1/status" 2>/dev/null | grep -o "\"state\":\"$2\"" | wc -l)" = 2 ]; do
    [ $SECONDS -lt $until ] || { rest "${3:-1}" GET "/connectors/$1/status"; fail "$1 is not $2"; }
    sleep 0.3
  done
  echo "ok $1 is $2"
}
write_lines() {
  local n=0
  until [ -e "$run/stop" ]; do
    for _ in {1..20}; do n=$((n + 1)); echo "line $n \"quoted\" $RANDOM"; done >>"$run/source"
    sleep 0.05
  done
}
# await_sink FILE: as long as the source.
await_sink() {
  local until=$((SECONDS + patience)) expected
  expected=$(wc -l <"$run/source")
  until [ "$(cat "$run/$1" 2>/dev/null | wc -l)" -ge "$expected" ]; do
    [ $SECONDS -lt $until ] || fail "$1 has $(wc -l <"$run/$1") lines, not $expected"
    sleep 0.3
  done
}
check_equal() {
  local sink
  for sink in sink-one sink-two; do
    await_sink $sink
    cmp "$run/source" "$run/$sink" || fail "$sink differs from the source"
    echo "ok $sink has the $(wc -l <"$run/source") lines of the source"
  done
}

trap 'touch "$run/stop"; kill -9 ${worker[@]} 2>/dev/null || true; finish' EXIT
start_zookeeper $SETTINGS
start_broker "$AGAINST"
# One partition: order is part of what is compared.
create_topics 1 file-lines
touch "$run/source"
write_lines &
writer=$!
start_worker 1
connector 1 file-source '{"connector.class": "FileStreamSource", "tasks.max": "1", "file": "'"$run/source"'", "topic": "file-lines"}'
connector 1 sink-one '{"connector.class": "FileStreamSink", "tasks.max": "1", "file": "'"$run/sink-one"'", "topics": "file-lines"}'
start_worker 2
connector 2 sink-two '{"connector.class": "FileStreamSink", "tasks.max": "1", "file": "'"$run/sink-two"'", "topics.regex": "file-.*"}'
for one in file-source sink-one sink-two; do await_state $one RUNNING; done
part 6
stop_broker KILL
start_broker "$AGAINST"
part 6
end ${worker[1]} TERM
part 6
start_worker 1
part 6
retry rest 2 POST /connectors/file-source/tasks/0/restart
retry rest 1 PUT /connectors/sink-one/pause
await_state sink-one PAUSED
part 12
retry rest 2 PUT /connectors/sink-one/resume
await_state sink-one RUNNING
part 12
touch "$run/stop"
wait $writer
check_equal

rm "$run/stop"
write_lines &
writer=$!
part 12
end ${worker[2]} KILL
part 6
touch "$run/stop"
wait $writer
for sink in sink-one sink-two; do
  until=$((SECONDS + patience))
  until [ -z "$(comm -23 <(sort -u "$run/source") <(sort -u "$run/$sink"))" ]; do
    [ $SECONDS -lt $until ] || fail "$sink lacks $(comm -23 <(sort -u "$run/source") <(sort -u "$run/$sink") | wc -l) lines"
    sleep 0.5
  done
  echo "ok $sink lacks no line after a worker was killed"
done
retry rest 1 DELETE /connectors/sink-one
end ${worker[1]} TERM
for log in "$logs"/worker-*.log; do
  only_explained "$log" "${BROKER_AWAY[@]}" "was supplied but isn't a known config"
done
stop_broker
judge_broker "$logs/broker.log"
