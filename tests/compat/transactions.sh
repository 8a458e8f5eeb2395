#!/bin/bash
# Transactions of unmodified clients; while the last step of each processes, the broker is killed, stopped and started in
# the middle of a transaction. OFFSETS: where the cluster keeps committed offsets, zookeeper or kafka. KINDS: which clients.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
home=${INTEROP_HOME:-$root/target/interop}
OFFSETS=${OFFSETS:-zookeeper}
AGAINST=${AGAINST:-ours}
run=$home/transactions-$OFFSETS-$AGAINST
logs=$run-logs
source "$here/clients.sh"
source "$here/cluster.sh"
KINDS=${KINDS:-java-1.1.1 java-2.8.2 java-3.9.1 java-4.1.0 franz-go confluent-2.16.1}
rm -rf "$run" "$logs"
mkdir -p "$run" "$logs"

for kind in $KINDS; do prepare_transactions "$kind"; done >"$logs/prepare.log" 2>&1
trap finish EXIT
start_zookeeper offsets.storage="$OFFSETS" offsets.topic.num.partitions=5 transaction.state.log.num.partitions=5 transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
start_broker "$AGAINST"
for kind in $KINDS; do
  transactions_command "$kind" "$BOOTSTRAP" "w$RANDOM"
  # The program says when, and goes on with its transaction when it gets a line.
  coproc client { exec "${command[@]}" 2>"$logs/$kind.err"; }
  pid=$client_PID
  exec 3<&"${client[0]}" 4>&"${client[1]}"
  while read -r -u 3 word rest; do
    case $word in
      ok) echo "ok $kind: $rest" ;;
      restart)
        stop_broker "$rest"
        start_broker "$AGAINST" >/dev/null
        echo >&4 ;;
      *) echo "$word $rest" ;;
    esac
  done
  wait "$pid" || { tail -n 5 "$logs/$kind.err"; echo "FAILED $kind"; exit 1; }
done
