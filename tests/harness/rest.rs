//! ● Postrider's API, as a client of it sees it.

use std::time::Duration;

use serde_json::Value;

/// A client of one instance's API.
#[derive(Clone)]
pub struct Rest {
    base: String,
    key: Option<String>,
}

/// An answer of the API.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub content_type: String,
    pub text: String,
}

impl Rest {
    pub fn new(address: &str, key: &str) -> Self {
        Rest { base: format!("http://{address}"), key: Some(key.to_owned()) }
    }

    /// `http://…`, without a path.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The same API with another key, or none.
    pub fn with_key(&self, key: Option<&str>) -> Self {
        Rest { base: self.base.clone(), key: key.map(str::to_owned) }
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.call("GET", path, None)
    }

    /// `None` when there is no answer.
    pub fn try_get(&self, path: &str) -> Option<Reply> {
        self.send("GET", path, None).ok()
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.call("POST", path, Some(body.to_string()))
    }

    #[track_caller]
    pub fn patch(&self, path: &str, body: &Value) -> Reply {
        self.call("PATCH", path, Some(body.to_string()))
    }

    #[track_caller]
    pub fn put(&self, path: &str, body: &Value) -> Reply {
        self.call("PUT", path, Some(body.to_string()))
    }

    #[track_caller]
    pub fn delete(&self, path: &str) -> Reply {
        self.call("DELETE", path, None)
    }

    /// As [`Rest::call`]; `None` when there is no answer.
    pub fn try_call(&self, method: &str, path: &str, body: Option<String>) -> Option<Reply> {
        self.send(method, path, body).ok()
    }

    /// Any request with any body.
    #[track_caller]
    pub fn call(&self, method: &str, path: &str, body: Option<String>) -> Reply {
        self.send(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// A metric's value; with several label sets, their sum.
    #[track_caller]
    pub fn metric(&self, name: &str) -> f64 {
        self.metric_with(name, "")
    }

    /// As [`Rest::metric`], of the lines that have `labels` in them.
    #[track_caller]
    pub fn metric_with(&self, name: &str, labels: &str) -> f64 {
        values(&self.get("/metrics").ok().text, name, labels).sum()
    }

    /// A metric's largest value among its label sets: of ages, whose sum says nothing.
    #[track_caller]
    pub fn metric_max(&self, name: &str) -> f64 {
        values(&self.get("/metrics").ok().text, name, "").fold(0.0, f64::max)
    }

    fn send(&self, method: &str, path: &str, body: Option<String>) -> Result<Reply, String> {
        let method = method.parse::<awc::http::Method>().expect("a method");
        actix_rt::System::new().block_on(async {
            let client = awc::Client::builder().timeout(Duration::from_secs(30)).disable_redirects().finish();
            let mut request = client.request(method, format!("{}{path}", self.base));
            if let Some(key) = &self.key {
                request = request.insert_header(("authorization", format!("Bearer {key}")));
            }
            let sent = match body {
                Some(body) => request.insert_header(("content-type", "application/json")).send_body(body).await,
                None => request.send().await,
            };
            let mut reply = sent.map_err(|error| error.to_string())?;
            let text = reply.body().limit(16 << 20).await.map_err(|error| error.to_string())?;
            let content_type = reply.headers().get("content-type").and_then(|value| value.to_str().ok());
            Ok(Reply {
                status: reply.status().as_u16(),
                content_type: content_type.unwrap_or_default().to_owned(),
                text: String::from_utf8_lossy(&text).into_owned(),
            })
        })
    }
}

/// A metric's values on a page of metrics: those of the lines that have `labels` in them.
pub fn values(page: &str, name: &str, labels: &str) -> impl Iterator<Item = f64> {
    page.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']) && rest.contains(labels))?;
        rest.rsplit(' ').next()?.parse::<f64>().ok()
    })
}

impl Reply {
    /// The answer, which must be a 2xx.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text))
    }

    /// The answer must be this problem, as RFC 9457 has it, with a stable code.
    #[track_caller]
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert!(self.content_type.starts_with("application/problem+json"), "{}: {}", self.content_type, self.text);
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        assert!(problem["code"].as_str().is_some_and(|code| !code.is_empty()), "no code: {problem}");
        assert!(problem["title"].is_string(), "no title: {problem}");
        problem
    }

    /// As [`Reply::problem`]; `errors[]` must name these fields.
    #[track_caller]
    pub fn problem_with_fields(&self, status: u16, fields: &[&str]) {
        let problem = self.problem(status);
        let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("no errors[]: {problem}"));
        for field in fields {
            let named = errors.iter().any(|error| error["field"].as_str().is_some_and(|name| name == *field));
            assert!(named, "errors[] does not name {field}: {problem}");
        }
    }
}
