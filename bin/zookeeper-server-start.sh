#!/bin/sh
exec "$(dirname "$0")/kafka-run-class.sh" zookeeper-server-start.sh "$0" "$@"
