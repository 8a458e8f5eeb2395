#!/bin/bash
# Stops the nodes that start.sh started in this data directory, and nothing else. The data stays.
set -euo pipefail
usage() { echo "usage: stop.sh [--data-dir DIR]"; }
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
parse_options "$@"

stopped=0
for dir in $(known_nodes); do
  pid=$(running_pid "$dir") || { rm -f "$dir/pid"; continue; }
  kill "$pid"
  until=$((SECONDS + 20))
  while running_pid "$dir" >/dev/null; do
    [ $SECONDS -lt $until ] || { echo "node in $dir ignores SIGTERM: killing pid $pid" >&2; kill -9 "$pid"; until=$((SECONDS + 5)); }
    sleep 0.1
  done
  rm -f "$dir/pid"
  echo "stopped ZooKeeper node $(basename "$dir") (pid $pid)"
  stopped=1
done
[ $stopped = 1 ] || echo "no ZooKeeper runs from $data"
