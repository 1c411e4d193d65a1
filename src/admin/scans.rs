//! ● Statements that may look through many rows before they find one: few at once, shared by key. PostgreSQL's processes know
//! nothing of keys, and take the cores as they come.

use std::time::Duration;

use super::problem::Problem;
use crate::fair_share::turns::{self, FairTurn, Turns};

/// Turns at scanning. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Scans {
    turns: Turns,
}

impl Default for Scans {
    fn default() -> Self {
        Scans { turns: Turns::new("scans", AT_ONCE_MAX, HOLDER_WAITING_MAX) }
    }
}

impl Scans {
    /// A turn for this key's statement.
    ///
    /// # Errors
    /// 429 when this key has too many that wait, 503 when its turn does not come.
    pub(super) async fn turn(&self) -> Result<FairTurn, Problem> {
        let turn = self.turns.wait(&turns::holder(), PATIENCE).await;
        turn.map_err(|refused| Problem::no_share(refused, "search"))
    }
}

/// Scans at once of several keys; one alone has one.
const AT_ONCE_MAX: usize = 2;
/// Scans of one key that may wait: all its long polls may be woken at once.
const HOLDER_WAITING_MAX: usize = 512;
const PATIENCE: Duration = Duration::from_secs(10);
