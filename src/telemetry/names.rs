//! ○ Every metric by name, kind and meaning. No label has as many values as there are endpoints or tenants.

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricKind {
    Counter,
    Gauge,
    /// With the upper bounds of its buckets.
    Histogram(&'static [f64]),
}

/// A metric and what it means to an operator.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: MetricKind,
    pub help: &'static str,
}

/// Seconds that a request or a statement takes.
const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0];
/// Seconds from an event's birth to its delivery, days of waiting included.
const AGES: &[f64] = &[
    0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 300.0,
    1800.0, 3600.0, 21_600.0, 86_400.0,
];
const ATTEMPTS: &[f64] = &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 50.0, 100.0];
const EVENTS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0];

/// One line a metric: its constant, name, kind and meaning; all of them together are `ALL`.
macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:expr, $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: &str = $name;)*
        /// Every metric there is.
        pub const ALL: &[Metric] = &[$(Metric { name: $name, kind: $kind, help: $help }),*];
    };
}

metrics! {
    KAFKA_CONSUMED = "postrider_kafka_consumed_total", MetricKind::Counter, "Records read from Kafka, by topic";
    KAFKA_CONSUMED_BYTES = "postrider_kafka_consumed_bytes_total", MetricKind::Counter, "Bytes of the records read, by topic";
    KAFKA_LAG = "postrider_kafka_lag", MetricKind::Gauge,
        "Records between what is settled of a partition and its end; those of open transactions count, those that retention took do not";
    PARTITION_STANDING = "postrider_partition_standing_seconds", MetricKind::Gauge,
        "How long a partition with something to do has not moved, by topic, partition and why; 0 when it moves again";
    SOURCE_LOST = "postrider_source_lost_offsets_total", MetricKind::Counter,
        "Offsets that Kafka's retention removed before they were read, by topic";
    OFFSETS_LOST = "postrider_kafka_offsets_lost_total", MetricKind::Counter,
        "Times that a log ended before the offset that was to be read next, by topic: see kafka.offset_lost";
    GONE_LOG_FAILURES = "postrider_kafka_gone_log_failures_total", MetricKind::Counter,
        "Times that events were lost for good: a fault of ours before they were routed, and their log is gone (deleted or cut), by topic";
    KAFKA_POLL_AGE = "postrider_kafka_poll_age_seconds", MetricKind::Gauge, "Time since the consumer was last polled";
    REBALANCES = "postrider_rebalances_total", MetricKind::Counter, "Partitions assigned, revoked or lost, by kind";
    PARTITIONS_ASSIGNED = "postrider_partitions_assigned", MetricKind::Gauge, "Partitions that this instance owns";
    PARTITIONS_PAUSED = "postrider_partitions_paused", MetricKind::Gauge, "Partitions not read because a limit is reached, by reason";
    OUTSTANDING_EVENTS = "postrider_outstanding_events", MetricKind::Gauge, "Events read and not yet settled";
    OUTSTANDING_BYTES = "postrider_outstanding_bytes", MetricKind::Gauge, "Their bytes; at most ingest.memory_bytes_max";
    READ_WINDOW = "postrider_read_window_events", MetricKind::Gauge,
        "Events that may wait at once for reasons of our own: what leaves a second, times ingest.wait_target_ms";
    READ_WINDOW_WAITING = "postrider_read_window_waiting_events", MetricKind::Gauge,
        "Events that wait for reasons of our own; at the window's size nothing more is read";
    LEAVING = "postrider_leaving_events_per_second", MetricKind::Gauge, "Events delivered, given up or stored a second";
    UNCOMMITTED_AGE = "postrider_uncommitted_age_seconds", MetricKind::Gauge,
        "Age of the oldest event whose offset cannot be committed yet; the main sign of health";
    COMMITS = "postrider_commits_total", MetricKind::Counter, "Commits of offsets, by result";
    COMMIT_SECONDS = "postrider_commit_seconds", MetricKind::Histogram(SECONDS), "From storing offsets to the broker's answer";
    KAFKA_ERRORS = "postrider_kafka_errors_total", MetricKind::Counter, "Errors that concern the whole client of Kafka";
    UNACCOUNTED = "postrider_unaccounted_events", MetricKind::Gauge,
        "Events read that are neither settled nor in memory, if that lasts for a minute; 0 without faults";
    STRAY = "postrider_stray_deliveries", MetricKind::Gauge,
        "Deliveries begun, minus those ended, minus those in memory, if that lasts for a minute; looked at while nothing moves; 0 without faults";
    RESTORE_SECONDS = "postrider_restore_seconds", MetricKind::Histogram(SECONDS),
        "From a partition's assignment to its first settled event, where events were waiting in it";
    EVENTS_ROUTED = "postrider_events_routed_total", MetricKind::Counter, "Events that matched at least one endpoint";
    EVENTS_UNMATCHED = "postrider_events_unmatched_total", MetricKind::Counter, "Events that nobody subscribes to";
    RECEIPTS_OPENED = "postrider_receipts_opened_total", MetricKind::Counter,
        "Deliveries begun, one for each event and endpoint; the sum of postrider_settled_total follows it";
    SETTLED = "postrider_settled_total", MetricKind::Counter, "Deliveries ended, by settlement";
    API_REFUSED = "postrider_api_refused_total", MetricKind::Counter,
        "Calls of the API refused unseen, by reason: wrong_key, wrong_keys (too many from one address), rate";
    API_CONNECTIONS_REFUSED = "postrider_api_connections_refused_total", MetricKind::Counter,
        "Connections refused because their client address has as many as it may (admin.address_connections_max), by listener";
    API_CERTIFICATE_RELOADS = "postrider_api_certificate_reloads_total", MetricKind::Counter,
        "Changes of the API's certificate files, by outcome: used, refused (the old certificate stays)";
    API_MEMORY_BYTES = "postrider_api_memory_bytes", MetricKind::Gauge,
        "Bodies of requests and answers that are held in memory; at most admin.memory_bytes_max";
    API_SHARES_REFUSED = "postrider_api_shares_refused_total", MetricKind::Counter,
        "Requests of the API refused for want of a share, by resource (statements, scans, work, memory, bulk, tests, long_polls, kafka_lookups) and reason: share (the key has its own), used_up";
    API_TIMEOUTS = "postrider_api_timeouts_total", MetricKind::Counter,
        "Connections of the API that took too long, by phase: handshake (TLS), head (of a request), body, write (of an answer)";
    RECEIPTS_ABANDONED = "postrider_receipts_abandoned_total", MetricKind::Counter,
        "Deliveries dropped by a fault of Postrider's own and taken up again; stays 0 without faults";
    DELIVERIES = "postrider_deliveries_total", MetricKind::Counter, "Events by the outcome of each attempt";
    REQUESTS = "postrider_requests_total", MetricKind::Counter, "Requests by their outcome";
    DELIVERY_SECONDS = "postrider_delivery_duration_seconds", MetricKind::Histogram(SECONDS), "From sending a request to its answer";
    END_TO_END_SECONDS = "postrider_end_to_end_seconds", MetricKind::Histogram(AGES),
        "From receiving an event to its 2xx answer, waiting included";
    EVENT_AGE_SECONDS = "postrider_event_age_seconds", MetricKind::Histogram(AGES),
        "From an event's own timestamp in Kafka to its 2xx answer: how old it was";
    BATCH_EVENTS = "postrider_batch_events", MetricKind::Histogram(EVENTS), "Events in a batch request";
    BATCHES = "postrider_batches_total", MetricKind::Counter, "Batches sent for the first time, by what filled them: events, bytes, time";
    ATTEMPTS_USED = "postrider_attempts_used", MetricKind::Histogram(ATTEMPTS),
        "Attempts until a request was delivered or an event given up, by settlement";
    IN_FLIGHT = "postrider_in_flight", MetricKind::Gauge, "Requests under way";
    IN_FLIGHT_LIMIT = "postrider_in_flight_limit", MetricKind::Gauge,
        "Requests that may be under way to the endpoints that have something to do, by their own limits: fixed ones, and those that float";
    RETRIES = "postrider_retries_total", MetricKind::Counter, "Failed attempts that will be tried again, by reason";
    RATE_LIMITED = "postrider_rate_limited_total", MetricKind::Counter, "Times an endpoint had to wait for its rate limit";
    BREAKER_ENDPOINTS = "postrider_breaker_endpoints", MetricKind::Gauge, "Endpoints whose breaker is open or half open, by state";
    BREAKER_TRIPS = "postrider_breaker_trips_total", MetricKind::Counter, "Breakers that opened after they were closed";
    BREAKER_PROBES = "postrider_breaker_probes_total", MetricKind::Counter,
        "Requests that asked whether an endpoint is back, by result: succeeded, failed, undecided";
    ENDPOINTS = "postrider_endpoints", MetricKind::Gauge, "Endpoints there are, by state";
    ENDPOINTS_STANDING = "postrider_endpoints_standing", MetricKind::Gauge,
        "Endpoints with something to do for which nothing ended within half a minute, by why";
    LAGGING_ENDPOINTS = "postrider_lagging_endpoints", MetricKind::Gauge, "Endpoints that cannot keep up with what comes for them";
    ENDPOINT_QUEUE_EVENTS = "postrider_endpoint_queue_events", MetricKind::Gauge, "Events that wait in memory for their endpoints";
    ENDPOINT_QUEUE_BYTES = "postrider_endpoint_queue_bytes", MetricKind::Gauge, "Their bytes";
    ENDPOINT_QUEUE_LARGEST = "postrider_endpoint_queue_largest_bytes", MetricKind::Gauge,
        "Bytes of the endpoint for which most waits; it lags at delivery.endpoint_bytes_max";
    ENDPOINT_ACTORS = "postrider_endpoint_actors", MetricKind::Gauge, "Endpoints that have something to do";
    ENDPOINT_RESTARTS = "postrider_endpoint_restarts_total", MetricKind::Counter, "Endpoint actors rebuilt after a panic";
    EGRESS_BLOCKED = "postrider_egress_blocked_total", MetricKind::Counter,
        "Requests not sent because their endpoint's address is not allowed";
    CONNECTIONS = "postrider_endpoint_connections", MetricKind::Gauge, "Connections to endpoints, those kept for later included";
    CONNECTIONS_HTTP2 = "postrider_endpoint_http2_connections", MetricKind::Gauge, "Those of them that speak HTTP/2";
    HTTP2_FALLBACKS = "postrider_endpoint_http2_fallbacks_total", MetricKind::Counter,
        "Times that an endpoint's HTTP/2 misbehaved, so that HTTP/1.1 is spoken with its host for a while";
    CONNECTIONS_CLOSED = "postrider_endpoint_connections_closed_for_room_total", MetricKind::Counter,
        "Connections that nobody used, closed because others needed their file handles";
    CONNECTIONS_MAX = "postrider_endpoint_connections_max", MetricKind::Gauge,
        "As many as there may be: what the limit of file handles leaves";
    PERMITS_WAITING = "postrider_requests_waiting_for_permit", MetricKind::Gauge,
        "Endpoints that have something to send and wait for their customer's share of http.in_flight_max; nobody is blamed for them";
    PERMIT_WAIT_SECONDS = "postrider_request_permit_wait_seconds", MetricKind::Histogram(SECONDS),
        "How long endpoints waited that had to wait for a permit";
    LOOKUPS_WAITING = "postrider_name_lookups_waiting", MetricKind::Gauge,
        "Name look-ups that wait for their customer's share of http.dns_lookups_max";
    NAME_LOOKUPS = "postrider_name_lookups_total", MetricKind::Counter,
        "Name look-ups by result: found, failed, or stale (it failed, and old addresses are used)";
    OAUTH_TOKENS = "postrider_oauth_tokens_total", MetricKind::Counter, "Access tokens asked for, by result";
    LOCAL_FAULTS = "postrider_local_faults_total", MetricKind::Counter, "Attempts that failed by a fault on our side";
    LOCAL_OUTAGE = "postrider_local_outage", MetricKind::Gauge,
        "1 while nobody can be reached: partitions pause, and no endpoint is blamed";
    OWN_TROUBLE = "postrider_own_trouble", MetricKind::Gauge, "The former name of postrider_local_outage, until the next version";
    BACKLOG_EVENTS = "postrider_backlog_events", MetricKind::Gauge, "Events stored, still to be delivered, of this instance's partitions";
    BACKLOG_BYTES = "postrider_backlog_bytes", MetricKind::Gauge, "Their bytes";
    BACKLOG_AGE = "postrider_backlog_oldest_age_seconds", MetricKind::Gauge, "Since the oldest of them was first received";
    BACKLOG_PARKED = "postrider_backlog_parked_total", MetricKind::Counter, "Events stored in the backlog";
    BACKLOG_LEFT = "postrider_backlog_left_total", MetricKind::Counter, "Events that left the backlog, by settlement";
    BACKLOG_QUEUE = "postrider_backlog_queue_events", MetricKind::Gauge, "Events not yet stored in the backlog";
    BACKLOG_WRITE_SECONDS = "postrider_backlog_write_seconds", MetricKind::Histogram(SECONDS), "Storing a group of events in the backlog";
    BACKLOG_WRITE_FAILURES = "postrider_backlog_write_failures_total", MetricKind::Counter,
        "Statements of the backlog that failed and are tried again";
    BACKLOG_READ_SECONDS = "postrider_backlog_read_seconds", MetricKind::Histogram(SECONDS), "Reading a page of the backlog";
    BACKLOG_PACE = "postrider_backlog_pace_events_per_second", MetricKind::Gauge, "Events of backlogs that may be sent a second now: what live events leave";
    LIVE_LATE_RATIO = "postrider_live_events_late_ratio", MetricKind::Gauge,
        "Part of the live events lately that waited for more than 2 ms for a turn on their core; the backlog gives way to them";
    BACKLOG_READ_FAILURES = "postrider_backlog_read_failures_total", MetricKind::Counter,
        "Turns of reading the backlog that failed and are tried again";
    DEAD_LETTERS_STANDING = "postrider_dead_letters", MetricKind::Gauge,
        "Dead letters there are, of all instances; beyond 100,000 as Postgres' statistics have it";
    DEAD_LETTERS = "postrider_dead_letters_total", MetricKind::Counter, "Events given up, by reason";
    DEAD_LETTER_QUEUE_BYTES = "postrider_dead_letter_queue_bytes", MetricKind::Gauge, "Dead letters not yet stored";
    DEAD_LETTER_CUSTOMERS_BEYOND = "postrider_dead_letter_customers_beyond_share", MetricKind::Gauge,
        "Customers whose dead letters wait beyond their share of dead_letter.queue_bytes_max: their endpoints send nothing; the operator's unreadable records count as one";
    DEAD_LETTER_SHARES_REFUSED = "postrider_dead_letter_shares_refused_total", MetricKind::Counter,
        "Times a customer came to the end of its share of dead_letter.queue_bytes_max, by reason: share (it has its own), used_up";
    DEAD_LETTER_WRITE_SECONDS = "postrider_dead_letter_write_seconds", MetricKind::Histogram(SECONDS), "Storing a group of dead letters";
    DEAD_LETTER_WRITE_FAILURES = "postrider_dead_letter_write_failures_total", MetricKind::Counter,
        "Statements that failed and are tried again";
    REDRIVEN = "postrider_redriven_total", MetricKind::Counter, "Dead letters that a redrive delivered";
    ATTEMPTS_RECORDED = "postrider_attempts_recorded_total", MetricKind::Counter, "Attempts written down for people to look at";
    ATTEMPTS_DROPPED = "postrider_attempts_dropped_total", MetricKind::Counter,
        "Attempts that were to be written down and found no room, or no Postgres";
    COUNTS_WRITTEN = "postrider_endpoint_minutes_written_total", MetricKind::Counter,
        "Minutes of endpoints whose counts were written down";
    COUNTS_LOST = "postrider_endpoint_minutes_lost_total", MetricKind::Counter,
        "Minutes of endpoints whose counts were not written: Postgres was away for too long";
    REPLAYS_RUNNING = "postrider_replays_running", MetricKind::Gauge, "Replays that have a part at work on this instance";
    REPLAYED = "postrider_replayed_total", MetricKind::Counter, "Events sent on their way again by a replay";
    REPLAY_GAP = "postrider_replay_gap_offsets_total", MetricKind::Counter,
        "Offsets that were to be replayed and that Kafka no longer has";
    SETTINGS_VERSION = "postrider_settings_version", MetricKind::Gauge, "Version of the settings that this instance works by";
    SETTINGS_AGE = "postrider_settings_age_seconds", MetricKind::Gauge, "Time since the settings were last known to be current";
    INDEX_SECONDS = "postrider_index_change_seconds", MetricKind::Histogram(SECONDS),
        "Bringing a page of changed subscriptions into the routers' index";
    SUBSCRIPTIONS = "postrider_subscriptions", MetricKind::Gauge, "Subscriptions in the index";
    POSTGRES_WAIT_SECONDS = "postrider_postgres_wait_seconds", MetricKind::Histogram(SECONDS), "Waiting for a free connection to Postgres";
    POSTGRES_ERRORS = "postrider_postgres_errors_total", MetricKind::Counter, "Conversations with Postgres that failed, by kind";
    POSTGRES_DISCARDED = "postrider_postgres_connections_discarded_total", MetricKind::Counter,
        "Connections thrown away after a timeout or an error, or because they answered nothing when they were to be used again";
    TABLE_BYTES = "postrider_postgres_table_bytes", MetricKind::Gauge,
        "Size of a table with its partitions and indexes, by table; the same at every instance";
    TABLE_DEAD_ROWS = "postrider_postgres_table_dead_rows", MetricKind::Gauge, "Rows that wait for vacuum, by table, as Postgres estimates";
    OLDEST_TRANSACTION = "postrider_postgres_oldest_transaction_age", MetricKind::Gauge,
        "Transactions begun since the oldest one that keeps vacuum from taking dead rows, anybody's";
    SETTINGS_UNREADABLE = "postrider_settings_unreadable_total", MetricKind::Counter,
        "Stored rows that could not be read and count as absent, by what they are";
    SECRET_FAILURES = "postrider_secret_decrypt_failures_total", MetricKind::Counter, "Stored secrets that did not open";
    SECRETS_OLD_KEY = "postrider_secrets_old_key_endpoints", MetricKind::Gauge,
        "Endpoints whose secrets are not sealed with the first key of secrets.key, counted every minute";
    CANARY_SECONDS = "postrider_canary_seconds", MetricKind::Histogram(AGES), "From producing a synthetic event to its arrival";
    CANARY_AGE = "postrider_canary_age_seconds", MetricKind::Gauge, "Since the newest synthetic event of this instance arrived";
    CANARY_LATE = "postrider_canary_late", MetricKind::Gauge, "1 while a synthetic event of this instance is late";
    OPERATOR_EVENTS = "postrider_operator_events_total", MetricKind::Counter, "Events that operators are told of, by type";
    OPERATOR_EVENTS_DROPPED = "postrider_operator_events_dropped_total", MetricKind::Counter,
        "Events that operators should have been told of and that found no room";
    LOG_LINES_DROPPED = "postrider_log_lines_dropped_total", MetricKind::Counter, "Log lines dropped because stderr did not keep up";
    TRACES = "postrider_traces_total", MetricKind::Counter, "Events traced, where otlp.traces says so";
    TRACES_PASSED_OVER = "postrider_traces_passed_over_total", MetricKind::Counter,
        "Events that were to be traced, beyond otlp.events_per_second_max";
    OTLP_EXPORTED = "postrider_otlp_exported_total", MetricKind::Counter, "Spans and log lines that the collector took, by signal";
    OTLP_DROPPED = "postrider_otlp_dropped_total", MetricKind::Counter,
        "Spans and log lines dropped, by signal and reason: queue_full, not_taken (by the collector)";
    INSTANCES = "postrider_instances", MetricKind::Gauge, "Live instances, as this one sees them";
    MEMORY_BYTES = "postrider_memory_bytes", MetricKind::Gauge, "Bytes of events in memory, by the component that bounds them";
    MEMORY_LIMIT = "postrider_memory_limit_bytes", MetricKind::Gauge, "Limit of these bytes, by component";
    CORE_LAG = "postrider_core_lag_seconds", MetricKind::Gauge, "How late a core was within the last second, by core";
    OPEN_FILES_LIMIT = "postrider_open_files_limit", MetricKind::Gauge, "File handles that this process may have";
    OPEN_FILES = "postrider_open_files", MetricKind::Gauge, "File handles in use, connections included";
    RESIDENT_BYTES = "postrider_resident_bytes", MetricKind::Gauge, "Memory in use, as the operating system counts it";
    START_TIME = "postrider_start_time_seconds", MetricKind::Gauge, "When this process started, in seconds since 1970";
}

/// Tells the installed recorder what each metric means.
pub(super) fn describe() {
    for metric in ALL {
        match metric.kind {
            MetricKind::Counter => metrics::describe_counter!(metric.name, metric.help),
            MetricKind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            MetricKind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_prometheus_rules() {
        for metric in ALL {
            assert!(metric.name.starts_with("postrider_"), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == MetricKind::Counter, "{}", metric.name);
            if let MetricKind::Histogram(buckets) = metric.kind {
                assert!(buckets.is_sorted(), "{}", metric.name);
            }
        }
    }

    #[test]
    fn no_name_is_used_twice() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
