//! ● Around every request of a listener: its connection learns when it begins and ends, and its body has a deadline.

use std::{
    pin::Pin,
    task::{Context, Poll},
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
    connection::{SharedPace, Timer, timed_out},
    pace::Progress,
};
use crate::clock;

/// Bounds one request.
///
/// # Errors
/// Those of the request.
pub async fn bounded(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<Serving>, Error> {
    let pace = request.request().conn_data::<SharedPace>().cloned();
    let under_way = pace.map(|pace| {
        pace.borrow_mut().request_begins();
        let deadlines = pace.borrow().deadlines();
        let payload = request.take_payload();
        let timed = TimedBody { payload, total: deadlines.body, progress: deadlines.progress, state: None };
        request.set_payload(Payload::Stream { payload: Box::pin(timed) });
        UnderWay(pace)
    });
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| Serving { body: body.boxed(), _under_way: under_way }))
}

/// An answer's body; while it is there the request is under way.
pub struct Serving {
    body: BoxBody,
    _under_way: Option<UnderWay>,
}

impl MessageBody for Serving {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

struct UnderWay(SharedPace);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.borrow_mut().request_ends(clock::now());
    }
}

/// A request's body, as it arrives.
struct TimedBody {
    payload: Payload,
    total: Duration,
    progress: Duration,
    /// From the first look at it.
    state: Option<Arriving>,
}

struct Arriving {
    until: Instant,
    progress: Progress,
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
            progress: Progress::new(window, now),
            timer: Timer::default(),
        });
        match Pin::new(&mut this.payload).poll_next(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                state.progress.passed(bytes.len(), now);
                Poll::Ready(Some(Ok(bytes)))
            }
            Poll::Pending if state.timer.is_over(state.until.min(state.progress.until()), cx) => {
                Poll::Ready(Some(Err(PayloadError::Io(timed_out("body")))))
            }
            other => other,
        }
    }
}
