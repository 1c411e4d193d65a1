//! What deploy/ and docs/ say of metrics is what the code has.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use postrider::{
    api::fields,
    telemetry::names::{self, MetricKind},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Words of a text that look like our metrics, without what Prometheus adds to a histogram's name.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let histogram = |name: &str| {
        names::ALL.iter().any(|metric| metric.name == name && matches!(metric.kind, MetricKind::Histogram(_)))
    };
    let known = |word: &str| {
        let part = ["_bucket", "_sum", "_count"].iter().find_map(|part| word.strip_suffix(part));
        part.filter(|name| histogram(name)).unwrap_or(word).to_owned()
    };
    words.filter(|word| word.starts_with("postrider_")).map(known).collect()
}

fn known() -> BTreeSet<String> {
    names::ALL.iter().map(|metric| metric.name.to_owned()).collect()
}

fn texts(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            texts(&path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            found.push((path.display().to_string(), text));
        }
    }
}

#[test]
fn dashboards_and_alerts_name_metrics_that_exist() {
    let mut files = Vec::new();
    texts(&Path::new(ROOT).join("deploy"), &mut files);
    let (known, mut named) = (known(), BTreeSet::new());
    for (path, text) in files {
        let here = metrics_in(&text);
        let unknown: Vec<_> = here.difference(&known).collect();
        assert!(unknown.is_empty(), "{path} names {unknown:?}");
        named.extend(here);
    }
    assert!(named.len() > 40, "the dashboard shows what there is to see: {}", named.len());
}

#[test]
fn a_pod_has_as_many_threads_as_it_requests_cores() {
    let manifest = fs::read_to_string(Path::new(ROOT).join("deploy/kubernetes/postrider.yaml")).expect("a manifest");
    let after = manifest.split("name: POSTRIDER_SERVICE_CORES").nth(1).expect("it says how many cores");
    assert!(after.lines().nth(1).is_some_and(|line| line.contains("resource: requests.cpu")), "{after:.200}");
}

#[test]
fn every_metric_in_the_code_is_described() {
    let mut files = Vec::new();
    texts(&Path::new(ROOT).join("src"), &mut files);
    for (path, text) in files.iter().filter(|(path, _)| !path.ends_with("telemetry/names.rs")) {
        let program = text.split("#[cfg(test)]").next().unwrap_or_default();
        for made in ["counter!(\"", "gauge!(\"", "histogram!(\""] {
            assert!(!program.contains(made), "{path} makes a metric that telemetry/names.rs does not have");
        }
    }
    for metric in names::ALL {
        let used = files
            .iter()
            .any(|(path, text)| !path.ends_with("telemetry/names.rs") && text.contains(constant(metric.name)));
        assert!(used, "{} is described and counted by nobody", metric.name);
    }
}

/// The constant that holds a name.
fn constant(name: &str) -> &'static str {
    static NAMES: &str = include_str!("../src/telemetry/names.rs");
    let line = NAMES.lines().find(|line| line.contains(&format!("= \"{name}\","))).expect("a metric has its line");
    line.split('=').next().expect("a name").trim()
}

#[test]
fn the_list_of_metrics_is_the_codes() {
    let path = Path::new(ROOT).join("docs/metrics.md");
    let mut list = String::from(HEAD);
    for metric in names::ALL {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram(_) => "histogram",
        };
        writeln!(list, "| `{}` | {kind} | {} |", metric.name, metric.help).expect("a string takes it");
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &list).expect("written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == list, "docs/metrics.md is old: UPDATE_DOCS=1 cargo test --test deploy");
}

#[test]
fn the_list_of_an_endpoints_settings_is_the_codes() {
    let path = Path::new(ROOT).join("docs/endpoint-settings.md");
    let page = fs::read_to_string(&path).expect("a page");
    let head = "|---|---|---|---|\n";
    let (before, after) = page.split_once(head).expect("a table");
    let rest = after.lines().skip_while(|line| line.starts_with('|')).collect::<Vec<_>>().join("\n");
    let made = format!("{before}{head}{}\n{}\n", fields::endpoint_settings_rows(), rest.trim());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &made).expect("written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == made, "docs/endpoint-settings.md is old: UPDATE_DOCS=1 cargo test --test deploy");
}

const HEAD: &str = "\
# Metrics

What `GET /metrics` shows, without a key, in Prometheus' text format. No label has as many values as there are endpoints or
tenants: for one endpoint ask `GET /v1/endpoints/{id}/stats`. Names end with their unit, those of counters with `_total`.
`deploy/grafana` and `deploy/alerts` are made of these. This page is made from the code by `tests/deploy.rs`.

| Name | Kind | Meaning |
|---|---|---|
";
