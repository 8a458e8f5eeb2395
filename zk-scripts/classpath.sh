#!/bin/bash
# Prints the java command and the classpath of ZooKeeper, one a line, installing what is missing where it can.
# For the test harness and other scripts.
set -euo pipefail
usage() { echo "usage: classpath.sh"; }
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
find_java
find_zookeeper
printf '%s\n%s\n' "$java" "$classpath"
