# The image of Postrider: one binary, and the libraries it links to.
#   docker build --tag postrider .
#   docker run --env POSTRIDER_KAFKA_BROKERS=... postrider serve

FROM rust:1.95-slim-bookworm AS build
# librdkafka is compiled along: it takes a C++ compiler and make besides the C compiler that is there.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ libssl-dev libzstd-dev make pkg-config zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src

# What Postrider depends on changes seldom, so it is compiled in a layer of its own, beside an empty program and empty crates.
COPY Cargo.toml Cargo.lock ./
COPY crates/core/Cargo.toml crates/core/
COPY crates/api/Cargo.toml crates/api/
RUN sed -i '/^\[\[\(bench\|test\)\]\]/,/^$/d' Cargo.toml \
 && mkdir src crates/core/src crates/api/src && touch src/lib.rs crates/core/src/lib.rs crates/api/src/lib.rs && echo 'fn main() {}' >src/main.rs \
 && cargo build --profile image --locked

COPY config config
COPY sql sql
COPY crates crates
COPY src src
# The checkout may be older than the empty program, and cargo goes by the time.
RUN touch src/lib.rs src/main.rs crates/*/src/lib.rs \
 && cargo build --profile image --locked \
 && strip target/image/postrider

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates libssl3 libzstd1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin postrider
COPY --from=build /src/target/image/postrider /usr/local/bin/postrider
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
# REST and the web page; with POSTRIDER_ADMIN_INTERNAL_BIND=0.0.0.0:8081 probes and /metrics are at 8081.
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s CMD ["postrider", "health"]
ENTRYPOINT ["postrider"]
CMD ["serve"]
