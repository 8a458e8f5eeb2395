# What a person does with this tree. `make help` lists it.
.PHONY: help run cluster stop status build test check soak lab interop bench docs install
SHELL := /bin/bash

PORT ?= 9092
ZK_PORT ?= 2181
PREFIX ?= /opt/kafka
SEEDS ?= 200
RUNS ?= 20
FAULTS ?=
TARGET = $(or $(CARGO_TARGET_DIR),target)
ROWS ?= 1,2,3,10,11,13
CLIENTS ?=

help: ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 10

run: build ## ZooKeeper and a broker on this machine, proved by a message (PORT=9092 ZK_PORT=2181)
	@PORT=$(PORT) ZK_PORT=$(ZK_PORT) scripts/local.sh start

cluster: build ## three ZooKeepers and three brokers, proved by a message with three replicas; starts what is missing
	@PORT=$(PORT) ZK_PORT=$(ZK_PORT) scripts/local.sh cluster

stop: ## ends what `make run` and `make cluster` started; the data stays in .run/
	@scripts/local.sh stop

status: ## what runs
	@scripts/local.sh status || true

build: ## the release binaries, target/release/kafka-server and kafka-tools
	cargo build --release

test: check ## everything that must pass; installs a JVM and ZooKeeper where it can
	@zk-scripts/classpath.sh >/dev/null
	cargo test

check: ## format, lints, house rules
	cargo fmt --check
	cargo clippy --all-targets --quiet -- -D warnings
	cargo test --quiet --test tidy

soak: build ## the kill -9 tests with many seeds (SEEDS=200); each prints its seed
	@zk-scripts/classpath.sh >/dev/null
	OTTLA_TEST_BROKER=$(abspath $(TARGET)/release/kafka-server) \
	OTTLA_SEED=$${OTTLA_SEED:-$$RANDOM$$RANDOM} SEEDS=$(SEEDS) cargo test --test cluster survive_kills -- --nocapture

lab: build ## three brokers, three ZooKeepers and every fault with fixed seeds (RUNS=20 FAULTS="full-disk zombie-leader")
	@zk-scripts/classpath.sh >/dev/null
	OTTLA_TEST_BROKER=$(abspath $(TARGET)/release/kafka-server) RUNS=$(RUNS) FAULTS="$(FAULTS)" \
	cargo test --test cluster lab:: -- --nocapture

interop: build ## unmodified clients of many ages (CLIENTS="kcat java-2.8.2"; tests/compat/README.md)
	tests/compat/run.sh $(CLIENTS)

bench: build ## compares with Apache Kafka 2.8.2 (ROWS=1,2,3,10,11,13; bench/README.md)
	bench/bench $(ROWS) --quick apache-2.8.2 ours

docs: ## docs/configuration.md from the table of keys, and the API documentation
	OTTLA_WRITE_DOCS=1 cargo test --quiet --lib config::docs
	cargo doc --no-deps --quiet
	@echo "target/doc/ottla/index.html"

install: build ## into PREFIX=/opt/kafka, laid out like Kafka's distribution; keeps existing configuration
	install -d "$(DESTDIR)$(PREFIX)"/{bin,config,libs,logs,zk-scripts,docs}
	install -m 755 bin/* "$(DESTDIR)$(PREFIX)/bin"
	install -m 755 $(TARGET)/release/kafka-server $(TARGET)/release/kafka-tools "$(DESTDIR)$(PREFIX)/libs"
	install -m 755 zk-scripts/*.sh "$(DESTDIR)$(PREFIX)/zk-scripts"
	install -m 644 docs/*.md README.md LICENSE "$(DESTDIR)$(PREFIX)/docs"
	@for file in config/*; do to="$(DESTDIR)$(PREFIX)/$$file"; \
	  if [ -e "$$to" ] && ! cmp -s "$$file" "$$to"; then install -m 644 "$$file" "$$to.new"; echo "kept $$to, the new one is $$to.new"; \
	  else install -m 644 "$$file" "$$to"; fi; done
	@echo "installed in $(DESTDIR)$(PREFIX)"
