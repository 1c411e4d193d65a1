//! ○ Default, file and environment, laid over each other into one tree of values.
//!
//! **Invariant:** the tree always has the shape and the types of `config/default.toml`; what does not fit becomes an
//! error and leaves the value below it in place, so that the rest is still checked.

use std::{collections::BTreeMap, io};

use figment::{
    Profile, Provider,
    providers::{Format, Toml},
    value::{Dict, Value},
};

use super::{
    check::{may_be_quoted, refused_property},
    error::{ConfigError, nearest},
    show::plain,
};

/// The sections whose keys are the operator's own.
const PROPERTIES: &str = "kafka.properties";
const TOPICS: &str = "event.topics";
/// Variables of the command line's own options, which are no settings.
const OF_COMMANDS: [&str; 6] = ["CONFIG", "API_CONFIG", "API_KEY", "API_URL", "DEMO_ADMIN_KEY", "LISTEN_SECRET"];
/// Settings that have another name by now. The old one is taken until the next version, with a warning.
const RENAMED: [(&str, &str); 2] = [
    ("http.client_rebuild_ms", "http.connection_age_ms_max"),
    ("delivery.own_trouble_customers_min", "delivery.local_outage_customers_min"),
];
const TOPIC_KEYS: [&str; 5] = ["tenant", "department", "type", "id", "time"];

pub(super) struct Layers {
    pub tree: Dict,
    /// Sources of the keys that do not have their default.
    pub from: BTreeMap<String, String>,
    pub errors: Vec<ConfigError>,
    /// Settings that are understood, and should be changed.
    pub warnings: Vec<String>,
    keys: Vec<String>,
}

impl Layers {
    pub(super) fn of_default(text: &str) -> Self {
        let tree = parse_toml(text).expect("config/default.toml is TOML; a test reads it");
        let mut keys = Vec::new();
        collect_keys(&tree, "", &mut keys);
        Layers { tree, from: BTreeMap::new(), errors: Vec::new(), warnings: Vec::new(), keys }
    }

    pub(super) fn lay_file(&mut self, name: &str, text: &str) {
        match parse_toml(text) {
            Ok(layer) => self.lay_dict(layer, "", name),
            Err(problem) => self.error(name, None, None, problem),
        }
    }

    pub(super) fn lay_environment(
        &mut self,
        environment: impl IntoIterator<Item = (String, String)>,
        read_file: impl Fn(&str) -> io::Result<String>,
    ) {
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        // Sorted, so that messages come in the same order every time.
        let variables: BTreeMap<String, String> = environment.into_iter().collect();
        for (variable, text) in variables {
            let Some(name) = variable.strip_prefix("POSTRIDER_") else {
                continue;
            };
            if OF_COMMANDS.contains(&name) {
                continue;
            }
            let (name, is_file) = match name.strip_suffix("_FILE") {
                Some(name) if self.key_of(name).is_some() => (name, true),
                _ => (name, false),
            };
            let Some(key) = self.key_of(name).or_else(|| self.renamed(&name.to_lowercase(), &variable)) else {
                self.unknown_variable(&variable, name);
                continue;
            };
            if let Some(other) = seen.insert(key.clone(), variable.clone()) {
                self.error(&key, None, None, format!("is given by both {other} and {variable}; give one of them"));
                continue;
            }
            if !is_file {
                self.lay_text(&key, &text, &variable);
                continue;
            }
            match read_file(&text) {
                // One property a line, so that a password may have semicolons.
                Ok(content) if key == PROPERTIES => self.lay_property_list(content.lines(), &variable),
                Ok(content) => self.lay_text(&key, content.trim_end_matches(['\n', '\r']), &variable),
                Err(error) => self.error(&variable, Some(text), None, format!("cannot be read: {error}")),
            }
        }
    }

    /// The known key of a variable's name without its prefix.
    fn key_of(&self, name: &str) -> Option<String> {
        let wanted = name.to_lowercase();
        let known = self.keys.iter().map(String::as_str).chain([PROPERTIES, TOPICS]);
        known.into_iter().find(|key| key.replace('.', "_") == wanted).map(str::to_owned)
    }

    /// The new name of a setting that is called by its old one: `.` or `_` between section and key.
    fn renamed(&mut self, old: &str, from: &str) -> Option<String> {
        let is_meant = |known: &str| known == old || known.replace('.', "_") == old;
        let (old, new) = RENAMED.into_iter().find(|(known, _)| is_meant(known))?;
        self.warnings
            .push(format!("{old} ({from}) is called {new} now; the old name will be refused in the next version"));
        Some(new.to_owned())
    }

    fn unknown_variable(&mut self, variable: &str, name: &str) {
        if is_service_link(name) {
            return;
        }
        let known: Vec<String> =
            self.keys.iter().map(|key| format!("POSTRIDER_{}", key.replace('.', "_").to_uppercase())).collect();
        let wanted = format!("POSTRIDER_{}", name.to_uppercase());
        let problem = match nearest(&wanted, known.iter().map(String::as_str)) {
            Some(near) => format!("is not a setting; did you mean {near}?"),
            None => "is not a setting; `postrider check` prints them all".to_owned(),
        };
        self.error(variable, None, None, problem);
    }

    /// A value as the environment has it: a text that the key's type gives a meaning.
    fn lay_text(&mut self, key: &str, text: &str, from: &str) {
        if key == PROPERTIES {
            // librdkafka's names have dots, which variables cannot have; so all come in one variable.
            return self.lay_property_list(text.split(';'), from);
        }
        if key == TOPICS {
            // TOML's inline form, the one that fits into a variable.
            return match parse_toml(&format!("topics = {text}")).map(|mut table| table.remove("topics")) {
                Ok(Some(Value::Dict(_, topics))) => self.lay_topics(topics, from),
                _ => self.error(TOPICS, None, Some(from), "must be { \"TOPIC\" = { tenant = \"PLACE\", … }, … }"),
            };
        }
        let current = find(&mut self.tree, key).expect("a known key stands in the tree");
        match parse_text(current, text) {
            Ok(value) => {
                *current = value;
                self.from.insert(key.to_owned(), from.to_owned());
            }
            Err(allowed) => {
                let value = may_be_quoted(key).then(|| plain(&Value::from(text)));
                self.error(key, value, Some(from), allowed);
            }
        }
    }

    /// `security.protocol=SASL_SSL`, `sasl.mechanism=PLAIN`, …
    fn lay_property_list<'a>(&mut self, pairs: impl Iterator<Item = &'a str>, from: &str) {
        for pair in pairs.map(str::trim).filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some((name, value)) => self.lay_property(name.trim(), Value::from(value.trim()), from),
                None => self.error(
                    PROPERTIES,
                    None,
                    Some(from),
                    "must be name=value pairs, separated by semicolons (in a file: one a line)",
                ),
            }
        }
    }

    fn lay_dict(&mut self, layer: Dict, path: &str, from: &str) {
        for (name, value) in layer {
            let key = if path.is_empty() { name } else { format!("{path}.{name}") };
            match (key.as_str(), value) {
                (PROPERTIES, Value::Dict(_, properties)) => self.lay_properties(properties, "", from),
                (TOPICS, Value::Dict(_, topics)) => self.lay_topics(topics, from),
                (_, value) => self.lay_value(&key, value, from),
            }
        }
    }

    fn lay_value(&mut self, key: &str, value: Value, from: &str) {
        let Some(current) = find(&mut self.tree, key) else {
            if let Some(new) = self.renamed(key, from) {
                return self.lay_value(&new, value, from);
            }
            let problem = match nearest(key, self.keys.iter().map(String::as_str)) {
                Some(near) => format!("is not a setting; did you mean {near}?"),
                None => "is not a setting; `postrider check` prints them all".to_owned(),
            };
            return self.error(key, None, Some(from), problem);
        };
        match (&*current, value) {
            (Value::Dict(..), Value::Dict(_, layer)) => self.lay_dict(layer, key, from),
            (Value::Dict(..), _) => self.error(key, None, Some(from), "is a section, not a value"),
            (kind, value) if same_kind(kind, &value) => {
                *current = value;
                self.from.insert(key.to_owned(), from.to_owned());
            }
            (kind, value) => {
                let shown = may_be_quoted(key).then(|| plain(&value));
                let allowed = allowed_kind(kind);
                self.error(key, shown, Some(from), allowed);
            }
        }
    }

    /// Dotted names may be written as one quoted key or as TOML's own dotted key; both mean the same.
    fn lay_properties(&mut self, properties: Dict, path: &str, from: &str) {
        for (name, value) in properties {
            let name = if path.is_empty() { name } else { format!("{path}.{name}") };
            match value {
                Value::Dict(_, nested) => self.lay_properties(nested, &name, from),
                value => self.lay_property(&name, value, from),
            }
        }
    }

    fn lay_property(&mut self, name: &str, value: Value, from: &str) {
        let key = format!("{PROPERTIES}.{name}");
        let text = match &value {
            Value::String(_, text) => text.clone(),
            Value::Bool(..) | Value::Num(..) => plain(&value),
            _ => {
                return self.error(&key, None, Some(from), "must be a text, a number or true or false");
            }
        };
        if let Some(reason) = refused_property(name) {
            return self.error(&key, None, Some(from), reason);
        }
        let Some(Value::Dict(_, all)) = find(&mut self.tree, PROPERTIES) else {
            return;
        };
        all.insert(name.to_owned(), Value::from(text));
        self.from.insert(key, from.to_owned());
    }

    fn lay_topics(&mut self, topics: Dict, from: &str) {
        for (topic, places) in topics {
            let key = format!("{TOPICS}.\"{topic}\"");
            let Value::Dict(_, places) = places else {
                let problem = "is a section: [event.topics.\"NAME\"], with the name quoted when it has dots";
                self.error(&key, None, Some(from), problem);
                continue;
            };
            for (name, value) in places {
                let key = format!("{key}.{name}");
                if !TOPIC_KEYS.contains(&name.as_str()) {
                    let problem =
                        format!("must be one of {}; quote a topic whose name has dots", TOPIC_KEYS.join(", "));
                    self.error(&key, None, Some(from), problem);
                } else if !matches!(value, Value::String(..)) {
                    self.error(&key, Some(plain(&value)), Some(from), "must be a text");
                } else if let Some(Value::Dict(_, all)) = find(&mut self.tree, TOPICS) {
                    let own = all.entry(topic.clone()).or_insert_with(|| Value::from(Dict::new()));
                    if let Value::Dict(_, own) = own {
                        own.insert(name, value);
                    }
                    self.from.insert(key, from.to_owned());
                }
            }
        }
    }

    pub(super) fn error(&mut self, key: &str, value: Option<String>, from: Option<&str>, problem: impl Into<String>) {
        let from = from.map(str::to_owned);
        self.errors.push(ConfigError { key: key.to_owned(), value, from, problem: problem.into() });
    }
}

/// The value of a dotted key; sections included.
pub(super) fn find<'a>(tree: &'a mut Dict, key: &str) -> Option<&'a mut Value> {
    match key.split_once('.') {
        None => tree.get_mut(key),
        Some((section, rest)) => match tree.get_mut(section)? {
            Value::Dict(_, inner) => find(inner, rest),
            _ => None,
        },
    }
}

/// Kubernetes puts variables such as `POSTRIDER_SERVICE_HOST` and `POSTRIDER_PORT_8080_TCP` beside every service of
/// that name; they are not meant for us.
fn is_service_link(name: &str) -> bool {
    let name = format!("_{name}");
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_PORT")
        || name.contains("_SERVICE_PORT_")
        || ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| name.contains("_PORT_") && name.contains(protocol))
}

fn parse_toml(text: &str) -> Result<Dict, String> {
    match Toml::string(text).data() {
        Ok(mut profiles) => Ok(profiles.remove(&Profile::Default).unwrap_or_default()),
        // The parser quotes the lines around the mistake, and a secret may stand in them.
        Err(error) => Err(error
            .to_string()
            .lines()
            .filter(|line| !line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim().starts_with('|'))
            .collect::<Vec<_>>()
            .join("; ")),
    }
}

fn collect_keys(tree: &Dict, path: &str, keys: &mut Vec<String>) {
    for (name, value) in tree {
        let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            Value::Dict(_, inner) => collect_keys(inner, &key, keys),
            _ => keys.push(key),
        }
    }
}

fn same_kind(kind: &Value, value: &Value) -> bool {
    match (kind, value) {
        (Value::String(..), Value::String(..)) | (Value::Bool(..), Value::Bool(..)) => true,
        (Value::Num(..), Value::Num(_, number)) => {
            number.to_i128().is_some_and(|whole| (0..=i128::from(u32::MAX) << 16).contains(&whole))
        }
        (Value::Array(..), Value::Array(_, values)) => values.iter().all(|value| matches!(value, Value::String(..))),
        _ => false,
    }
}

fn allowed_kind(kind: &Value) -> &'static str {
    match kind {
        Value::Bool(..) => "must be true or false",
        Value::Num(..) => "must be a whole number, not negative",
        Value::Array(..) => "must be a list of texts: [\"a\", \"b\"]",
        _ => "must be a text: \"…\"",
    }
}

fn parse_text(kind: &Value, text: &str) -> Result<Value, &'static str> {
    let value = match kind {
        Value::Bool(..) => text.trim().parse::<bool>().map(Value::from).ok(),
        Value::Num(..) => text.trim().replace('_', "").parse::<i64>().map(Value::from).ok(),
        Value::Array(..) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Some(Value::from(parts.map(str::to_owned).collect::<Vec<String>>()))
        }
        _ => Some(Value::from(text)),
    };
    match (kind, value) {
        (kind, Some(value)) if same_kind(kind, &value) => Ok(value),
        (kind, _) => Err(allowed_kind(kind)),
    }
}
