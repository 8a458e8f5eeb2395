# How each client is obtained and run; sourced by run.sh. Versions are part of the names.

maven() { mvn -q -B "$@" </dev/null; }

# clients_jars VERSION: the Java client with its dependencies.
clients_jars() {
  compgen -G "$home/jars/clients-$1/kafka-clients-*.jar" >/dev/null ||
    maven -f "$here/java/clients-pom.xml" "-Dkafka.version=$1" dependency:copy-dependencies "-DoutputDirectory=$home/jars/clients-$1"
}

# core_jars VERSION SCALA [MAVEN_OPTION]: Apache's broker and tools.
core_jars() {
  compgen -G "$home/jars/core-$1/kafka_$2-*.jar" >/dev/null ||
    maven -f "$here/java/core-pom.xml" "-Dkafka.version=$1" "-Dscala.version=$2" dependency:copy-dependencies "-DoutputDirectory=$home/jars/core-$1" ${3:-}
}

# ecosystem_jars VERSION: Kafka Streams, Connect, MirrorMaker 2.
ecosystem_jars() {
  compgen -G "$home/jars/ecosystem-$1/connect-mirror-$1.jar" >/dev/null ||
    maven -f "$here/ecosystem/ecosystem-pom.xml" "-Dkafka.version=$1" dependency:copy-dependencies "-DoutputDirectory=$home/jars/ecosystem-$1"
}

compile_java() {
  local version=$1 jars=$2 sources=("${@:3}")
  mkdir -p "$home/java/$version"
  (cd "$here/${FROM:-java}" && javac -nowarn -Xlint:none --release 11 -cp "$jars/*" -d "$home/java/$version" "${sources[@]}")
}

go_build() { # go_build NAME PROGRAM FILE...: of the folder that NAME begins with
  local folder=$here/${1%-[0-9]*} dir=$home/go/$1/$2 import=github.com/Shopify/sarama file
  [ "$1" != sarama-1.61.1 ] || import=github.com/IBM/sarama
  mkdir -p "$dir"
  cp "$folder/$1.mod" "$dir/go.mod"
  cp "$folder/$1.sum" "$dir/go.sum"
  for file in "${@:3}"; do sed "s#github.com/Shopify/sarama#$import#" "$folder/$file" >"$dir/$file"; done
  (cd "$dir" && go build -o client .)
}

python_env() { # python_env NAME FOLDER
  local dir=$home/python/$1
  [ -x "$dir/bin/python" ] || python3 -m venv "$dir"
  "$dir/bin/pip" install -q --disable-pip-version-check -r "$here/$2/$1.txt"
}

prepare() {
  local version=${1##*-}
  case $1 in
    java-0.8.2.2) core_jars 0.8.2.2 2.11 -Dtools.artifact=kafka-clients && compile_java 0.8.2.2 "$home/jars/core-0.8.2.2" Check.java SimpleScenario.java ;;
    old-consumers-0.8.2.2) core_jars 0.8.2.2 2.11 -Dtools.artifact=kafka-clients && compile_java 0.8.2.2 "$home/jars/core-0.8.2.2" Check.java OldConsumers.java ;;
    old-consumers-1.1.1) core_jars 1.1.1 2.12 && compile_java core-1.1.1 "$home/jars/core-1.1.1" Check.java OldConsumers.java ;;
    java-0.10.2.2) clients_jars "$version" &&
      compile_java "$version" "$home/jars/clients-$version" Check.java Clients.java DataScenario.java ;;
    java-*) clients_jars "$version" &&
      compile_java "$version" "$home/jars/clients-$version" Check.java Clients.java DataScenario.java AdminScenario.java ;;
    sarama-*) go_build "$1" scenario scenario.go ;;
    tutorial-go) go_build sarama-1.19.0 tutorial tutorial.go ;;
    kcat) command -v kcat >/dev/null || { source "$root/zk-scripts/lib.sh"; apt_install kcat; } ;;
    kafka-python-*) python_env "$1" kafka-python ;;
    kafkajs-*) mkdir -p "$home/kafkajs" && cp "$here"/kafkajs/* "$home/kafkajs/" && (cd "$home/kafkajs" && npm ci --silent --no-audit --no-fund) ;;
    groups-* | transactions-*) prepare kcat ;;
    tools-1.1.1) core_jars 1.1.1 2.12 ;;
    tools-2.8.2) core_jars 2.8.2 2.13 ;;
    handover) core_jars 2.8.2 2.13 && core_jars 1.1.1 2.12 ;;
    takeover-* | consistency) prepare kcat && python_env confluent-2.8.0 confluent && core_jars 2.8.2 2.13 && clients_jars 2.8.2 ;;
    mixed-* | rolling-* | upgrade-*) core_jars 2.8.2 2.13 && { [ "$version" = 2.8.2 ] || core_jars "$version" 2.12; } && clients_jars 2.8.2 &&
      compile_java 2.8.2 "$home/jars/clients-2.8.2" Check.java Clients.java Durable.java MixedLoad.java ;;
    streams-* | connect-* | mirrormaker-*) ecosystem_jars "$version" && FROM=ecosystem compile_java "ecosystem-$version" \
      "$home/jars/ecosystem-$version" ../java/Check.java ../java/Clients.java WordCount.java Words.java Mirror.java ;;
    replicas-2.8.2) prepare kcat && core_jars 2.8.2 2.13 ;;
    replicas-1.1.1) prepare kcat && core_jars 1.1.1 2.12 ;;
    *) echo "unknown client $1"; return 1 ;;
  esac
}

# prepare_member CLIENT: the program that group_member runs.
prepare_member() {
  local version=${1##*-}
  case $1 in
    java-*) clients_jars "$version" && compile_java "$version" "$home/jars/clients-$version" Clients.java Check.java GroupMember.java ;;
    sarama-1.19.0) go_build "$1" member member.go ;;
    sarama-*) go_build "$1" member member.go sticky.go ;;
    franz-go) go_build "$1" member member.go ;;
    confluent-*) python_env "$1" confluent ;;
    *) prepare "$1" ;;
  esac
}

# group_member CLIENT BOOTSTRAP GROUP TOPIC ASSIGNOR: sets command.
group_member() {
  case $1 in
    java-*) java_command "${1##*-}" "$home/jars/clients-${1##*-}" GroupMember "${@:2}" ;;
    sarama-* | franz-go) command=("$home/go/$1/member/client" "${@:2}") ;;
    confluent-*) command=("$home/python/$1/bin/python" "$here/confluent/member.py" "${@:2}") ;;
    kafka-python-*) command=("$home/python/$1/bin/python" "$here/kafka-python/member.py" "${@:2}") ;;
    kafkajs-*) command=(node "$home/kafkajs/member.js" "${@:2}") ;;
  esac
}

prepare_transactions() {
  local version=${1##*-}
  case $1 in
    java-*) clients_jars "$version" && compile_java "$version" "$home/jars/clients-$version" Clients.java Check.java TransactionScenario.java ;;
    franz-go) go_build "$1" transactions transactions.go ;;
    confluent-*) python_env "$1" confluent ;;
  esac
}

# transactions_command CLIENT BOOTSTRAP WORD: sets command.
transactions_command() {
  case $1 in
    java-*) java_command "${1##*-}" "$home/jars/clients-${1##*-}" TransactionScenario "$2" "${1##*-}" "$3" ;;
    franz-go) command=("$home/go/$1/transactions/client" "${@:2}") ;;
    confluent-*) command=("$home/python/$1/bin/python" "$here/confluent/transactions.py" "${@:2}") ;;
  esac
}

# java_command and java_main VERSION JARS CLASS ARGS...: the first sets command.
java_command() {
  command=(java -Xmx256m -XX:TieredStopAtLevel=1 "-Dlog4j.configuration=file:$here/java/log4j.properties"
    -cp "$home/java/$1:$2/*" "${@:3}")
}

java_main() {
  local command
  java_command "$@"
  "${command[@]}"
}

run_client() {
  local version=${1##*-} word=run$RANDOM
  case $1 in
    old-consumers-0.8.2.2) java_main 0.8.2.2 "$home/jars/core-0.8.2.2" OldConsumers "$BOOTSTRAP" "$ZOOKEEPER" 0.8.2.2 $word ;;
    old-consumers-1.1.1) java_main core-1.1.1 "$home/jars/core-1.1.1" OldConsumers "$BOOTSTRAP" "$ZOOKEEPER" 1.1.1 $word ;;
    java-0.8.2.2) java_main "$version" "$home/jars/core-$version" SimpleScenario "$BOOTSTRAP" "$version" $word ;;
    java-*)
      java_main "$version" "$home/jars/clients-$version" DataScenario "$BOOTSTRAP" "$version" $word &&
        { [ "$version" = 0.10.2.2 ] ||
          java_main "$version" "$home/jars/clients-$version" AdminScenario "$BOOTSTRAP" "$version" $word; } ;;
    sarama-*) "$home/go/$1/scenario/client" "$BOOTSTRAP" "$version-$word" ;;
    tutorial-go) "$home/go/sarama-1.19.0/tutorial/client" ;;
    kcat) bash "$here/kcat/scenario.sh" "$word" ;;
    kafka-python-*) "$home/python/$1/bin/python" "$here/kafka-python/scenario.py" "$BOOTSTRAP" "$version-$word" ;;
    kafkajs-*) (cd "$home/kafkajs" && node scenario.js "$BOOTSTRAP" "$word") ;;
    tools-*) bash "$here/tools/scenario.sh" "$version" "$home/jars/core-$version" "$word" ;;
    handover) root=$root bash "$here/handover.sh" "$home/jars/core-2.8.2" "$home/jars/core-1.1.1" $word ;;
    takeover-2.8.2) FORMAT=2.8 bash "$here/takeover.sh" ;;
    takeover-1.1.1) FORMAT=1.1 bash "$here/takeover.sh" ;;
    groups-*) AGAINST=$against OFFSETS=$version bash "$here/groups.sh" ;;
    transactions-*) AGAINST=$against OFFSETS=$version bash "$here/transactions.sh" ;;
    consistency) AGAINST=$against bash "$here/consistency.sh" ;;
    mixed-* | rolling-* | upgrade-*) AGAINST=$against INTEROP_HOME=$home python3 "$here/mixed/main.py" "$1" ;;
    replicas-2.8.2) AGAINST=$against bash "$here/replicas.sh" ;;
    streams-* | connect-* | mirrormaker-*) AGAINST=$against VERSION=$version bash "$here/ecosystem/${1%-*}.sh" ;;
    replicas-1.1.1) AGAINST=$against FORMAT=1.1 bash "$here/replicas.sh" ;;
  esac
}
