//! A test app before its first start.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use super::*;

impl Preparation {
    pub fn partitions(mut self, partitions: i32) -> Self {
        self.partitions = partitions;
        self
    }

    /// Events get keys: so many different ones.
    pub fn lanes(mut self, lanes: u32) -> Self {
        self.lanes = lanes;
        self
    }

    /// Events are of so many tenants.
    pub fn tenants(mut self, tenants: u32) -> Self {
        self.tenants = tenants;
        self
    }

    /// At most so many file handles for an instance, connections included.
    pub fn handles_max(self, handles: u32) -> Self {
        self.env(HANDLES_MAX, &handles.to_string())
    }

    /// A setting such as `DELIVERY_PARK_AFTER_MS`.
    pub fn set(mut self, setting: &str, value: impl ToString) -> Self {
        self.settings.insert(format!("POSTRIDER_{setting}"), value.to_string());
        self
    }

    /// A variable of the environment that is no setting.
    pub fn env(mut self, variable: &str, value: &str) -> Self {
        self.settings.insert(variable.to_owned(), value.to_owned());
        self
    }

    #[track_caller]
    pub fn start(self) -> TestApp {
        let mut app = self.prepare();
        app.restart();
        app
    }

    /// Everything but the instance.
    pub fn prepare(self) -> TestApp {
        let unique = unique();
        let name = self.name;
        let topic = format!("it.{name}.{unique}");
        let produced = Arc::new(Produced::default());
        let kafka = Kafka::new(&format!("it-{name}-{unique}"), Arc::clone(&produced));
        if self.partitions > 0 {
            kafka.create_topic(&topic, self.partitions);
        }
        let postgres = Postgres::create(&format!("it_{name}_{unique}"));
        let mut settings = BTreeMap::new();
        let defaults = [
            ("KAFKA_BROKERS", kafka::brokers()),
            ("KAFKA_GROUP_ID", kafka.group.clone()),
            ("KAFKA_TOPICS", topic.clone()),
            ("KAFKA_FIRST_START", "earliest".to_owned()),
            ("POSTGRES_URL", postgres.url()),
            ("ADMIN_KEY", "the-key-of-the-stories".to_owned()),
            ("EGRESS_ALLOW", "127.0.0.0/8,::1".to_owned()), // where the stories' receivers are
            ("SECRETS_KEY", "c3Rvcmllcywgc3RvcmllcywgYW5kIHN0b3JpZXMuLi4=".to_owned()),
        ];
        for (setting, value) in defaults {
            settings.insert(format!("POSTRIDER_{setting}"), value);
        }
        settings.extend(self.settings);
        TestApp {
            instance: None,
            name: name.to_owned(),
            topic,
            produced,
            postgres: Arc::new(postgres),
            kafka: Arc::new(kafka),
            settings,
            lanes: self.lanes,
            tenants: self.tenants,
            customer: std::sync::OnceLock::new(),
        }
    }
}

/// Names of one run never meet those of another, nor those of a story beside it.
fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    format!("{:x}{:x}{:x}", std::process::id(), now.as_secs() & 0xff_ffff, NEXT.fetch_add(1, Ordering::Relaxed))
}
