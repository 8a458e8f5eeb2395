#!/bin/sh
exec "$(dirname "$0")/kafka-run-class.sh" zookeeper-server-stop.sh "$@"
