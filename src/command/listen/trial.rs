//! ● A subscription for as long as one listens: an endpoint that leads here, made at the start and gone at the end.

use clap::Args;
use serde_json::{Value, json};

use crate::{
    api::{customer::WrittenCustomer, endpoint_view::WrittenEndpoint, subscription::SubscriptionView},
    clock,
    command::remote::{CommandFailure, ScopeArguments, Session, SessionArguments, parsed},
    model::id,
};

#[derive(Debug, Args)]
#[group(id = "trial")]
pub(super) struct TrialArguments {
    /// Subscribe to this topic while listening, with an endpoint that is deleted at the end
    #[arg(long, value_name = "TOPIC")]
    subscribe: Option<String>,
    #[command(flatten)]
    scope: ScopeArguments,
    /// Customer of the endpoint (id or uid); without one, and without a customer's key, one is made for the time
    #[arg(long, requires = "subscribe")]
    customer: Option<String>,
    /// URL at which Postrider reaches this program, when that is not http://127.0.0.1:PORT/ (an address that is not
    /// public has to be in egress.allow)
    #[arg(long, value_name = "URL", requires = "subscribe")]
    url: Option<String>,
    #[command(flatten)]
    connection: SessionArguments,
}

/// Resources that were made, to be taken away again.
pub(super) struct Trial {
    session: Session,
    endpoint: String,
    customer: Option<String>,
    /// The endpoint's signing secret.
    pub secret: String,
}

impl TrialArguments {
    pub(super) fn is_wanted(&self) -> bool {
        self.subscribe.is_some()
    }

    /// Makes the endpoint and its subscription. On a failure, what was made is taken away again.
    pub(super) async fn start(&self, port: u16) -> Result<Trial, CommandFailure> {
        let session = Session::open(&self.connection)?;
        let topic = self.subscribe.as_deref().unwrap_or_default();
        let scope = self.scope.to_json()?;
        let name = format!("listen-{}", id::name(clock::wall_ms(), rand::random()));
        let mut trial = Trial { session, endpoint: String::new(), customer: None, secret: String::new() };
        match trial.make(&name, self.customer.as_deref(), self.url.as_deref(), port, topic, &scope).await {
            Ok(()) => Ok(trial),
            Err(failure) => {
                trial.end().await;
                Err(failure)
            }
        }
    }
}

impl Trial {
    async fn make(
        &mut self,
        name: &str,
        customer: Option<&str>,
        url: Option<&str>,
        port: u16,
        topic: &str,
        scope: &Value,
    ) -> Result<(), CommandFailure> {
        let customer = match customer {
            Some(customer) => customer.to_owned(),
            None => self.own_customer(name, topic).await?,
        };
        let url = url.map_or_else(|| format!("http://127.0.0.1:{port}/"), ToOwned::to_owned);
        let body = json!({
            "customer_id": customer, "uid": name, "url": url,
            "description": "temporary: made by postrider listen, which deletes it at its end",
        });
        // No more of the answer than is needed: what a newer API adds to it shall not keep it from being deleted at the end.
        let WrittenEndpoint { id, secret } = parsed(&self.session.post(&["endpoints"], &body).await?)?;
        (self.endpoint, self.secret) = (id, secret.unwrap_or_default());
        let subscription = json!({ "endpoint_id": self.endpoint, "topic": topic, "scope": scope });
        let made: SubscriptionView = parsed(&self.session.post(&["subscriptions"], &subscription).await?)?;
        made.warnings.iter().for_each(|warning| self.session.note(&format!("warning: {warning}")));
        Ok(())
    }

    /// The customer of the key, or one that is made for the time.
    async fn own_customer(&mut self, name: &str, topic: &str) -> Result<String, CommandFailure> {
        let key = self.session.get(&["api-keys", "current"], &[]).await?;
        if let Some(own) = key["customer_id"].as_str() {
            return Ok(own.to_owned());
        }
        let grants = json!({ "topics": [topic], "tenants": ["*"] });
        let body = json!({ "name": "temporary: made by postrider listen", "uid": name, "grants": grants });
        let WrittenCustomer { id } = parsed(&self.session.post(&["customers"], &body).await?)?;
        self.customer = Some(id.clone());
        Ok(id)
    }

    /// Takes away what was made.
    pub(super) async fn end(self) {
        // A customer takes its endpoint along.
        let made = match (&self.customer, self.endpoint.as_str()) {
            (Some(customer), _) => ["customers", customer],
            (None, "") => return,
            (None, endpoint) => ["endpoints", endpoint],
        };
        if let Err(failure) = self.session.delete(&made).await {
            let [kind, id] = made;
            eprintln!("postrider: {kind}/{id} was made for this and could not be deleted: {failure}");
        }
    }
}
