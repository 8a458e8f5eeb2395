# What a person does with this tree. `make help` lists it.
.PHONY: help test check

help: ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

check: ## format, lints, house rules
	cargo fmt --check
	cargo clippy --all-targets --quiet -- -D warnings
	cargo test --quiet --test tidy

test: check ## all tests
	cargo test
