//! ○ Limits of `[operator_events]`.

use secrecy::ExposeSecret;

use super::{Checks, Config, is_topic_name};
use crate::model::{signature::SigningKey, url::EndpointUrl};

impl Checks {
    pub(super) fn operator_events(&mut self, c: &Config) {
        self.range("canary.interval_ms", c.canary.interval_ms, 500..=86_400_000);
        self.range("canary.late_after_ms", c.canary.late_after_ms, 100..=86_400_000);
        let told = &c.operator_events;
        self.range("operator_events.failing_after_ms", told.failing_after_ms, 1_000..=604_800_000);
        self.range("operator_events.repeat_after_ms", told.repeat_after_ms, 1_000..=604_800_000);
        let letters_max = told.dead_letters_per_minute_events_max;
        self.range("operator_events.dead_letters_per_minute_events_max", letters_max, 0..=1_000_000_000);
        let is_web = |url: &str| url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !told.webhook_url.is_empty() && !is_web(&told.webhook_url) {
            let problem = "must be https://… or http://…";
            self.wrong("operator_events.webhook_url", Some(&told.webhook_url), problem);
        }
        let secret = told.webhook_secret.expose_secret();
        if !secret.is_empty() && SigningKey::parse(secret).is_err() {
            let problem = "must be whsec_ followed by 24 to 64 bytes in base64";
            self.wrong("operator_events.webhook_secret", None, problem);
        }
        if !told.topic.is_empty() && !is_topic_name(&told.topic) {
            self.wrong("operator_events.topic", Some(&told.topic), "must be a topic's name");
        }
        let url = &c.canary.url;
        if let Some(Err(problem)) = (!url.is_empty()).then(|| EndpointUrl::parse(url)) {
            self.wrong("canary.url", Some(url), &problem.to_string());
        }
        if !url.is_empty() && c.canary.topic.is_empty() {
            self.wrong("canary.url", Some(url), "needs canary.topic: without one nothing is sent");
        }
        let canary = &c.canary.topic;
        if !canary.is_empty() && !is_topic_name(canary) {
            self.wrong("canary.topic", Some(canary), "must be a topic's name");
        }
        if !canary.is_empty() && !c.kafka.topics.is_empty() && !c.kafka.topics.contains(canary) {
            self.wrong("canary.topic", Some(canary), "must be one of kafka.topics: it goes the way of all events");
        }
        if c.kafka.topics.contains(&told.topic) {
            let problem = "must not be one of kafka.topics: what is told would be delivered";
            self.wrong("operator_events.topic", Some(&told.topic), problem);
        }
    }
}
