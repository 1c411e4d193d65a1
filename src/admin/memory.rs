//! ● The bytes of all request bodies and answers that are held in memory: a budget for all of them, shared by key.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use actix_web::{
    Error, HttpMessage as _,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    http::Method,
    middleware::Next,
    web::{self, Bytes},
};
use futures_util::Stream;
use parking_lot::Mutex;

use super::{access::Access, problem::Problem};
use crate::{
    fair_share::shares::{BoundedShares, Holder, Refused},
    telemetry::names,
};

/// The budget. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Memory {
    shares: Arc<Mutex<BoundedShares>>,
}

/// Bytes of the budget that somebody holds, given back when dropped.
#[derive(Debug)]
pub struct Reserved {
    memory: Memory,
    holder: Holder,
    bytes: usize,
}

impl Memory {
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Memory { shares: Arc::new(Mutex::new(BoundedShares::new(bytes_max))) }
    }

    /// Reserves bytes for this holder.
    ///
    /// # Errors
    /// 429 for one that has its share already, 503 when all of it is used.
    pub fn reserve(&self, holder: &Holder, bytes: usize) -> Result<Reserved, Problem> {
        let mut reserved = Reserved { memory: self.clone(), holder: Arc::clone(holder), bytes: 0 };
        reserved.grow(bytes).map_err(problem)?;
        Ok(reserved)
    }
}

impl Reserved {
    fn grow(&mut self, bytes: usize) -> Result<(), Refused> {
        let mut shares = self.memory.shares.lock();
        shares.take(&self.holder, bytes)?;
        self.bytes += bytes;
        metrics::gauge!(names::API_MEMORY_BYTES).set(shares.taken() as f64);
        Ok(())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut shares = self.memory.shares.lock();
        shares.give_back(&self.holder, self.bytes);
        metrics::gauge!(names::API_MEMORY_BYTES).set(shares.taken() as f64);
    }
}

fn problem(refused: Refused) -> Problem {
    let reason = refused.as_str();
    metrics::counter!(names::API_SHARES_REFUSED, "resource" => "memory", "reason" => reason).increment(1);
    Problem::no_share(refused, "memory for bodies and answers")
}

/// A body whose bytes are charged to the budget until its [`BodyReservation`] is dropped: those that its head promises
/// before any of them is read, others as they arrive.
pub fn charged(
    payload: Payload,
    promised: Option<usize>,
    memory: &Memory,
    holder: &Holder,
) -> (Payload, BodyReservation) {
    let reserved = Reserved { memory: memory.clone(), holder: Arc::clone(holder), bytes: 0 };
    let held = Rc::new(RefCell::new(reserved));
    let body =
        ChargedBody { payload, promised: promised.unwrap_or(0), arrived: 0, is_refused: false, held: Rc::clone(&held) };
    (Payload::Stream { payload: Box::pin(body) }, held)
}

/// Bytes of the budget that a request's body takes.
pub type BodyReservation = Rc<RefCell<Reserved>>;

struct ChargedBody {
    payload: Payload,
    promised: usize,
    arrived: usize,
    /// There was no room for it, which was said.
    is_refused: bool,
    held: BodyReservation,
}

impl ChargedBody {
    /// Sees to it that there is room for so many bytes of it in all.
    fn reserve(&mut self, bytes: usize) -> Result<(), PayloadError> {
        let mut held = self.held.borrow_mut();
        let more = bytes.saturating_sub(held.bytes);
        let grown = held.grow(more);
        self.is_refused = grown.is_err();
        grown.map_err(|refused| PayloadError::Io(std::io::Error::other(problem(refused))))
    }
}

impl Stream for ChargedBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_refused {
            return Poll::Ready(None);
        }
        let expected = self.promised.max(self.arrived);
        if let Err(refused) = self.reserve(expected) {
            return Poll::Ready(Some(Err(refused)));
        }
        let next = Pin::new(&mut self.payload).poll_next(cx);
        let Poll::Ready(Some(Ok(bytes))) = next else { return next };
        let arrived = self.arrived + bytes.len();
        self.arrived = arrived;
        Poll::Ready(Some(self.reserve(arrived).map(|()| bytes)))
    }
}

/// Charges answers to reads until they are sent. What a write came to is always told: its caller must know.
///
/// # Errors
/// The operation's own error, or that there is no room for its answer.
pub async fn charge_answers(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<ChargedAnswer>, Error> {
    let memory = request.app_data::<web::Data<Memory>>().cloned().expect("invariant: the server has its budget");
    let reads = request.method() == Method::GET;
    let response = next.call(request).await?;
    let bytes = match response.response().body().size() {
        BodySize::Sized(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
        BodySize::None | BodySize::Stream => 0,
    };
    let holder = response.request().extensions().get::<Access>().map(Access::holder);
    let Some(holder) = holder.filter(|_| bytes > SMALL_BYTES_MAX) else {
        return Ok(response.map_body(|_, body| ChargedAnswer { body: body.boxed(), _reserved: None }));
    };
    match memory.reserve(&holder, bytes) {
        Ok(reserved) => {
            Ok(response.map_body(|_, body| ChargedAnswer { body: body.boxed(), _reserved: Some(reserved) }))
        }
        Err(_) if !reads => Ok(response.map_body(|_, body| ChargedAnswer { body: body.boxed(), _reserved: None })),
        Err(problem) => Err(problem.into()),
    }
}

impl Memory {
    /// An answer to somebody who needs no key, charged to this holder until it is sent.
    ///
    /// # Errors
    /// As [`Memory::reserve`].
    pub fn answer(&self, holder: &Holder, answer: String) -> Result<ChargedAnswer, Problem> {
        let reserved = self.reserve(holder, answer.len())?;
        Ok(ChargedAnswer { body: BoxBody::new(answer), _reserved: Some(reserved) })
    }
}

/// An answer, and what it takes of the budget.
pub struct ChargedAnswer {
    body: BoxBody,
    _reserved: Option<Reserved>,
}

impl MessageBody for ChargedAnswer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

/// Answers up to here are bounded by the number of connections.
const SMALL_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};

    use super::*;

    /// A body of these parts, and how many of them were read.
    fn body(parts: &'static [&'static str]) -> (Payload, Rc<RefCell<usize>>) {
        let read = Rc::new(RefCell::new(0));
        let counted = Rc::clone(&read);
        let stream = futures_util::stream::iter(parts.iter()).map(move |part| {
            *counted.borrow_mut() += 1;
            Ok(Bytes::from_static(part.as_bytes()))
        });
        (Payload::Stream { payload: Box::pin(stream) }, read)
    }

    /// Parts that came through, and parts that were read.
    fn through(memory: &Memory, promised: Option<usize>, parts: &'static [&'static str]) -> (usize, usize) {
        let (payload, read) = body(parts);
        let (payload, _held) = charged(payload, promised, memory, &"one".into());
        let arrived: Vec<_> = payload.collect().now_or_never().expect("it is all there");
        let read = *read.borrow();
        (arrived.iter().filter(|part| part.is_ok()).count(), read)
    }

    #[test]
    fn nothing_is_read_of_a_body_that_promises_more_than_there_is_room_for() {
        let memory = Memory::new(100);
        let other = memory.reserve(&"other".into(), 50).expect("half");
        assert_eq!(through(&memory, Some(60), &["0123456789"; 6]), (0, 0));
        drop(other);
        assert_eq!(through(&memory, Some(60), &["0123456789"; 6]), (6, 6));
        assert_eq!(memory.shares.lock().taken(), 0);
    }

    #[test]
    fn a_body_that_promises_nothing_or_too_little_is_charged_as_it_arrives() {
        for promised in [None, Some(20)] {
            let memory = Memory::new(100);
            let (arrived, _) = through(&memory, promised, &["0123456789"; 9]);
            assert_eq!(arrived, 5, "{promised:?}");
            assert_eq!(memory.shares.lock().taken(), 0, "it is given back");
        }
    }

    #[test]
    fn one_key_with_much_in_memory_leaves_room_for_others() {
        let memory = Memory::new(1_000);
        let (greedy, modest): (Holder, Holder) = ("greedy".into(), "modest".into());
        let first = memory.reserve(&greedy, 500).expect("half");
        assert_eq!(memory.reserve(&greedy, 1).expect_err("beyond its share").status, 429);
        let other = memory.reserve(&modest, 250).expect("there is room");
        let full = memory.reserve(&"third".into(), 500).expect_err("no room");
        assert_eq!((full.status.as_u16(), full.code), (503, "too_busy"));
        drop((first, other));
        assert_eq!(memory.shares.lock().taken(), 0);
    }
}
