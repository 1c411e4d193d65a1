//! ● `postrider customers …`

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::{CommandFailure, PageArguments, Session, apply, show, show_list, table::Column};
use crate::api::{customer::CustomerBody, fields::about};

#[derive(Debug, Subcommand)]
pub(in crate::command) enum CustomerCommand {
    /// List customers
    List {
        #[command(flatten)]
        page: PageArguments,
    },
    /// One customer and its grants
    Get {
        /// An id, or your own key
        customer: String,
    },
    /// Create a customer; it may see what is granted, and nothing without
    Create {
        #[arg(help = about::<CustomerBody>("name"))]
        name: String,
        #[arg(long, help = about::<CustomerBody>("uid"))]
        uid: Option<String>,
        /// Topics it may subscribe to, separated by commas; * for all
        #[arg(long, value_name = "TOPIC", value_delimiter = ',')]
        topics: Vec<String>,
        /// Tenants it may see, separated by commas; * for all
        #[arg(long, value_name = "TENANT", value_delimiter = ',')]
        tenants: Vec<String>,
    },
    /// Create or change many from a file (JSON: a list, or {"customers": […]}; "-" reads standard input)
    Apply {
        /// The file
        #[arg(long, short, value_name = "FILE")]
        file: PathBuf,
    },
    /// Delete a customer with its endpoints and subscriptions
    Delete {
        /// An id, or your own key
        customer: String,
    },
}

pub(super) async fn run(session: &Session, command: &CustomerCommand) -> Result<(), CommandFailure> {
    match command {
        CustomerCommand::List { page } => {
            show_list(session, &session.list(&["customers"], &[], page.rows_max()).await?, &COLUMNS);
        }
        CustomerCommand::Get { customer } => show(session, &session.get(&["customers", customer], &[]).await?),
        CustomerCommand::Create { name, uid, topics, tenants } => {
            let body = json!({ "name": name, "uid": uid, "grants": { "topics": topics, "tenants": tenants } });
            show(session, &session.post(&["customers"], &body).await?);
        }
        CustomerCommand::Apply { file } => apply::section(session, file, "customers").await?,
        CustomerCommand::Delete { customer } => {
            session.delete(&["customers", customer]).await?;
        }
    }
    Ok(())
}

const COLUMNS: [Column; 5] =
    [("ID", "/id"), ("UID", "/uid"), ("NAME", "/name"), ("TOPICS", "/grants/topics"), ("TENANTS", "/grants/tenants")];
