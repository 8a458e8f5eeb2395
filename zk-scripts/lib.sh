# Shared by the scripts of this folder; sourced, not run.
# A node is a directory DATA/N with zoo.cfg, myid, pid, log and its data. Node N listens on loopback only:
# clients on PORT+N-1, peers on PORT+706+N, elections on PORT+1706+N (2181, 2888, 3888 for the first).

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
data=$(dirname "$here")/.run/zookeeper
nodes=1
port=2181
wait_s=60
MAIN=org.apache.zookeeper.server.quorum.QuorumPeerMain
MAVEN_VERSION=3.8.4

die() { echo "$(basename "$0"): $*" >&2; exit 1; }

# Sets data, nodes, port from options; leaves the other words in the array rest.
parse_options() {
  rest=()
  while [ $# -gt 0 ]; do
    case $1 in
      --data-dir) data=${2:?--data-dir needs a directory}; shift 2 ;;
      --nodes) nodes=${2:?--nodes needs 1 or 3}; shift 2 ;;
      --port) port=${2:?--port needs a number}; shift 2 ;;
      -h|--help) usage; exit 0 ;;
      --) shift; rest+=("$@"); break ;;
      -*) usage >&2; die "unknown option $1" ;;
      *) rest+=("$1"); shift ;;
    esac
  done
  [[ $nodes == 1 || $nodes == 3 ]] || die "--nodes $nodes: an ensemble here has 1 or 3 nodes"
  [[ $port =~ ^[0-9]+$ && $port -ge 1 && $port -le 63000 ]] || die "--port $port: not a port below 63000"
  mkdir -p "$data" || die "cannot create $data"
  data=$(cd "$data" && pwd)
}

# Directories of the nodes that were ever started under $data, one a line.
known_nodes() {
  local n
  for n in 1 2 3; do [ ! -e "$data/$n/zoo.cfg" ] || echo "$data/$n"; done
}

client_port() { sed -n 's/^clientPort=//p' "$1/zoo.cfg"; }

# Prints the pid of the running server of a node directory; fails if there is none. The pid file alone proves
# nothing: the process must be a ZooKeeper that runs on this very configuration.
running_pid() {
  local pid
  pid=$(cat "$1/pid" 2>/dev/null) || return 1
  [ -r "/proc/$pid/cmdline" ] || return 1
  { tr '\0' '\n' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qx -- "$1/zoo.cfg" || return 1
  echo "$pid"
}

# ask PORT WORD: ZooKeeper's four-letter word, e.g. srvr; fails if nobody listens.
ask() {
  { exec 3<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
  printf %s "$2" >&3
  timeout 5 cat <&3 2>/dev/null
  exec 3>&-
}

# standalone, leader or follower; fails while the node does not serve.
mode() { ask "$1" srvr | sed -n 's/^Mode: //p' | grep .; }

# Fails if nobody listens on the TCP port; else prints who: "pid 12 (java -cp ...)".
listener_of() {
  local hex inode fd pid
  hex=$(printf %04X "$1")
  inode=$(awk -v p=":$hex" '$4 == "0A" && substr($2, length($2) - 4) == p { print $10; exit }' \
    /proc/net/tcp /proc/net/tcp6 2>/dev/null)
  [ -n "$inode" ] || return 1
  fd=$(find /proc/[0-9]*/fd -lname "socket:\[$inode\]" 2>/dev/null | head -n1)
  if [ -z "$fd" ]; then echo "a process of another user"; return 0; fi
  pid=${fd#/proc/}; pid=${pid%%/*}
  echo "pid $pid ($(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c1-120))"
}

# find_java: sets java, or installs a JVM when root on Debian, or explains.
find_java() {
  java=${JAVA_HOME:+$JAVA_HOME/bin/java}
  if [ -n "$java" ]; then
    [ -x "$java" ] || die "JAVA_HOME is $JAVA_HOME, but $java is not there"
    return
  fi
  java=$(command -v java) && return
  apt_install default-jre-headless && java=$(command -v java) && return
  die "ZooKeeper needs Java, and there is no java in PATH: install a JRE 8 or newer, or set JAVA_HOME"
}

# Installs a Debian package; fails, saying why, where that is impossible.
apt_install() {
  command -v apt-get >/dev/null || { echo "no apt-get here, so $1 is not installed" >&2; return 1; }
  [ "$(id -u)" = 0 ] || { echo "not root: cannot run apt-get install $1" >&2; return 1; }
  echo "installing the package $1" >&2
  local -x DEBIAN_FRONTEND=noninteractive
  { apt-get install -y -q "$1" || { apt-get update -q && apt-get install -y -q "$1"; }; } </dev/null >&2
}

# Sets classpath: ZOOKEEPER_HOME (also a Kafka distribution), Debian's package, or Maven, in this order.
find_zookeeper() {
  local debian=/usr/share/java
  if [ -n "${ZOOKEEPER_HOME:-}" ]; then
    compgen -G "$ZOOKEEPER_HOME/zookeeper*.jar" >/dev/null || compgen -G "$ZOOKEEPER_HOME/lib*/zookeeper*.jar" >/dev/null \
      || die "ZOOKEEPER_HOME is $ZOOKEEPER_HOME, but neither it nor its lib/ or libs/ has a zookeeper jar"
    classpath="$ZOOKEEPER_HOME/conf:$ZOOKEEPER_HOME/*:$ZOOKEEPER_HOME/lib/*:$ZOOKEEPER_HOME/libs/*"
    return
  fi
  [ -e $debian/zookeeper.jar ] || from_maven || apt_install zookeeper || true
  if [ -e $debian/zookeeper.jar ]; then
    classpath="$debian/zookeeper.jar:$debian/slf4j-simple.jar"
  elif ! from_maven; then
    download_with_maven || die "no ZooKeeper found. Any of these helps: set ZOOKEEPER_HOME to an unpacked" \
      "distribution; apt-get install zookeeper; install Maven (mvn) and run this again"
    from_maven || die "Maven left no zookeeper jar in $maven_jars"
  fi
}

maven_jars=$(dirname "$here")/.run/zookeeper-jars
from_maven() {
  compgen -G "$maven_jars/zookeeper-[0-9]*.jar" >/dev/null || return 1
  classpath="$maven_jars/*"
}

download_with_maven() {
  command -v mvn >/dev/null || { echo "no mvn here either" >&2; return 1; }
  echo "fetching org.apache.zookeeper:zookeeper:$MAVEN_VERSION with Maven" >&2
  mkdir -p "$maven_jars"
  cat >"$maven_jars/pom.xml" <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>ottla</groupId> <artifactId>zookeeper-jars</artifactId> <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.zookeeper</groupId> <artifactId>zookeeper</artifactId> <version>$MAVEN_VERSION</version>
      <exclusions> <exclusion> <groupId>ch.qos.logback</groupId> <artifactId>*</artifactId> </exclusion> </exclusions>
    </dependency>
    <dependency> <groupId>org.slf4j</groupId> <artifactId>slf4j-simple</artifactId> <version>1.7.30</version> </dependency>
    <!-- What the server and its shell need beyond what they declare. -->
    <dependency> <groupId>org.xerial.snappy</groupId> <artifactId>snappy-java</artifactId> <version>1.1.10.5</version> </dependency>
    <dependency> <groupId>io.dropwizard.metrics</groupId> <artifactId>metrics-core</artifactId> <version>4.1.12.1</version> </dependency>
    <dependency> <groupId>commons-cli</groupId> <artifactId>commons-cli</artifactId> <version>1.5.0</version> </dependency>
  </dependencies>
</project>
POM
  mvn -q -B -f "$maven_jars/pom.xml" dependency:copy-dependencies -DoutputDirectory="$maven_jars" >&2
}
