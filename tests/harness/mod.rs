//! ● What the stories are told with: a running Postrider, its Kafka, its Postgres, its customers' receivers, and the
//! books that prove nothing was lost.
//!
//! Every story has its own topics, consumer group, database and processes, so stories run side by side.

pub mod app; // Postrider as its users see it
pub mod process; // one instance of it
pub mod rest; // its API
pub mod kafka; // topics and events
pub mod produced; // what was produced, and where it landed
pub mod postgres; // a database of its own
pub mod link; // a wire that can be cut
pub mod receiver; // customers' HTTP servers
pub mod acceptor; // how their connections come in
pub mod collector; // what takes traces and logs
pub mod names; // a name server
pub mod tls; // servers that are careful about who comes, or not to be trusted
pub mod http2; // servers that speak HTTP/2, well or not
pub mod http; // as little of HTTP as a receiver needs
pub mod hook; // one endpoint's side of a receiver, and what it got
pub mod misbehaving; // answers that no receiver should give
pub mod reset; // connections that end the hard way
pub mod audit; // nothing lost
pub mod findings; // what the books say in the end
pub mod watch; // nothing committed early

use std::{
    thread,
    time::{Duration, Instant},
};

pub use app::{Endpoint, TestApp};
pub use audit::Audit;
pub use findings::Findings;
pub use hook::{Hook, Mode};
pub use kafka::Record;
pub use misbehaving::Misbehavior;
pub use names::Names;
pub use process::Instance;
pub use receiver::{Front, Receiver};

/// How long a condition may take that a working Postrider fulfils in a moment: generous, for busy machines.
pub const SOON: Duration = Duration::from_secs(60);

/// Waits until `look` finds what it looks for. `what` says what was missed when it never does.
#[track_caller]
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(SOON, what, look)
}

/// As [`eventually`], with a deadline that is part of the promise.
#[track_caller]
pub fn within<T>(deadline: Duration, what: &str, look: impl FnMut() -> Option<T>) -> T {
    within_looks(deadline, Duration::from_millis(20), what, look)
}

/// As [`within`], looking only so often.
#[track_caller]
pub fn within_looks<T>(deadline: Duration, every: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "not within {deadline:?}: {what}");
        thread::sleep(every);
    }
}

/// Waits until `holds`.
#[track_caller]
pub fn eventually_holds(what: &str, mut holds: impl FnMut() -> bool) {
    within(SOON, what, || holds().then_some(()));
}

/// Runs a future of a client library to its end.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

/// A variable of the services that `make test` and `dev/services env` set.
#[must_use]
pub fn service(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run `make test`, or `dev/services up` and then `eval \"$(dev/services env)\"`")
    })
}
