//! ● The body of a bulk call: larger than others, so only a few are read at once. The rest wait on their connections,
//! unread.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpRequest,
    error::PayloadError,
    http::StatusCode,
    web::{self, Bytes, Payload},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{problem::Problem, request};

/// Who may read a body now.
#[derive(Clone)]
pub struct BulkGate {
    permits: Arc<Semaphore>,
    bytes_max: usize,
}

/// A body, and the right to work on it.
pub struct BulkBody {
    pub bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl BulkGate {
    /// `bytes_max`: a larger body is refused.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        BulkGate { permits: Arc::new(Semaphore::new(AT_ONCE_MAX)), bytes_max }
    }

    /// Reads a body when it is its turn.
    ///
    /// # Errors
    /// 503 when its turn does not come, 408, 413 and 415 as they say.
    pub async fn read(&self, request: &HttpRequest, payload: Payload) -> Result<BulkBody, Problem> {
        request::check_content_type(request)?;
        let turn = tokio::time::timeout(TURN_MAX, Arc::clone(&self.permits).acquire_owned());
        let Ok(Ok(permit)) = turn.await else {
            let detail = "too many bulk calls at once; try again in a moment";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_busy", detail));
        };
        match payload.to_bytes_limited(self.bytes_max).await {
            Ok(Ok(bytes)) => Ok(BulkBody { bytes, _permit: permit }),
            Ok(Err(error)) => Err(error.as_error::<PayloadError>().map_or_else(
                || Problem::new(StatusCode::BAD_REQUEST, "unreadable_body", "the body did not arrive whole"),
                request::unreadable,
            )),
            Err(_) => {
                let detail = format!("the body is larger than {} bytes; send it in parts", self.bytes_max);
                Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail))
            }
        }
    }
}

impl BulkBody {
    /// Runs `work` on the body beside the server's thread: it may take a while, and health must be told meanwhile.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&[u8]) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let bytes = self.bytes.clone();
        web::block(move || work(&bytes)).await.unwrap_or_else(|_| {
            tracing::error!("a bulk call's work panicked");
            let detail = "this is our fault; the log says more";
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail))
        })
    }
}

/// Bodies in memory at once.
const AT_ONCE_MAX: usize = 2;
/// How long one waits for its turn.
const TURN_MAX: Duration = Duration::from_secs(30);
