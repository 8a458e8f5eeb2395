#!/bin/sh
daemon=
[ "$1" = -daemon ] && { daemon=-daemon; shift; }
exec "$(dirname "$0")/kafka-run-class.sh" $daemon -name connectDistributed org.apache.kafka.connect.cli.ConnectDistributed "$@"
