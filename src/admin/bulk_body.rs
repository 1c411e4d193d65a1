//! ● The body of a bulk call: larger than others, so only a few are read at once. The rest wait on their connections,
//! unread.

use std::time::Duration;

use super::{problem::Problem, request, work::Work};
use crate::fair_share::turns::{self, FairTurn, Turns};
use actix_web::{
    HttpRequest,
    error::PayloadError,
    http::StatusCode,
    web::{Bytes, Payload},
};

/// The right to read a body, a few at once and shared by key.
#[derive(Clone)]
pub(super) struct BulkGate {
    turns: Turns,
    work: Work,
    bytes_max: usize,
}

/// A body, and the right to work on it.
pub(super) struct BulkBody {
    pub bytes: Bytes,
    work: Work,
    _turn: FairTurn,
}

impl BulkGate {
    /// `bytes_max`: a larger body is refused.
    #[must_use]
    pub(super) fn new(bytes_max: usize, work: Work) -> Self {
        BulkGate { turns: Turns::new("bulk", AT_ONCE_MAX, HOLDER_WAITING_MAX), work, bytes_max }
    }

    /// Reads a body when it is its turn.
    ///
    /// # Errors
    /// 503 when its turn does not come, 408, 413 and 415 as they say.
    pub(super) async fn read(&self, request: &HttpRequest, payload: Payload) -> Result<BulkBody, Problem> {
        request::check_content_type(request)?;
        if request::promised_bytes(request.headers()).is_some_and(|promised| promised > self.bytes_max) {
            return Err(self.too_large());
        }
        let turn = self.turns.wait(&turns::holder(), TURN_MAX).await;
        let turn = turn.map_err(|refused| Problem::no_share(refused, "bulk calls"))?;
        match payload.to_bytes_limited(self.bytes_max).await {
            Ok(Ok(bytes)) => Ok(BulkBody { bytes, work: self.work.clone(), _turn: turn }),
            Ok(Err(error)) => Err(error.as_error::<PayloadError>().map_or_else(
                || Problem::new(StatusCode::BAD_REQUEST, "unreadable_body", "the body did not arrive whole"),
                request::unreadable,
            )),
            Err(_) => Err(self.too_large()),
        }
    }

    fn too_large(&self) -> Problem {
        let detail = format!("the body is larger than {} bytes; send it in parts", self.bytes_max);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    }
}

impl BulkBody {
    /// Runs `work` on the body off the server's thread: it may take a while, and health must be told meanwhile.
    ///
    /// # Errors
    /// Those of `work`.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&[u8]) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let bytes = self.bytes.clone();
        self.work.run(move || work(&bytes)).await?
    }
}

/// Bodies in memory at once: two of one key, and some for others.
const AT_ONCE_MAX: usize = 4;
/// Calls of one key that wait for their turn.
const HOLDER_WAITING_MAX: usize = 16;
/// Time to wait for one's turn.
const TURN_MAX: Duration = Duration::from_secs(30);
