//! ● Heavy work of requests: off the threads that answer, no more at once than there are cores, shared by key, and after
//! whatever else wants a core.

use std::{thread, time::Duration};

use actix_web::http::StatusCode;
use tokio::sync::oneshot;

use super::problem::Problem;
use crate::fair_share::turns::{self, Turns};

/// Threads for heavy work. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Work {
    turns: Turns,
}

impl Work {
    /// Makes room for this much work at once.
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
        let (tell, told) = oneshot::channel();
        // A thread for each costs some tens of microseconds, the work a millisecond or more.
        let started = thread::Builder::new().name("work".to_owned()).spawn(move || {
            give_way();
            let done = work();
            drop(turn); // it ends with the work, also when nobody waits for that any more
            let _ = tell.send(done);
        });
        let internal =
            || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this is our fault; the log says more");
        if let Err(error) = started {
            tracing::error!(%error, "no thread can be started for the work of a request");
            return Err(internal());
        }
        told.await.map_err(|_| {
            tracing::error!("the work of a request panicked");
            internal()
        })
    }
}

/// Events and probes come first: this thread gets a tenth of a core that others want as well.
fn give_way() {
    // On Linux it is the thread's own; where it cannot be had, the work is done all the same.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a thread for the work of requests keeps its priority");
    }
}

const NICE: i32 = 10;

/// Pieces of work of one key that may wait.
const HOLDER_WAITING_MAX: usize = 64;
/// Time to wait for one's turn.
const TURN_MAX: Duration = Duration::from_secs(10);
