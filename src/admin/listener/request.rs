//! ● Around every request of a listener: its connection learns when it begins and ends and whether its body is wanted, and
//! body and answer go in small parts.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use actix_web::{
    Error, HttpMessage as _,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    middleware::Next,
    web::Bytes,
};
use futures_util::Stream;

use super::{
    connection::{SharedCourse, Timer, timed_out},
    deadlines::TransferProgress,
};
use crate::{admin::request::promised_bytes, clock};

/// Bounds one request.
///
/// # Errors
/// Those of the request.
pub(super) async fn bounded(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<Serving>, Error> {
    let course = request.request().conn_data::<SharedCourse>().cloned();
    let under_way = course.map(|course| {
        let payload = request.take_payload();
        let has_body = !matches!(payload, Payload::None);
        course.borrow_mut().request_begins(has_body, promised_bytes(request.headers()));
        let deadlines = course.borrow().deadlines();
        let timed = TimedBody {
            payload,
            course: Rc::clone(&course),
            total: deadlines.body,
            progress: deadlines.progress,
            state: None,
        };
        request.set_payload(Payload::Stream { payload: Box::pin(timed) });
        UnderWay(course)
    });
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| Serving { body: body.boxed(), part: Bytes::new(), _under_way: under_way }))
}

/// An answer's body; while it is there the request is under way. It is handed over as the client reads it: the server below would
/// copy all of it at once, and let go of what was charged for it.
pub(super) struct Serving {
    body: BoxBody,
    /// Part of the body that is not handed over yet.
    part: Bytes,
    _under_way: Option<UnderWay>,
}

impl MessageBody for Serving {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.part.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_next(cx)) {
                Some(Ok(bytes)) => self.part = bytes,
                ended => return Poll::Ready(ended),
            }
        }
        let bytes = self.part.len().min(PART_BYTES_MAX);
        Poll::Ready(Some(Ok(self.part.split_to(bytes))))
    }
}

/// Bytes of an answer that are handed over at once.
const PART_BYTES_MAX: usize = 32 * 1024;

struct UnderWay(SharedCourse);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.borrow_mut().request_ends();
    }
}

/// A request's body, as it arrives.
struct TimedBody {
    payload: Payload,
    course: SharedCourse,
    total: Duration,
    progress: Duration,
    /// From the first look at it.
    state: Option<Arriving>,
}

struct Arriving {
    until: Instant,
    progress: TransferProgress,
    timer: Timer,
}

impl Stream for TimedBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let now = clock::now();
        let (total, window) = (this.total, this.progress);
        let state = this.state.get_or_insert_with(|| Arriving {
            until: now + total,
            progress: TransferProgress::new(window, now),
            timer: Timer::default(),
        });
        match Pin::new(&mut this.payload).poll_next(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                state.progress.passed(bytes.len(), now);
                Poll::Ready(Some(Ok(bytes)))
            }
            Poll::Ready(None) => {
                this.course.borrow_mut().body_is_whole();
                Poll::Ready(None)
            }
            Poll::Pending if state.timer.is_over(state.until.min(state.progress.until()), cx) => {
                Poll::Ready(Some(Err(PayloadError::Io(timed_out("body")))))
            }
            Poll::Pending => {
                this.course.borrow_mut().body_is_awaited();
                Poll::Pending
            }
            failed => failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    #[actix_web::test]
    async fn a_large_answer_is_handed_over_in_small_parts_and_whole() {
        let whole: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
        let serving = || Serving { body: BoxBody::new(whole.clone()), part: Bytes::new(), _under_way: None };
        let mut parts = serving();
        let first = std::future::poll_fn(|cx| Pin::new(&mut parts).poll_next(cx)).await;
        assert_eq!(first.and_then(Result::ok).map(|part| part.len()), Some(PART_BYTES_MAX));
        assert_eq!(to_bytes(serving()).await.ok().as_deref(), Some(&*whole));
    }
}
