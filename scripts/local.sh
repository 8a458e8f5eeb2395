#!/bin/bash
# Brokers and ZooKeeper on this machine, all state in .run/: what `make run`, `make cluster`, `make stop` and
# `make status` call. One broker lives in .run itself, a cluster of three in .run/cluster, with node N in .run/cluster/N.
set -euo pipefail
usage() { cat <<USAGE
usage: local.sh start|cluster|stop|status
Environment: PORT (9092), ZK_PORT (2181): of the first; the others follow.
OTTLA_BIN: directory of kafka-server and kafka-tools (target/release)
USAGE
}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/zk-scripts/lib.sh"
run=$root/.run
first_port=${PORT:-9092}
zookeeper_port=${ZK_PORT:-2181}
export OTTLA_BIN=${OTTLA_BIN:-${CARGO_TARGET_DIR:-$root/target}/release}

# use DIR [PORT]: makes the broker that lives there the one that the functions below speak of.
use() {
  dir=$1 properties=$1/server.properties
  export LOG_DIR=$1/logs
  broker_port=${2:-$(sed -n 's|^listeners=.*:||p' "$properties")}
  broker=127.0.0.1:$broker_port
}

# Directories of the brokers that were ever started, one a line.
known_brokers() {
  local dir
  for dir in "$run" "$run"/cluster/[0-2]; do [ ! -e "$dir/server.properties" ] || echo "$dir"; done
}

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

# write_properties [KEY=VALUE...]: config/server.properties as it is, but on loopback, with its data below .run/, and
# with these settings.
write_properties() {
  local setting
  cp "$root/config/server.properties" "$properties"
  for setting in "listeners=PLAINTEXT://$broker" "log.dirs=$dir/kafka-logs" "zookeeper.connect=$zookeeper" "$@"; do
    sed -i "s|^#\?${setting%%=*}=.*|$setting|" "$properties"
    grep -qxF -- "$setting" "$properties" || echo "$setting" >>"$properties"
  done
}

# start_broker [KEY=VALUE...]: the one in use, and waits until it accepts connections.
start_broker() {
  local pid owner until=$((SECONDS + 60))
  if pid=$(broker_pid); then
    use "$dir"
    zookeeper=$(sed -n 's|^zookeeper.connect=||p' "$properties")
    echo "broker: already on $broker, pid $pid"
    return
  fi
  if owner=$(listener_of "$broker_port"); then
    die "port $broker_port is taken by $owner: stop it (make stop, if it is ours), or choose another: PORT=9192"
  fi
  mkdir -p "$LOG_DIR"
  write_properties "$@"
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

# prove REPLICAS: creates the topic `first`, sends a message through the broker and reads it back from where it must
# have landed.
prove() {
  local message before after partition from to until=$((SECONDS + 30))
  message="hello at $(date +%T.%N)"
  if topics --list | grep -qx first; then
    echo "topic: first is there already"
  else
    # A broker that has just started is not in ZooKeeper yet.
    until topics --create --partitions 1 --replication-factor "$1" --topic first >"$dir/create.out" 2>&1; do
      [ $SECONDS -lt $until ] || { cat "$dir/create.out" >&2; die "cannot create the topic first"; }
      sleep 0.1
    done
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

need_binaries() {
  [ -x "$OTTLA_BIN/kafka-server" ] || die "no $OTTLA_BIN/kafka-server: cargo build --release, or make run"
}

start() {
  need_binaries
  "$here/start.sh" --port "$zookeeper_port" >/dev/null
  zookeeper=127.0.0.1:$zookeeper_port
  echo "ZooKeeper: on $zookeeper"
  use "$run" "$first_port"
  start_broker
  prove 1
  cat <<SAY

Both run in the background, with everything they write in .run/. Try:
  bin/kafka-topics.sh --zookeeper $zookeeper --describe --topic first
  bin/kafka-console-producer.sh --broker-list $broker --topic first
  bin/kafka-console-consumer.sh --bootstrap-server $broker --topic first --from-beginning
  make status     make stop     rm -rf .run    (forgets everything)
SAY
}

cluster() {
  local id
  need_binaries
  "$here/start.sh" --nodes 3 --port "$zookeeper_port" --data-dir "$run/cluster/zookeeper" >/dev/null
  zookeeper=127.0.0.1:$zookeeper_port,127.0.0.1:$((zookeeper_port + 1)),127.0.0.1:$((zookeeper_port + 2))
  echo "ZooKeeper: three nodes on $zookeeper"
  for id in 0 1 2; do
    mkdir -p "$run/cluster/$id"
    use "$run/cluster/$id" $((first_port + id))
    start_broker broker.id=$id offsets.topic.replication.factor=3 transaction.state.log.replication.factor=3 \
      transaction.state.log.min.isr=2
  done
  prove 3
  topics --describe --topic first
  zookeeper=${zookeeper%%,*}
  cat <<SAY

All six run in the background, with everything they write in .run/cluster/. Try:
  bin/kafka-topics.sh --zookeeper $zookeeper --create --replication-factor 3 --partitions 3 --topic second
  bin/kafka-topics.sh --zookeeper $zookeeper --describe --topic second
  bin/kafka-console-producer.sh --broker-list $broker --topic second
  bin/kafka-console-consumer.sh --bootstrap-server $broker --topic second --from-beginning
Kill a broker (make status says the pids), describe again after the 18 seconds that its session lives, bring it back:
  kill -9 PID
  make cluster
  make status     make stop     rm -rf .run/cluster    (forgets everything)
SAY
}

# The one in use.
stop_broker() {
  local pid until=$((SECONDS + 60))
  pid=$(broker_pid) || return 0
  kill "$pid"
  while broker_pid >/dev/null; do
    [ $SECONDS -lt $until ] || die "the broker, pid $pid, has not ended after 60 s; see $LOG_DIR/server.log"
    sleep 0.1
  done
  echo "stopped the broker on $broker (pid $pid)"
}

stop() {
  local said
  said=$(for dir in $(known_brokers); do use "$dir"; stop_broker; done)
  echo "${said:-no broker runs from $run}"
  [ ! -e "$run/zookeeper/1/zoo.cfg" ] || "$here/stop.sh"
  [ ! -e "$run/cluster/zookeeper/1/zoo.cfg" ] || "$here/stop.sh" --data-dir "$run/cluster/zookeeper"
}

status() {
  local pid said=0 found=no
  for dir in $(known_brokers); do
    use "$dir"
    found=yes
    if pid=$(broker_pid); then
      echo "broker: pid $pid on $broker, log $LOG_DIR/server.log"
    else
      echo "broker: not running on $broker"
    fi
  done
  [ $found = yes ] || echo "broker: not running"
  for dir in "$run/zookeeper" "$run/cluster/zookeeper"; do
    [ ! -e "$dir/1/zoo.cfg" ] || "$here/status.sh" --data-dir "$dir" || said=1
  done
  return $said
}

case ${1:-} in
  start|cluster|stop|status) "$1" ;;
  *) usage >&2; exit 2 ;;
esac
