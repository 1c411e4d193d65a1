//! ● `postrider subscriptions …`

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{CommandFailure, PageArguments, Session, apply, show, show_list, table::Column};
use crate::api::{fields::about, subscription::SubscriptionBody};

#[derive(Debug, Subcommand)]
pub(in crate::command) enum SubscriptionCommand {
    /// List subscriptions
    List {
        /// Only those of this endpoint (id or uid)
        #[arg(long)]
        endpoint: Option<String>,
        /// Only of this topic
        #[arg(long)]
        topic: Option<String>,
        #[command(flatten)]
        page: PageArguments,
    },
    /// One subscription
    Get {
        /// An id, or your own key
        subscription: String,
    },
    /// Subscribe an endpoint to a topic: all of it, some tenants, or some departments of tenants
    Create {
        #[arg(long, help = about::<SubscriptionBody>("endpoint_id"))]
        endpoint: String,
        #[arg(long, help = about::<SubscriptionBody>("topic"))]
        topic: String,
        #[arg(long, help = about::<SubscriptionBody>("uid"))]
        uid: Option<String>,
        #[command(flatten)]
        scope: ScopeArguments,
    },
    /// Create or change many from a file (JSON: a list, or {"subscriptions": […]}; "-" reads standard input)
    Apply {
        /// The file
        #[arg(long, short, value_name = "FILE")]
        file: PathBuf,
    },
    /// Delete a subscription
    Delete {
        /// An id, or your own key
        subscription: String,
    },
}

/// A part of a topic.
#[derive(Debug, Args)]
pub(in crate::command) struct ScopeArguments {
    /// Only these tenants, separated by commas
    #[arg(long, value_name = "TENANT", value_delimiter = ',', conflicts_with = "department")]
    tenant: Vec<String>,
    /// Only these departments: TENANT/DEPARTMENT, separated by commas
    #[arg(long, value_name = "TENANT/DEPARTMENT", value_delimiter = ',')]
    department: Vec<String>,
}

pub(super) async fn run(session: &Session, command: &SubscriptionCommand) -> Result<(), CommandFailure> {
    match command {
        SubscriptionCommand::List { endpoint, topic, page } => {
            let query = [("endpoint_id", endpoint.as_deref()), ("topic", topic.as_deref())];
            show_list(session, &session.list(&["subscriptions"], &query, page.rows_max()).await?, &COLUMNS);
        }
        SubscriptionCommand::Get { subscription } => {
            show(session, &session.get(&["subscriptions", subscription], &[]).await?)
        }
        SubscriptionCommand::Create { endpoint, topic, uid, scope } => {
            let body = json!({ "endpoint_id": endpoint, "topic": topic, "uid": uid, "scope": scope.to_json()? });
            show(session, &session.post(&["subscriptions"], &body).await?);
        }
        SubscriptionCommand::Apply { file } => apply::section(session, file, "subscriptions").await?,
        SubscriptionCommand::Delete { subscription } => {
            session.delete(&["subscriptions", subscription]).await?;
        }
    }
    Ok(())
}

impl ScopeArguments {
    /// As the API takes it.
    pub(crate) fn to_json(&self) -> Result<Value, CommandFailure> {
        if !self.tenant.is_empty() {
            return Ok(json!({ "level": "tenants", "tenants": self.tenant }));
        }
        if self.department.is_empty() {
            return Ok(json!({ "level": "topic" }));
        }
        let mut departments: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for pair in &self.department {
            let Some((tenant, department)) = pair.split_once('/') else {
                return Err(CommandFailure::Usage("--department must be TENANT/DEPARTMENT, such as 2/100".to_owned()));
            };
            departments.entry(tenant).or_default().push(department);
        }
        Ok(json!({ "level": "departments", "departments": departments }))
    }
}

const COLUMNS: [Column; 7] = [
    ("ID", "/id"),
    ("UID", "/uid"),
    ("ENDPOINT", "/endpoint_id"),
    ("TOPIC", "/topic"),
    ("LEVEL", "/scope/level"),
    ("TENANTS", "/scope/tenants"),
    ("DEPARTMENTS", "/scope/departments"),
];
