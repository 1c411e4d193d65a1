# `make` lists the targets. What each of them needs is installed or named by dev/deps.
SHELL := bash
# where rustup puts cargo; a shell opened before does not know it yet
export PATH := $(PATH):$(HOME)/.cargo/bin

help: ## say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{gsub(/\$$\$$/, "$$"); printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: deps ## start Kafka, PostgreSQL, Postrider and a few sample customers, and watch events being delivered
	cargo build --release
	@dev/with-services .dev/run sh -c 'cargo run --release --quiet -- migrate && exec cargo run --release --quiet -- demo'

test: lint deploy-check browser-deps samples-deps ## everything CI checks: lint, deploy/, then all tests against a real Kafka and PostgreSQL, also in a browser
	KAFKA_JVM_OPTIONS=-XX:TieredStopAtLevel=1 dev/with-services --fresh .dev/test sh -c 'cargo test --workspace && tests/browser/run && docs/verify/test && dev/api-test && dev/dashboard-check'

browser-test: deps browser-deps ## the web page in a real browser, against a real Postrider; keeps screenshots
	KAFKA_JVM_OPTIONS=-XX:TieredStopAtLevel=1 dev/with-services --fresh .dev/test tests/browser/run

api-test: deps ## schemathesis against a running API, with a key of each role; API_TEST_SECONDS=600 for longer
	KAFKA_JVM_OPTIONS=-XX:TieredStopAtLevel=1 dev/with-services --fresh .dev/test dev/api-test

samples: deps samples-deps ## the receivers of docs/verify, in five languages, against requests of a running Postrider
	KAFKA_JVM_OPTIONS=-XX:TieredStopAtLevel=1 dev/with-services --fresh .dev/test docs/verify/test

dashboard-check: deps ## every query of Grafana's dashboard, and the alert rules, by a real Prometheus over a running Postrider
	KAFKA_JVM_OPTIONS=-XX:TieredStopAtLevel=1 dev/with-services --fresh .dev/test dev/dashboard-check

fuzz: deps ## a minute of every fuzzer: what producers, receivers and customers write; FUZZ_SECONDS=600 for longer
	@dev/fuzz

faults: deps ## break everything around Postrider and print what it cost; ROWS=1,12,52 for some of it
	cargo test --test faults --no-run
	KAFKA_JVM_OPTIONS=-XX:TieredStopAtLevel=1 dev/with-services --fresh .dev/test cargo test --quiet --test faults -- $(or $(ROWS),all)

soak: deps ## load in waves for half an hour while all around Postrider fails and comes back, and what grew; SOAK_MINUTES=480 for a night
	$(if $(SOAK_BINARY),,cargo build --release)
	cargo test --test soak --no-run
	SOAK_MINUTES=$(or $(SOAK_MINUTES),30) SOAK_BINARY=$(or $(SOAK_BINARY),target/release/postrider) dev/with-services --fresh .dev/soak cargo test --quiet --test soak

bench: deps ## benchmarks of the pure parts, then events through a whole Postrider; ONLY=catch_up,spike for some of it
	$(if $(ONLY),,cargo bench --bench pure)
	cargo bench --bench end_to_end --no-run
	dev/with-services --fresh .dev/bench cargo bench --bench end_to_end $(if $(ONLY),-- --only $(ONLY))

peers: deps ## the same topic through Postrider, Benthos and Flink, in turns; PEERS='--only drain,kill' for some of it
	$(if $(PEERS_BINARY),,cargo build --release)
	$(if $(END_TO_END_BINARY),,cargo bench --bench end_to_end --no-run)
	benches/peers/fetch .dev/peers
	dev/with-services --fresh .dev/peers/services benches/peers/run $(PEERS)

lint: deps ## formatting, clippy with every warning an error, each crate by itself, and the rules for dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo check --package postrider-core
	cargo check --package postrider-api
	@dev/deny
	cargo test --quiet --test tidy

check: ## the inner loop of a change in crates/: formatting, clippy and their tests; no services
	cargo fmt --all --check
	cargo clippy --package postrider-core --package postrider-api --all-targets -- -D warnings
	cargo test --quiet --package postrider-core --package postrider-api --lib

audit: ## dependencies: known weaknesses, licences, sources; installs cargo-deny once, into .dev
	@command -v .dev/tools/bin/cargo-deny >/dev/null || cargo install --quiet --locked cargo-deny --root .dev/tools
	@.dev/tools/bin/cargo-deny --locked check

deploy-check: ## the alert rules by promtool and their tests, the manifests by Kubernetes' schemas
	@dev/deploy-check

services: deps ## start a Kafka and a PostgreSQL that stay; `eval "$$(dev/services env)"` lets a shell use them
	@dev/services up

services-down: ## stop what `make services` started; its data stays
	@dev/services down

image: ## build the container image postrider:dev
	docker build --tag postrider:dev .

deps:
	@dev/deps

browser-deps:
	@dev/deps browser

# A language that cannot be had is passed over, and named.
samples-deps:
	-@dev/deps samples

.PHONY: help run deploy-check dashboard-check test api-test browser-test samples browser-deps samples-deps faults soak fuzz bench peers lint check audit services services-down image deps
