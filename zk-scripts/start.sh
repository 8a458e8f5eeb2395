#!/bin/bash
# Starts ZooKeeper on loopback and waits until it serves. Does nothing for nodes that already run.
set -euo pipefail
usage() { cat <<USAGE
usage: start.sh [--nodes 1|3] [--port 2181] [--data-dir DIR]
  --nodes     size of the ensemble (1)
  --port      client port of the first node; the others follow (2181)
  --data-dir  where configuration, data and logs live (.run/zookeeper of this tree)
Environment: ZOOKEEPER_HOME, JAVA_HOME, ZK_HEAP (256m)
USAGE
}
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Fails if the directory holds an ensemble of another shape, which a restart would break.
check_shape() {
  local known first
  known=$(known_nodes | wc -l)
  [ "$known" = 0 ] && return
  first=$(client_port "$data/1")
  [ "$known" = "$nodes" ] && [ "$first" = "$port" ] || die "$data holds $known node(s) from port $first:" \
    "use --nodes $known --port $first, another --data-dir, or remove it (this deletes its data)"
}

# write_config N
write_config() {
  local dir=$data/$1 i
  mkdir -p "$dir/data"
  echo "$1" >"$dir/data/myid"
  {
    echo "dataDir=$dir/data"
    echo "clientPort=$((port + $1 - 1))"
    echo "clientPortAddress=127.0.0.1"
    echo "tickTime=2000"
    echo "initLimit=10"
    echo "syncLimit=5"
    echo "maxClientCnxns=0"
    echo "admin.enableServer=false"
    echo "4lw.commands.whitelist=ruok,srvr,stat,mntr"
    if [ "$nodes" = 3 ]; then
      for i in 1 2 3; do echo "server.$i=127.0.0.1:$((port + 706 + i)):$((port + 1706 + i))"; done
    fi
  } >"$dir/zoo.cfg"
}

# launch N: starts the node, detached from this shell and its terminal.
launch() {
  local dir=$data/$1 p
  for p in $((port + $1 - 1)) $([ "$nodes" = 1 ] || echo $((port + 706 + $1)) $((port + 1706 + $1))); do
    if owner=$(listener_of "$p"); then die "port $p is taken by $owner: stop it, or choose another --port"; fi
  done
  write_config "$1"
  setsid "$java" "-Xmx${ZK_HEAP:-256m}" -XX:+UseSerialGC -Dzookeeper.jmx.log4j.disable=true \
    -Djava.net.preferIPv4Stack=true -cp "$classpath" $MAIN "$dir/zoo.cfg" >>"$dir/log" 2>&1 </dev/null &
  echo $! >"$dir/pid"
}

# await N: until the node serves; a node that died or hangs ends the script with the end of its log.
await() {
  local dir=$data/$1 p=$((port + $1 - 1)) until=$((SECONDS + wait_s))
  until mode "$p" >/dev/null; do
    if ! running_pid "$dir" >/dev/null && ! kill -0 "$(cat "$dir/pid")" 2>/dev/null; then
      tail -n 20 "$dir/log" >&2; die "node $1 ended; its log is $dir/log"
    fi
    [ $SECONDS -lt $until ] || { tail -n 20 "$dir/log" >&2; die "node $1 does not serve after ${wait_s}s; log $dir/log"; }
    sleep 0.1
  done
  echo "ZooKeeper node $1: $(mode "$p") on 127.0.0.1:$p, pid $(cat "$dir/pid"), log $dir/log"
}

parse_options "$@"
[ ${#rest[@]} = 0 ] || { usage >&2; die "unknown word ${rest[0]}"; }
check_shape
for n in $(seq "$nodes"); do
  running_pid "$data/$n" >/dev/null && continue
  [ -n "${classpath:-}" ] || { find_java; find_zookeeper; }
  launch "$n"
done
for n in $(seq "$nodes"); do await "$n"; done
