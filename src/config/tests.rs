//! Guarantees to operators who configure Postrider.

use std::{collections::HashMap, io};

use super::*;
use crate::telemetry::otlp::OtlpOptions;

fn parse(file: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let files =
        HashMap::from([("/run/key", "sixteen-characters-and-more\n"), ("/run/properties", "sasl.password=a;b\n")]);
    Config::parse(
        DEFAULT,
        Some(("postrider.toml", file)),
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        |path| files.get(path).map(|text| (*text).to_owned()).ok_or(io::Error::from(io::ErrorKind::NotFound)),
    )
}

#[track_caller]
fn errors(file: &str, environment: &[(&str, &str)]) -> Vec<String> {
    parse(file, environment).expect_err("must be refused").0.iter().map(ToString::to_string).collect()
}

#[test]
fn the_defaults_are_a_valid_configuration() {
    let config = parse("", &[]).unwrap();
    assert_eq!(config.delivery.park_after(), std::time::Duration::from_secs(5));
    assert_eq!(config.kafka.first_start, FirstStartSetting::Latest);
}

#[test]
fn a_file_overrides_the_defaults_and_the_environment_overrides_the_file() {
    let file = "[kafka]\nbrokers = \"a:1\"\ngroup_id = \"file\"\n";
    let config = parse(file, &[("POSTRIDER_KAFKA_GROUP_ID", "variable"), ("HOME", "/root")]).unwrap();
    assert_eq!((config.kafka.brokers.as_str(), config.kafka.group_id.as_str()), ("a:1", "variable"));
}

#[test]
fn a_setting_is_found_by_its_old_name_with_a_warning_until_the_next_version() {
    let of_file = parse("[http]\nclient_rebuild_ms = 60000\n", &[]).unwrap();
    let of_variable = parse("", &[("POSTRIDER_HTTP_CLIENT_REBUILD_MS", "70000")]).unwrap();
    assert_eq!((of_file.http.connection_age_ms_max, of_variable.http.connection_age_ms_max), (60_000, 70_000));
    for (config, from) in [(&of_file, "postrider.toml"), (&of_variable, "POSTRIDER_HTTP_CLIENT_REBUILD_MS")] {
        let [warning] = config.warnings() else { panic!("{:?}", config.warnings()) };
        assert!(warning.contains(from) && warning.contains("http.connection_age_ms_max"), "{warning}");
    }
    let both = [("POSTRIDER_HTTP_CLIENT_REBUILD_MS", "1"), ("POSTRIDER_HTTP_CONNECTION_AGE_MS_MAX", "2")];
    assert!(errors("", &both)[0].contains("give one of them"));
    let wrong = errors("[http]\nclient_rebuild_ms = \"long\"\n", &[]);
    assert!(wrong[0].contains("http.connection_age_ms_max"), "{wrong:?}");
    assert!(parse("", &[]).unwrap().warnings().is_empty());
}

#[test]
fn a_variable_finds_sections_and_keys_with_underscores() {
    let config =
        parse("", &[("POSTRIDER_DEAD_LETTER_RETENTION_DAYS", "7"), ("POSTRIDER_HTTP_HTTPS_ONLY", "true")]).unwrap();
    assert_eq!(config.dead_letter.retention_days, 7);
    assert!(config.http.https_only);
}

#[test]
fn a_list_in_a_variable_is_separated_by_commas() {
    let config = parse("", &[("POSTRIDER_KAFKA_TOPICS", "orders, invoices")]).unwrap();
    assert_eq!(config.kafka.topics, ["orders", "invoices"]);
}

#[test]
fn a_secret_is_read_from_the_file_that_its_variable_names() {
    use secrecy::ExposeSecret;
    let config = parse("", &[("POSTRIDER_ADMIN_KEY_FILE", "/run/key")]).unwrap();
    assert_eq!(config.admin.key.expose_secret(), "sixteen-characters-and-more");
}

#[test]
fn librdkafka_properties_come_dotted_quoted_or_in_one_variable() {
    let file = "[kafka.properties]\nsecurity.protocol = \"ssl\"\n\"fetch.wait.max.ms\" = 20\n";
    let config = parse(file, &[("POSTRIDER_KAFKA_PROPERTIES", "sasl.mechanism=PLAIN; debug = cgrp")]).unwrap();
    let all: Vec<_> = config.kafka.properties.iter().collect();
    assert_eq!(
        all,
        [("debug", "cgrp"), ("fetch.wait.max.ms", "20"), ("sasl.mechanism", "PLAIN"), ("security.protocol", "ssl")]
    );

    let config = parse("", &[("POSTRIDER_KAFKA_PROPERTIES_FILE", "/run/properties")]).unwrap();
    assert_eq!(config.kafka.properties.get("sasl.password"), Some("a;b"));
}

#[test]
fn properties_that_the_promise_rests_on_are_refused() {
    for name in ["group.id", "enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset", "group.protocol"] {
        let found = errors(&format!("[kafka.properties]\n\"{name}\" = \"x\"\n"), &[]);
        assert!(
            found[0].starts_with(&format!("kafka.properties.{name} (from postrider.toml): is refused")),
            "{found:?}"
        );
    }
}

#[test]
fn every_mistake_is_named_at_once_with_key_value_origin_and_what_is_allowed() {
    let file = "[delivery]\npark_after_ms = 5\nidle_after_ms = \"long\"\n[admin]\nbnid = \"x\"\nbind = \"here\"\n";
    let found = errors(file, &[("POSTRIDER_LOG_FORMAT", "xml"), ("POSTRIDER_KAFKA_BROKER", "a:1")]);
    for expected in [
        "admin.bnid (from postrider.toml): is not a setting; did you mean admin.bind?",
        "admin.bind = \"here\" (from postrider.toml): must be ADDRESS:PORT, such as \"0.0.0.0:8080\"",
        "delivery.idle_after_ms = \"long\" (from postrider.toml): must be a whole number, not negative",
        "delivery.park_after_ms = 5 (from postrider.toml): must be between 100 and 60000",
        "log.format = \"xml\" (from POSTRIDER_LOG_FORMAT): must be \"text\" or \"json\"",
        "POSTRIDER_KAFKA_BROKER: is not a setting; did you mean POSTRIDER_KAFKA_BROKERS?",
    ] {
        assert!(found.iter().any(|error| error == expected), "missing {expected:?} in {found:#?}");
    }
    assert_eq!(found.len(), 6, "{found:#?}");
}

#[test]
fn values_must_fit_together() {
    let file = "[kafka]\nheartbeat_interval_ms = 3_000\ntopics = [\"a\"]\ntopics_pattern = \"b.*\"\n\
                [ingest]\nevent_bytes_max = 40_000_000\n";
    let keys: Vec<String> = parse(file, &[]).unwrap_err().0.into_iter().map(|error| error.key).collect();
    assert_eq!(keys, ["kafka.heartbeat_interval_ms", "ingest.event_bytes_max", "kafka.topics_pattern"],);
}

#[test]
fn a_secret_is_never_shown() {
    let secret = "hunter2hunter2hunter2";
    let file = format!(
        "[admin]\nkey = \"{secret}\"\n[postgres]\nurl = \"postgres://u:{secret}@h/d\"\n[kafka.properties]\n\"sasl.password\" = \"{secret}\"\n",
    );
    let config = parse(&file, &[]).unwrap();
    assert!(!config.to_toml().contains(secret), "{}", config.to_toml());
    assert!(!format!("{config:?}").contains(secret), "{config:?}");
    let wrong = [
        ("POSTRIDER_SECRETS_KEY", secret),
        ("POSTRIDER_ADMIN_KEY", "hunter2 hunter2 hunter2"),
        ("POSTRIDER_POSTGRES_URL", "hunter2://hunter2"),
    ];
    let found = errors("", &wrong);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(!found.concat().contains("hunter2"), "{found:#?}");
    let broken = errors(&format!("[admin]\nkey = \"{secret}\nport = 1\n"), &[]);
    assert!(broken[0].starts_with("postrider.toml: TOML parse error at line 2"), "{broken:#?}");
    assert!(!broken.concat().contains(secret), "{broken:#?}");
}

#[test]
fn what_is_printed_can_be_read_again() {
    let file = "[kafka]\ntopics = [\"a\", \"b\"]\n[kafka.properties]\n\"debug\" = \"cgrp\"\n\
                [event.topics.\"billing.invoices\"]\ntenant = \"json:/tenant/id\"\n";
    let first = parse(file, &[]).unwrap();
    // The one value that cannot be read back is the hidden one.
    let printed = first.to_toml().replace("\"(hidden)\"", "\"postgres://u@h/d\"");
    let second = parse(&printed, &[]).unwrap();
    assert_eq!(first.to_toml(), second.to_toml());
    assert_eq!(second.event.places_of("billing.invoices").tenant, "json:/tenant/id");
    assert_eq!(second.event.places_of("billing.invoices").department, "header:department");
    assert_eq!(second.event.places_of("other"), second.event.places);
}

#[test]
fn the_places_of_a_topic_fit_into_a_variable() {
    let topics = r#"{ "billing.invoices" = { tenant = "json:/tenant/id" } }"#;
    let config = parse("", &[("POSTRIDER_EVENT_TOPICS", topics)]).unwrap();
    assert_eq!(config.event.places_of("billing.invoices").tenant, "json:/tenant/id");
    assert!(errors("", &[("POSTRIDER_EVENT_TOPICS", "tenant=x")])[0].contains("must be {"));
}

#[test]
fn a_connection_string_may_have_either_of_the_usual_forms() {
    for good in ["postgres://u:p@h:5432/d?sslmode=verify-full", "postgresql://u@h:1,i:2/d", "host=h user=u dbname=d"] {
        assert!(parse("", &[("POSTRIDER_POSTGRES_URL", good)]).is_ok(), "{good}");
    }
    for bad in ["", "h:5432", "mysql://u@h/d", "postgres//u@h/d", "database"] {
        assert!(parse("", &[("POSTRIDER_POSTGRES_URL", bad)]).is_err(), "{bad}");
    }
}

#[test]
fn a_new_key_stands_before_the_old_one() {
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    assert!(parse("", &[("POSTRIDER_SECRETS_KEY", &format!("{key},{key}"))]).is_ok());
    assert!(parse("", &[("POSTRIDER_SECRETS_KEY", &format!("{key},c2hvcnQ="))]).is_err());
}

#[test]
fn rules_of_egress_that_do_not_parse_are_named() {
    let good = [("POSTRIDER_EGRESS_ALLOW", "127.0.0.0/8, ::1, *.corp.example"), ("POSTRIDER_EGRESS_PORTS_DENIED", "")];
    let config = parse("", &good).unwrap();
    assert_eq!(config.egress.allow, ["127.0.0.0/8", "::1", "*.corp.example"]);
    assert!(config.egress.ports_denied.is_empty());
    let found = errors("[egress]\nallow = [\"10.0.0.0/33\"]\ndeny = [\"a b\"]\nports_denied = [\"70000\"]\n", &[]);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(
        found[0].starts_with("egress.allow = \"10.0.0.0/33\" (from postrider.toml): must hold networks"),
        "{found:?}"
    );
}

#[test]
fn a_place_that_does_not_parse_is_named() {
    let file = "[event]\ntenant = \"heder:x\"\n[event.topics.\"a.b\"]\nid = \"json:no-slash\"\nowner = \"key\"\n";
    let found = errors(file, &[]);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found.iter().any(|error| error.starts_with("event.topics.\"a.b\".id = \"json:no-slash\"")), "{found:#?}");
    assert!(found.iter().any(|error| error.starts_with("event.tenant = \"heder:x\"")), "{found:#?}");
}

#[test]
fn a_variable_and_its_file_variable_exclude_each_other() {
    let found =
        errors("", &[("POSTRIDER_ADMIN_KEY", "sixteen-characters-and-more"), ("POSTRIDER_ADMIN_KEY_FILE", "/run/key")]);
    assert_eq!(
        found,
        ["admin.key: is given by both POSTRIDER_ADMIN_KEY and POSTRIDER_ADMIN_KEY_FILE; give one of them"]
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let found = errors("", &[("POSTRIDER_ADMIN_KEY_FILE", "/nowhere")]);
    assert!(found[0].starts_with("POSTRIDER_ADMIN_KEY_FILE = /nowhere: cannot be read"), "{found:?}");
}

#[test]
fn what_kubernetes_puts_beside_a_service_of_our_name_is_no_mistake() {
    let links = [
        ("POSTRIDER_SERVICE_HOST", "10.0.0.1"),
        ("POSTRIDER_SERVICE_PORT", "8080"),
        ("POSTRIDER_SERVICE_PORT_HTTP", "8080"),
        ("POSTRIDER_PORT", "tcp://10.0.0.1:8080"),
        ("POSTRIDER_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("POSTRIDER_ADMIN_SERVICE_HOST", "10.0.0.1"),
    ];
    assert!(parse("", &links).is_ok());
}

#[test]
fn serving_needs_topics_and_both_keys() {
    let missing: Vec<String> =
        parse("", &[]).unwrap().ready_to_serve().unwrap_err().0.into_iter().map(|error| error.key).collect();
    assert_eq!(missing, ["kafka.topics", "admin.key", "secrets.key"]);
    let given = [
        ("POSTRIDER_KAFKA_TOPICS_PATTERN", "orders.*"),
        ("POSTRIDER_ADMIN_KEY_FILE", "/run/key"),
        ("POSTRIDER_SECRETS_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
    ];
    assert!(parse("", &given).unwrap().ready_to_serve().is_ok());
}

#[test]
fn what_a_collector_gets_is_checked_and_its_headers_are_never_shown() {
    let file = "[otlp]\nendpoint = \"http://collector:4318/\"\nheaders = \"x-api-key=hidden-thing, other=a b\"\n";
    let config = parse(file, &[]).unwrap();
    let options = OtlpOptions::from(&config.otlp);
    assert_eq!(options.url_of("traces"), "http://collector:4318/v1/traces");
    let pairs: Vec<_> = options.header_pairs().collect();
    assert_eq!(pairs, [("x-api-key", "hidden-thing"), ("other", "a b")]);
    assert!(!config.to_toml().contains("hidden-thing") && !format!("{config:?}").contains("hidden-thing"));

    for endpoint in ["collector:4318", "ftp://collector", "http://user:word@collector", "http://collector/?a=b"] {
        let found = errors(&format!("[otlp]\nendpoint = \"{endpoint}\"\n"), &[]);
        assert!(found[0].starts_with("otlp.endpoint (from postrider.toml): must be http://"), "{found:?}");
        assert!(!found[0].contains("word"), "{found:?}");
    }
    for headers in ["x-api-key", "=value", "a b=c", "a=", "a=b\\r\\nx-admin: 1"] {
        let found = errors(&format!("[otlp]\nheaders = \"{headers}\"\n"), &[]);
        assert!(found[0].starts_with("otlp.headers (from postrider.toml): must be NAME=VALUE"), "{found:?}");
    }
    assert_eq!(errors("[otlp]\nqueue_records_max = 1\ninterval_ms = 1\n", &[]).len(), 2);
}

#[test]
fn a_token_in_a_url_or_in_a_java_property_is_never_shown() {
    let file = "[kafka.properties]\n\"sasl.jaas.config\" = \"Login required password=hush;\"\n";
    let environment = [
        ("POSTRIDER_OPERATOR_EVENTS_WEBHOOK_URL", "https://hooks.example/services/hush"),
        ("POSTRIDER_CANARY_URL", "https://canary.example/?key=hush"),
        ("POSTRIDER_OTLP_ENDPOINT", "http://collector:4318/hush"),
        ("POSTRIDER_CANARY_TOPIC", "canary"),
        ("POSTRIDER_KAFKA_TOPICS", "canary"),
    ];
    let shown = match parse(file, &environment) {
        Ok(config) => config.to_toml().to_owned(),
        Err(errors) => panic!("{errors}"),
    };
    assert!(!shown.contains("hush"), "{shown}");
    assert!(shown.contains("webhook_url = \"https://hooks.example/(hidden)\""), "{shown}");
    let bare = parse("", &[("POSTRIDER_OTLP_ENDPOINT", "http://collector:4318")]).unwrap();
    assert!(bare.to_toml().contains("endpoint = \"http://collector:4318\""), "what holds nothing is shown whole");
    let wrong = errors("", &[("POSTRIDER_OPERATOR_EVENTS_WEBHOOK_URL", "ftp://hooks.example/hush")]);
    assert!(!wrong.is_empty() && !wrong.concat().contains("hush"), "{wrong:?}");
}

#[test]
fn a_pattern_that_kafkas_client_would_misread_and_kafkas_own_topics_are_refused_by_name() {
    for pattern in [r"orders\\d+", "(?:a|b)", "(?i)orders", "orders-[0-9"] {
        let errors = errors(&format!("[kafka]\ntopics_pattern = \"{pattern}\"\n"), &[]);
        assert!(errors.len() == 1 && errors[0].starts_with("kafka.topics_pattern"), "{errors:?}");
    }
    assert!(parse("[kafka]\ntopics_pattern = 'orders\\.(eu|us)-[0-9]+'\n", &[]).is_ok());
    let errors = errors("[kafka]\ntopics = [\"orders\", \"__consumer_offsets\"]\n", &[]);
    assert!(errors.len() == 1 && errors[0].starts_with("kafka.topics"), "{errors:?}");
}

#[test]
fn where_an_offset_is_lost_is_one_of_three_words() {
    assert_eq!(parse("", &[]).unwrap().kafka.offset_lost, OffsetLostSetting::Earliest);
    assert_eq!(
        parse("", &[("POSTRIDER_KAFKA_OFFSET_LOST", "stop")]).unwrap().kafka.offset_lost,
        OffsetLostSetting::Stop
    );
    let errors = errors("", &[("POSTRIDER_KAFKA_OFFSET_LOST", "newest")]);
    assert!(errors.len() == 1 && errors[0].starts_with("kafka.offset_lost"), "{errors:?}");
}
