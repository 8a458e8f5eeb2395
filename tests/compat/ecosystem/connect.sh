#!/bin/bash
# Kafka Connect, two distributed workers: a file goes line by line into a topic and out of it into two files. A task is
# restarted, a connector is paused, a worker is stopped and comes back: the files are equal. Then the broker and a worker
# are killed, after which Connect may repeat lines: without these the files are equal still.
set -euo pipefail
name=connect
source "$(dirname "$0")/lib.sh"

# What Connect says anyway: it gives all its options to each of its clients; a new worker joins before it has read the
# topic of configurations to its end; one that leaves does not wait for the answer; all are told of a deleted connector,
# those that do not run it, too.
ALWAYS=(
  "The configuration '.*' was supplied but isn't a known config"
  "Variables cannot be used in the 'plugin.path' property"
  "Catching up to assignment's config offset"
  'Close timed out with [0-9]+ pending requests to coordinator, terminating client connections'
  'Ignoring (await )?stop request for (unowned|non-present) connector sink-one'
)
# When the broker is away, workers give up their tasks, which want to commit and to flush before; a task that flushes
# already says so and ends, and is started again with the others.
KILLED=(
  'Graceful stop of task .* failed'
  'Invalid call to OffsetStorageWriter flush\(\) while already flushing'
  'WorkerSourceTask.* (Failed to commit offsets|Timed out waiting to flush offsets to storage)'
  'WorkerSourceTask.* Task threw an uncaught and unrecoverable exception'
  'Connector .* failed to properly shut down, has become unresponsive'
  'WorkerSourceTask.* failed to send record to file-lines'
  'WorkerSourceTask.* Failed to flush, timed out while waiting for producer'
  'WorkerSinkTask.* Commit of offsets threw an unexpected exception'
  'Error registering AppInfo mbean'
)

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
# start_writing, stop_writing: twenty numbered lines at a time.
start_writing() {
  rm -f "$run/stop"
  write_lines $(wc -l <"$run/source") &
  writer=$!
}
write_lines() {
  local n=$1
  until [ -e "$run/stop" ]; do
    for _ in {1..20}; do n=$((n + 1)); echo "line $n \"quoted\" $RANDOM"; done >>"$run/source"
    sleep 0.05
  done
}
stop_writing() {
  touch "$run/stop"
  wait $writer
}
# caught_up: until both sinks have what the source's last line is now; so a step cannot pass while nothing moves.
caught_up() {
  local until=$((SECONDS + patience)) last sink
  last=$(tail -n 1 "$run/source")
  for sink in sink-one sink-two; do
    until grep -qxF -- "$last" "$run/$sink" 2>/dev/null; do
      [ $SECONDS -lt $until ] || fail "$sink has $(wc -l <"$run/$sink") lines, and not '$last'"
      sleep 0.3
    done
  done
  echo "ok $1: both sinks have caught up with line ${last%% \"*}"
}
# check_equal exactly|again: "again" leaves out lines that have come before.
check_equal() {
  local sink what="is the source"
  for sink in sink-one sink-two; do
    if [ "$1" = exactly ]; then
      cmp "$run/source" "$run/$sink" || fail "$sink differs from the source"
    else
      awk '!seen[$0]++' "$run/$sink" | cmp "$run/source" - || fail "$sink differs from the source, and not by repetitions"
      what="is the source with $(($(wc -l <"$run/$sink") - $(wc -l <"$run/source"))) lines repeated"
    fi
    echo "ok $sink $what: $(wc -l <"$run/source") lines"
  done
}

trap 'touch "$run/stop"; kill -9 ${worker[@]} 2>/dev/null || true; finish' EXIT
start_zookeeper $SETTINGS
start_broker "$AGAINST"
# One partition: order is part of what is compared.
create_topics 1 file-lines
touch "$run/source"
start_writing
start_worker 1
connector 1 file-source '{"connector.class": "FileStreamSource", "tasks.max": "1", "file": "'"$run/source"'", "topic": "file-lines"}'
connector 1 sink-one '{"connector.class": "FileStreamSink", "tasks.max": "1", "file": "'"$run/sink-one"'", "topics": "file-lines"}'
start_worker 2
connector 2 sink-two '{"connector.class": "FileStreamSink", "tasks.max": "1", "file": "'"$run/sink-two"'", "topics.regex": "file-.*"}'
for one in file-source sink-one sink-two; do await_state $one RUNNING; done
part 6
caught_up "two workers"
retry rest 2 POST /connectors/file-source/tasks/0/restart
await_state file-source RUNNING
retry rest 1 PUT /connectors/sink-one/pause
await_state sink-one PAUSED
part 12
retry rest 2 PUT /connectors/sink-one/resume
await_state sink-one RUNNING
part 12
caught_up "a restarted task and a paused connector"
end ${worker[1]} TERM
part 6
caught_up "one worker"
start_worker 1
for one in file-source sink-one sink-two; do await_state $one RUNNING; done
part 12
stop_writing
caught_up "two workers again"
check_equal exactly
for log in "$logs"/worker-*.log; do only_explained "$log" "${ALWAYS[@]}"; done

# From here on tasks may go back to what was committed last.
start_writing
part 12
stop_broker KILL
start_broker "$AGAINST"
part 4
caught_up "a killed broker"
end ${worker[2]} KILL
part 6
stop_writing
caught_up "a killed worker"
check_equal again
retry rest 1 DELETE /connectors/sink-one
end ${worker[1]} TERM
for log in "$logs"/worker-*.log; do
  only_explained "$log" "${ALWAYS[@]}" "${BROKER_AWAY[@]}" "${KILLED[@]}"
done
stop_broker
judge_broker "$logs/broker.log"
