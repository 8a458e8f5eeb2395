#!/bin/bash
# Says for every node of this data directory whether it serves. Exit code 0 if all do.
set -euo pipefail
usage() { echo "usage: status.sh [--data-dir DIR]"; }
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
parse_options "$@"

all=0
dirs=$(known_nodes)
[ -n "$dirs" ] || { echo "no ZooKeeper was started from $data"; exit 1; }
for dir in $dirs; do
  p=$(client_port "$dir")
  if ! pid=$(running_pid "$dir"); then
    echo "node $(basename "$dir"): not running (127.0.0.1:$p)"; all=1
  elif ! m=$(mode "$p"); then
    echo "node $(basename "$dir"): pid $pid runs but does not serve 127.0.0.1:$p; log $dir/log"; all=1
  else
    facts=$(ask "$p" srvr | sed -n -e 's/^Zookeeper version: \([^-,]*\).*/version \1/p' -e 's/^Connections: /connections /p' \
      -e 's/^Node count: /znodes /p' | paste -sd, | sed 's/,/, /g')
    echo "node $(basename "$dir"): $m on 127.0.0.1:$p, pid $pid, $facts"
  fi
done
exit $all
