# What a person does with this tree. `make help` lists it.
.PHONY: help test check docs

help: ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

check: ## format, lints, house rules
	cargo fmt --check
	cargo clippy --all-targets --quiet -- -D warnings
	cargo test --quiet --test tidy

test: check ## all tests
	cargo test

docs: ## rewrite docs/configuration.md from the rows of src/config/def
	OTTLA_WRITE_DOCS=1 cargo test --quiet --lib config::docs
