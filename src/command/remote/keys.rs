//! ● `postrider keys …`

use clap::Subcommand;
use serde_json::{Value, json};

use super::{CommandFailure, PageArguments, Session, show, show_list, table::Column};
use crate::api::{api_key::ApiKeyBody, fields::about};

#[derive(Debug, Subcommand)]
pub(in crate::command) enum KeyCommand {
    /// List API keys
    List {
        #[command(flatten)]
        page: PageArguments,
    },
    /// One API key
    Get {
        /// Its id
        id: String,
    },
    /// The key that is used here
    Current,
    /// Create a key; prints its token, this once
    Create {
        #[arg(help = about::<ApiKeyBody>("name"))]
        name: String,
        #[arg(long, value_parser = ["admin", "operator", "customer"], help = about::<ApiKeyBody>("role"))]
        role: String,
        #[arg(long, required_if_eq("role", "customer"), help = about::<ApiKeyBody>("customer_id"))]
        customer: Option<String>,
        #[arg(long, value_name = "RFC3339", help = about::<ApiKeyBody>("expires_at"))]
        expires_at: Option<String>,
    },
    /// A new token for the same key; prints it, this once
    Rotate {
        /// Its id
        id: String,
    },
    /// End a key
    Revoke {
        /// Its id
        id: String,
    },
}

pub(super) async fn run(session: &Session, command: &KeyCommand) -> Result<(), CommandFailure> {
    match command {
        KeyCommand::List { page } => {
            show_list(session, &session.list(&["api-keys"], &[], page.rows_max()).await?, &COLUMNS);
        }
        KeyCommand::Get { id } => show(session, &session.get(&["api-keys", id], &[]).await?),
        KeyCommand::Current => show(session, &session.get(&["api-keys", "current"], &[]).await?),
        KeyCommand::Create { name, role, customer, expires_at } => {
            let mut body = json!({ "name": name, "role": role });
            for (field, value) in [("customer_id", customer), ("expires_at", expires_at)] {
                if let Some(value) = value {
                    body[field] = Value::String(value.clone());
                }
            }
            show(session, &session.post(&["api-keys"], &body).await?);
        }
        KeyCommand::Rotate { id } => show(session, &session.post(&["api-keys", id, "rotate"], &json!({})).await?),
        KeyCommand::Revoke { id } => {
            session.delete(&["api-keys", id]).await?;
        }
    }
    Ok(())
}

const COLUMNS: [Column; 6] = [
    ("ID", "/id"),
    ("NAME", "/name"),
    ("ROLE", "/role"),
    ("CUSTOMER", "/customer_id"),
    ("LAST USED", "/last_used_at"),
    ("EXPIRES", "/expires_at"),
];
