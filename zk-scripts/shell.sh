#!/bin/bash
# ZooKeeper's own command line on the first node: interactive, or one command: shell.sh ls /brokers/ids
set -euo pipefail
usage() { echo "usage: shell.sh [--data-dir DIR] [--port PORT] [-- COMMAND...]   (without --port: the node in DIR)"; }
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
parse_options "$@"
[[ " $* " == *" --port "* ]] || { [ -e "$data/1/zoo.cfg" ] && port=$(client_port "$data/1"); }
find_java
find_zookeeper
mode "$port" >/dev/null || die "no ZooKeeper serves on 127.0.0.1:$port; $here/start.sh starts one"
exec "$java" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$classpath" org.apache.zookeeper.ZooKeeperMain \
  -server "127.0.0.1:$port" "${rest[@]}"
