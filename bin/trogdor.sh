#!/bin/sh
action=$1
[ $# -gt 0 ] && shift
case $action in
  agent) class=org.apache.kafka.trogdor.agent.Agent ;;
  agent-client) class=org.apache.kafka.trogdor.agent.AgentClient ;;
  coordinator) class=org.apache.kafka.trogdor.coordinator.Coordinator ;;
  client) class=org.apache.kafka.trogdor.coordinator.CoordinatorClient ;;
  ''|help) echo "Usage: $0 agent|coordinator|client|agent-client|help [options]"; exit 0 ;;
  *) echo "Unknown action '$action'.  Type '$0 help' for help."; exit 1 ;;
esac
exec "$(dirname "$0")/kafka-run-class.sh" "$class" "$@"
