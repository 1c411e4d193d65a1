//! ● Heavy work of requests: off the threads that answer, no more at once than there are cores, shared by key.

use std::time::Duration;

use actix_web::{http::StatusCode, web};

use super::problem::Problem;
use crate::fair_share::turns::{self, Turns};

/// Threads for heavy work. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Work {
    turns: Turns,
}

impl Work {
    /// So much at once.
    #[must_use]
    pub fn new(at_once_max: usize) -> Self {
        Work { turns: Turns::new("work", at_once_max.max(2), HOLDER_WAITING_MAX) }
    }

    /// Runs `work` when it is its turn.
    ///
    /// # Errors
    /// 429 when this key has too much that waits, 503 when its turn does not come, 500 when the work panics.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let turn = self.turns.wait(&turns::holder(), TURN_MAX).await;
        let turn = turn.map_err(|refused| Problem::no_share(refused, "work"))?;
        // The turn ends with the work, also when nobody waits for it any more.
        let done = web::block(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(|_| {
            tracing::error!("the work of a request panicked");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this is our fault; the log says more")
        })
    }
}

/// Of one key.
const HOLDER_WAITING_MAX: usize = 64;
/// Time to wait for one's turn.
const TURN_MAX: Duration = Duration::from_secs(10);
