//! ○ Limits of `[otlp]`.

use secrecy::ExposeSecret as _;

use super::{Checks, Config};

impl Checks {
    pub(super) fn otlp(&mut self, c: &Config) {
        let otlp = &c.otlp;
        self.range("otlp.sample_every", otlp.sample_every, 0..=1_000_000_000);
        self.range("otlp.events_per_second_max", otlp.events_per_second_max, 0..=1_000_000);
        self.range("otlp.queue_records_max", otlp.queue_records_max, 64..=1_000_000);
        self.range("otlp.interval_ms", otlp.interval_ms, 50..=60_000);
        self.range("otlp.timeout_ms", otlp.timeout_ms, 100..=60_000);
        if otlp.service_name.is_empty() {
            self.wrong("otlp.service_name", Some(&""), "must not be empty");
        }
        if !otlp.endpoint.is_empty() && !is_base_url(&otlp.endpoint) {
            let problem = "must be http://HOST:PORT or https://…, without a user name, a query or a fragment; what it \
                           needs to know of us goes into otlp.headers";
            self.wrong("otlp.endpoint", None, problem);
        }
        let headers = otlp.headers.expose_secret();
        if !headers.is_empty() && !headers.split(',').all(is_header) {
            let problem = "must be NAME=VALUE, several separated by commas; names of letters, digits, '-' and '_', values of \
                           visible characters";
            self.wrong("otlp.headers", None, problem);
        }
    }
}

fn is_base_url(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else { return false };
    matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

fn is_header(pair: &str) -> bool {
    let Some((name, value)) = pair.split_once('=') else { return false };
    let (name, value) = (name.trim(), value.trim());
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    is_name && !value.is_empty() && value.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
}
