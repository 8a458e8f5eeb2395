#!/bin/bash
# A broker and ZooKeeper on this machine, all state in .run/: what `make run`, `make stop` and `make status` call.
set -euo pipefail
usage() { cat <<USAGE
usage: local.sh start|stop|status
Environment: PORT (9092), ZK_PORT (2181), OTTLA_BIN: directory of kafka-server and kafka-tools (target/release)
USAGE
}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/zk-scripts/lib.sh"
run=$root/.run
broker_port=${PORT:-9092}
zookeeper_port=${ZK_PORT:-2181}
properties=$run/server.properties
export OTTLA_BIN=${OTTLA_BIN:-${CARGO_TARGET_DIR:-$root/target}/release} LOG_DIR=$run/logs
broker=127.0.0.1:$broker_port
zookeeper=127.0.0.1:$zookeeper_port

# The pid of the broker that runs on our properties file; fails if there is none.
broker_pid() {
  local pid
  for pid in /proc/[0-9]*; do
    [ "${pid#/proc/}" != $$ ] || continue
    if { tr '\0' '\n' <"$pid/cmdline"; } 2>/dev/null | grep -qx -- "$properties"; then echo "${pid#/proc/}"; return; fi
  done
  return 1
}

accepts() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# config/server.properties as it is, but on loopback and with its data below .run/.
write_properties() {
  sed -e "s|^#\?listeners=.*|listeners=PLAINTEXT://$broker|" -e "s|^log.dirs=.*|log.dirs=$run/kafka-logs|" \
    -e "s|^zookeeper.connect=.*|zookeeper.connect=$zookeeper|" "$root/config/server.properties" >"$properties"
  grep -q "^listeners=PLAINTEXT://$broker$" "$properties" || echo "listeners=PLAINTEXT://$broker" >>"$properties"
}

start_broker() {
  local pid owner until=$((SECONDS + 60))
  if pid=$(broker_pid); then
    broker=$(sed -n 's|^listeners=PLAINTEXT://||p' "$properties")
    zookeeper=$(sed -n 's|^zookeeper.connect=||p' "$properties")
    echo "broker: already on $broker, pid $pid"
    return
  fi
  if owner=$(listener_of "$broker_port"); then
    die "port $broker_port is taken by $owner: stop it, or choose another: make run PORT=9093"
  fi
  mkdir -p "$LOG_DIR"
  write_properties
  "$root/bin/kafka-server-start.sh" -daemon "$properties"
  until accepts "$broker_port"; do
    if [ $SECONDS -ge $until ] || { [ $SECONDS -gt $((until - 58)) ] && ! broker_pid >/dev/null; }; then
      tail -n 20 "$LOG_DIR/kafkaServer.out" >&2 || true
      die "the broker does not start; its log is $LOG_DIR/kafkaServer.out"
    fi
    sleep 0.1
  done
  echo "broker: started on $broker, pid $(broker_pid), log $LOG_DIR/server.log"
}

topics() { "$root/bin/kafka-topics.sh" --zookeeper "$zookeeper" "$@"; }

# Log end offsets of the topic `first`, PARTITION:OFFSET a line.
ends() {
  "$root/bin/kafka-run-class.sh" kafka.tools.GetOffsetShell --broker-list "$broker" --topic first --time -1 | cut -d: -f2,3
}

# Creates the topic `first`, sends a message through the broker and reads it back from where it must have landed.
prove() {
  local message before after partition from to until=$((SECONDS + 30))
  message="hello at $(date +%T.%N)"
  if topics --list | grep -qx first; then
    echo "topic: first is there already"
  else
    topics --create --partitions 1 --replication-factor 1 --topic first >/dev/null || die "cannot create the topic first"
    echo "topic: first created"
  fi
  until topics --describe --topic first | grep -q 'Leader: [0-9]'; do
    [ $SECONDS -lt $until ] || die "the topic first gets no leader; see $LOG_DIR/controller.log"
    sleep 0.1
  done
  before=$(ends)
  echo "$message" | "$root/bin/kafka-console-producer.sh" --broker-list "$broker" --topic first >/dev/null
  echo "sent: $message"
  after=$(ends)
  while IFS=: read -r partition from; do
    to=$(sed -n "s/^$partition://p" <<<"$after")
    [ "$to" -gt "$from" ] || continue
    "$root/bin/kafka-console-consumer.sh" --bootstrap-server "$broker" --topic first --partition "$partition" \
      --offset "$from" --max-messages $((to - from)) --timeout-ms 10000 2>/dev/null || true
  done <<<"$before" | grep -Fxq -- "$message" || die "the message did not come back"
  echo "read: $message"
}

start() {
  [ -x "$OTTLA_BIN/kafka-server" ] || die "no $OTTLA_BIN/kafka-server: cargo build --release, or make run"
  "$here/start.sh" --port "$zookeeper_port" >/dev/null
  echo "ZooKeeper: on $zookeeper"
  start_broker
  prove
  cat <<SAY

Both run in the background, with everything they write in .run/. Try:
  bin/kafka-topics.sh --zookeeper $zookeeper --describe --topic first
  bin/kafka-console-producer.sh --broker-list $broker --topic first
  bin/kafka-console-consumer.sh --bootstrap-server $broker --topic first --from-beginning
  make status     make stop     rm -rf .run    (forgets everything)
SAY
}

stop() {
  local pid until=$((SECONDS + 30))
  if pid=$(broker_pid); then
    kill "$pid"
    while broker_pid >/dev/null; do
      [ $SECONDS -lt $until ] || die "the broker, pid $pid, has not ended after 30 s; see $LOG_DIR/server.log"
      sleep 0.1
    done
    echo "stopped the broker (pid $pid)"
  else
    echo "no broker runs from $run"
  fi
  "$here/stop.sh"
}

status() {
  local pid
  if pid=$(broker_pid); then
    echo "broker: pid $pid on $(sed -n 's|^listeners=||p' "$properties"), log $LOG_DIR/server.log"
  else
    echo "broker: not running"
  fi
  "$here/status.sh"
}

case ${1:-} in
  start|stop|status) "$1" ;;
  *) usage >&2; exit 2 ;;
esac
