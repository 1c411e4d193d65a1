//! ● One caller's conversation with the API of a running Postrider.

use std::{
    fmt, fs,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    time::Duration,
};

use awc::http::Method;
use clap::Args;
use figment::{
    Figment,
    providers::{Format as _, Toml},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::table::plain;
use crate::api::problem::ProblemView;

/// Address of the API, and the key.
#[derive(Debug, Args)]
pub(in crate::command) struct SessionArguments {
    /// URL of the API; without it `url` of the file below, or http://127.0.0.1:8080
    #[arg(long, global = true, help_heading = CONNECTION, env = "POSTRIDER_API_URL", value_name = "URL")]
    api_url: Option<String>,
    /// The API key; better given by the variable or the file than here, where others may see it
    #[arg(long, global = true, help_heading = CONNECTION, env = "POSTRIDER_API_KEY", hide_env_values = true, value_name = "KEY")]
    api_key: Option<String>,
    /// A file with `url` and `key` (TOML); without it ~/.config/postrider/client.toml
    #[arg(long, global = true, help_heading = CONNECTION, env = "POSTRIDER_API_CONFIG", value_name = "FILE")]
    api_config: Option<PathBuf>,
    /// Print the API's JSON
    #[arg(long, global = true, help_heading = CONNECTION)]
    json: bool,
}

/// `client.toml`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientFile {
    url: Option<String>,
    key: Option<String>,
}

/// An API that is known how to reach.
pub(in crate::command) struct Session {
    client: awc::Client,
    base: url::Url,
    key: SecretString,
    pub json: bool,
}

/// The reason why a command came to nothing.
#[derive(Debug)]
pub(in crate::command) enum CommandFailure {
    /// The API said no: a problem of RFC 9457.
    Refused(Box<ProblemView>),
    /// Nobody answers, or not in our language.
    Unreachable(String),
    /// It was not said well enough what to do.
    Usage(String),
    /// The request came to nothing, as the command explains.
    Failed(String),
}

impl Session {
    pub(crate) fn open(connection: &SessionArguments) -> Result<Session, CommandFailure> {
        let file = client_file(connection.api_config.as_ref())?;
        let url = connection.api_url.clone().or(file.url).unwrap_or_else(|| DEFAULT_URL.to_owned());
        let base = url::Url::parse(&url).ok().filter(|base| matches!(base.scheme(), "http" | "https"));
        let base =
            base.ok_or_else(|| CommandFailure::Usage("the API's URL must be as in http://127.0.0.1:8080".to_owned()))?;
        let key = connection.api_key.clone().or(file.key).map(SecretString::from);
        let key = key.ok_or_else(|| {
            CommandFailure::Usage("no API key: give it with POSTRIDER_API_KEY, --api-key or in client.toml".to_owned())
        })?;
        let client = awc::Client::builder().disable_redirects().timeout(TIMEOUT).finish();
        Ok(Session { client, base, key, json: connection.json })
    }

    /// The columns of the terminal; `None` where there is none, and nothing is to be fitted.
    pub(crate) fn width(&self) -> Option<u16> {
        io::stdout().is_terminal().then(|| comfy_table::Table::new().width()).flatten()
    }

    /// Prints; whoever stopped reading wants no more.
    pub(crate) fn say(&self, text: &str) {
        let _ = writeln!(io::stdout(), "{text}");
    }

    /// Says something beside what is asked for.
    pub(crate) fn note(&self, text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, CommandFailure> {
        self.call(Method::GET, path, query, None).await
    }

    pub(crate) async fn post(&self, path: &[&str], body: &Value) -> Result<Value, CommandFailure> {
        self.call(Method::POST, path, &[], Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &[&str], body: &Value) -> Result<Value, CommandFailure> {
        self.call(Method::PATCH, path, &[], Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &[&str]) -> Result<Value, CommandFailure> {
        self.call(Method::DELETE, path, &[], None).await
    }

    /// A list's rows, page after page, at most `rows_max`; says so when there are more.
    pub(crate) async fn list(
        &self,
        path: &[&str],
        query: &[(&str, Option<&str>)],
        rows_max: usize,
    ) -> Result<Vec<Value>, CommandFailure> {
        let mut rows: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let limit = rows_max.saturating_sub(rows.len()).clamp(1, PAGE_ROWS_MAX).to_string();
            let mut query: Vec<(&str, &str)> =
                query.iter().filter_map(|(name, value)| value.map(|value| (*name, value))).collect();
            query.push(("limit", &limit));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let mut page = self.get(path, &query).await?;
            cursor = page["next_cursor"].as_str().map(ToOwned::to_owned);
            if let Some(data) = page["data"].as_array_mut() {
                rows.append(data);
            }
            if cursor.is_none() {
                return Ok(rows);
            }
            if rows.len() >= rows_max {
                self.note("there are more: --limit N or --all shows them");
                return Ok(rows);
            }
        }
    }

    /// One call; an answer that is not a 2xx is a failure.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, CommandFailure> {
        let mut url = self.base.clone();
        let unreachable = |error: &dyn fmt::Display| CommandFailure::Unreachable(format!("{}: {error}", self.base));
        url.path_segments_mut().map_err(|()| unreachable(&"cannot be a base"))?.pop_if_empty().push("v1").extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut waits = 0;
        let mut answer = loop {
            let request = self.client.request(method.clone(), url.as_str()).bearer_auth(self.key.expose_secret());
            let sent = match body {
                Some(body) => request.send_json(body).await,
                None => request.send().await,
            };
            let answer = sent.map_err(|error| unreachable(&error))?;
            // Whoever calls too often is told to wait, and a moment is what people have.
            match retry_after(&answer) {
                Some(wait) if waits < WAITS_MAX && wait <= WAIT_MAX => tokio::time::sleep(wait).await,
                _ => break answer,
            }
            waits += 1;
        };
        let bytes = answer.body().limit(ANSWER_BYTES_MAX).await.map_err(|error| unreachable(&error))?;
        let foreign = || unreachable(&format_args!("answered {}, which is not Postrider's way", answer.status()));
        if !answer.status().is_success() {
            let mut problem: Value = serde_json::from_slice(&bytes).map_err(|_| foreign())?;
            // Nobody here reads it, and a newer server may have quotas that this program does not know.
            if let Some(members) = problem.as_object_mut() {
                members.remove("quota");
            }
            let problem = serde_json::from_value(problem).map_err(|_| foreign())?;
            return Err(CommandFailure::Refused(Box::new(problem)));
        }
        if bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&bytes).map_err(|_| foreign()) }
    }
}

/// An answer as the API's type of it.
pub(in crate::command) fn parsed<T: DeserializeOwned>(answer: &Value) -> Result<T, CommandFailure> {
    typed(answer).map_err(CommandFailure::Unreachable)
}

/// The same, with the mistake in words.
pub(in crate::command) fn typed<T: DeserializeOwned>(answer: &Value) -> Result<T, String> {
    serde_json::from_value(answer.clone()).map_err(|error| {
        let error = plain(&error.to_string()); // it quotes the answer
        format!("the API's answer is of another version: {error}")
    })
}

impl CommandFailure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            CommandFailure::Refused(_) | CommandFailure::Failed(_) => 1,
            CommandFailure::Usage(_) => 64,
            CommandFailure::Unreachable(_) => 69,
        }
    }
}

impl fmt::Display for CommandFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = match self {
            CommandFailure::Unreachable(text) | CommandFailure::Usage(text) | CommandFailure::Failed(text) => {
                return f.write_str(text);
            }
            CommandFailure::Refused(problem) => problem,
        };
        write!(f, "{} ({}): {}", plain(&problem.title), plain(&problem.code), plain(&problem.detail))?;
        problem.errors.iter().try_for_each(|error| write!(f, "\n  {} {}", plain(&error.field), plain(&error.message)))
    }
}

/// The wait that a 429 asks for.
fn retry_after<S>(answer: &awc::ClientResponse<S>) -> Option<Duration> {
    let asked = answer.headers().get("retry-after").filter(|_| answer.status() == 429)?;
    Some(Duration::from_secs(asked.to_str().ok()?.parse().ok()?))
}

/// A file that was named must be there; the usual one may.
fn client_file(named: Option<&PathBuf>) -> Result<ClientFile, CommandFailure> {
    let path = match named {
        Some(path) => path.clone(),
        None => match usual_file().filter(|path| path.exists()) {
            Some(path) => path,
            None => return Ok(ClientFile::default()),
        },
    };
    let shown = path.display();
    let text = fs::read_to_string(&path)
        .map_err(|error| CommandFailure::Usage(format!("{shown}: cannot be read: {error}")))?;
    let file: ClientFile = Figment::from(Toml::string(&text)).extract().map_err(|error| {
        // The parser's message may quote a line, and the line may be the key.
        let place = error.path.join(".");
        CommandFailure::Usage(format!("{shown}: must have `url` and `key` and nothing else {place}"))
    })?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let open = fs::metadata(&path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0);
        if open && file.key.is_some() {
            eprintln!("postrider: {shown} holds a key and others may read it: chmod 600 {shown}");
        }
    }
    Ok(file)
}

fn usual_file() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(folder.join("postrider").join("client.toml"))
}

/// Apart from a command's own options.
const CONNECTION: &str = "Connection and output";
const DEFAULT_URL: &str = "http://127.0.0.1:8080";
/// A bulk of thousands and a long poll take their time.
const TIMEOUT: Duration = Duration::from_secs(120);
const ANSWER_BYTES_MAX: usize = 256 << 20;
const WAITS_MAX: u32 = 10;
const WAIT_MAX: Duration = Duration::from_secs(5);
const PAGE_ROWS_MAX: usize = 250;
