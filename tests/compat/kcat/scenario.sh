#!/bin/bash
# kcat (librdkafka 2.0.2): produce with every codec and acks, read by offset and time, metadata.
# Argument: a word for topic names. BOOTSTRAP names the broker.
set -euo pipefail
word=$1
count=60
K="kcat -b $BOOTSTRAP -m 20"
fail() { echo "FAILED $*"; exit 1; }
equal() { [ "$2" = "$3" ] || fail "$1: expected $(printf %q "$2"), got $(printf %q "$3")"; }

lines() { for i in $(seq 0 $((count - 1))); do echo "k$i:v$i"; done; }
expected() { for i in $(seq "$1" $((count - 1))); do echo "$i k$i:v$i"; done; }
# read_from TOPIC OFFSET: every record from there to the end.
read_from() { $K -C -q -e -t "$1" -p 1 -o "$2" -f '%o %k:%s\n'; }

for acks in 0 1 -1; do
  for codec in none gzip snappy lz4 zstd; do
    topic=kcat-$word-$acks-$codec
    lines | $K -P -t "$topic" -p 1 -K: -z $codec -X acks=$acks -X linger.ms=5 -X batch.size=500
    # With acks=0 nothing says when the records are there.
    until=$((SECONDS + 20))
    until [ "$(read_from "$topic" beginning | wc -l)" = $count ] || [ $SECONDS -gt $until ]; do sleep 0.1; done
    equal "records of $topic" "$(expected 0)" "$(read_from "$topic" beginning)"
    equal "from offset 40" "$(expected 40)" "$(read_from "$topic" 40)"
    echo "ok acks $acks $codec"
  done
done

topic=kcat-$word-idempotent
lines | $K -P -t "$topic" -p 1 -K: -z lz4 -X enable.idempotence=true -X batch.size=500
equal "idempotent records" "$(expected 0)" "$(read_from "$topic" beginning)"
echo "ok idempotent"

lines | $K -P -t "kcat-$word-headers" -p 0 -K: -H one=1 -H two=zwei
equal "headers" "one=1,two=zwei" "$($K -C -q -e -t "kcat-$word-headers" -p 0 -o beginning -c 1 -f '%h')"
echo "ok headers"

equal "last three" "$(expected $((count - 3)))" "$(read_from "$topic" -3)"
equal "earliest offset" "kcat-$word-idempotent [1] offset 0" "$($K -Q -t "$topic:1:0")"
equal "latest offset" "$count" "$($K -Q -t "$topic:1:-1" | sed 's/.* //')"
now=$(($(date +%s) * 1000))
equal "by time" "$count" "$($K -C -q -e -t "$topic" -p 1 -o s@$((now - 600000)) -o e@$((now + 600000)) -f '%o\n' | wc -l)"
echo "ok offsets"

list=$($K -L -t "$topic")
[[ $list == *"topic \"$topic\" with 3 partitions"* ]] || fail "metadata: $list"
[[ $list == *"broker 0 at $BOOTSTRAP (controller)"* ]] || fail "brokers: $list"
echo "ok metadata"
