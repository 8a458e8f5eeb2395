#!/bin/sh
# Runs a command by Kafka's class name. The binaries are searched in OTTLA_BIN, in libs/ and bin/ of the
# installation, in the build's target/, and in KAFKA_HOME.
base=$(cd "$(dirname "$0")/.." && pwd)
for dir in "$OTTLA_BIN" "$base/libs" "$base/bin" "$base/target/release" "$base/target/debug" "$KAFKA_HOME/libs" "$KAFKA_HOME/bin"; do
  [ -x "$dir/kafka-tools" ] && exec "$dir/kafka-tools" kafka-run-class.sh "$0" "$@"
done
echo "kafka-run-class.sh: no kafka-tools binary beside $base: build it (cargo build --release) or set OTTLA_BIN" >&2
exit 1
