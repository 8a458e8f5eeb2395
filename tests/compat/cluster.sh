# One ZooKeeper and one broker on free loopback ports; sourced. Needs root (the project), home, run, logs, here, and
# clients.sh. Sets BOOTSTRAP, ZOOKEEPER, LOG_DIRS and, while a broker runs, broker (its pid). zookeeper_options: for the JVM
# of ZooKeeper.

broker=
broker_log=

# A loopback port below the ephemeral range on which nobody listens.
free_port() {
  local port
  while :; do
    port=$((12000 + RANDOM % 19000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo $port; return; }
  done
}

# start_zookeeper [PROPERTY=VALUE...]: also writes server.properties, with these on top.
start_zookeeper() {
  local zookeeper_port=$(free_port) port=$(free_port)
  JAVA_TOOL_OPTIONS=${zookeeper_options:-} "$root/zk-scripts/start.sh" --data-dir "$run/zookeeper" --port "$zookeeper_port" >/dev/null
  export BOOTSTRAP=127.0.0.1:$port ZOOKEEPER=127.0.0.1:$zookeeper_port LOG_DIRS=$run/data
  cat >"$run/server.properties" <<P
broker.id=0
listeners=PLAINTEXT://$BOOTSTRAP
log.dirs=$LOG_DIRS
zookeeper.connect=$ZOOKEEPER
zookeeper.session.timeout.ms=6000
num.partitions=3
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
P
  local line
  for line in "$@"; do
    sed -i "/^${line%%=*}=/d" "$run/server.properties"
    echo "$line" >>"$run/server.properties"
  done
}

# apache VERSION CLASS ARGS...: a class of Apache Kafka's.
apache() {
  java -Xmx512m -XX:TieredStopAtLevel=1 -cp "$home/jars/core-$1/*" "${@:2}"
}

# start_broker ours|apache|apache-VERSION [LOG]: Apache is 2.8.2 unless said.
start_broker() {
  broker_log=${2:-$logs/broker.log}
  local command until=$((SECONDS + 180)) version=2.8.2
  case $1 in
    ours)
      command=("${OURS:-$root/target/release/kafka-server}")
      [ -x "${command[0]}" ] || { echo "no ${command[0]}: cargo build --release" >&2; return 1; } ;;
    apache | apache-*)
      [ "$1" = apache ] || version=${1#*-}
      core_jars "$version" $([ "$version" = 1.1.1 ] && echo 2.12 || echo 2.13)
      command=(java -Xmx512m -XX:TieredStopAtLevel=1 -cp "$home/jars/core-$version/*"
        "-Dlog4j.configuration=file:$here/java/log4j-broker.properties" kafka.Kafka) ;;
    *) echo "no broker kind $1" >&2; return 1 ;;
  esac
  (cd "$run" && LOG_DIR=$run/server-logs exec "${command[@]}" "$run/server.properties" >>"$broker_log" 2>&1) &
  broker=$!
  until (exec 3<>"/dev/tcp/${BOOTSTRAP%:*}/${BOOTSTRAP#*:}") 2>/dev/null; do
    kill -0 $broker 2>/dev/null && [ $SECONDS -lt $until ] ||
      { tail -n 40 "$broker_log" >&2; echo "the broker ($1) does not start" >&2; return 1; }
    sleep 0.1
  done
  echo "broker: $1 on $BOOTSTRAP, ZooKeeper on $ZOOKEEPER"
}

# stop_broker [SIGNAL]: TERM, or KILL; then waits until ZooKeeper has forgotten it.
stop_broker() {
  [ -n "$broker" ] || return 0
  kill "-${1:-TERM}" "$broker" 2>/dev/null && wait "$broker" 2>/dev/null || true
  broker=
  local until=$((SECONDS + 30))
  while "$root/zk-scripts/shell.sh" --port "${ZOOKEEPER#*:}" ls /brokers/ids 2>/dev/null | tail -n 1 | grep -q 0; do
    [ $SECONDS -lt $until ] || { echo "the stopped broker is still registered" >&2; return 1; }
  done
}

finish() {
  [ -z "$broker" ] || { kill "$broker" 2>/dev/null && wait "$broker" 2>/dev/null || true; }
  "$root/zk-scripts/stop.sh" --data-dir "$run/zookeeper" >/dev/null
}
