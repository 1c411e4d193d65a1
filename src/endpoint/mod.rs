//! 3. Events → HTTP: one supervised actor per customer endpoint around a pure machine.

pub use postrider_core::delivery; // ○ the machine
pub use postrider_core::delivery::attempt_record; // ○ the record of an attempt
pub use postrider_core::delivery::{auto_disable, batch, breaker}; // ○ and its parts
pub use postrider_core::fair_share::max_min as fair_share; // ○ who gets how much of what cannot be taken back
pub use postrider_core::flow::placement; // ○ which core an actor starts on
pub use postrider_core::request; // ○ events → body and headers
pub use postrider_core::routing::subscribed; // ○ what was matched before, matched again
pub use postrider_core::sending::{allowance, silence, stream_errors}; // ○ what comes on a connection that requests share
pub use postrider_core::sending::{egress, idle, names, oauth, protocols, redaction}; // ○ where requests may go, and how
pub use postrider_core::stall::endpoints as stalls; // ○ for whom nothing moves, and why

pub mod local_outage; // ● when nobody can be reached, no endpoint is to blame
pub mod stats; // ○ what is known of an endpoint from outside its actor
pub mod queue; // ○ what waits for the actor; lives outside it, so a panic costs nothing
pub mod shares; // ● fair-share permits, awaited
pub mod waits; // ○ what an attempt waits for
pub mod deadline; // ● request deadline; paused while waiting for our own limits
pub mod name_server; // ● DNS client
pub mod resolver; // ● names → addresses
pub mod connection; // ● bytes to and from an endpoint
pub mod connections; // ● connection pool, bounded by file handles
pub mod http_connection; // ● one exchange on one of them
pub mod http2; // ● many exchanges on one connection
pub mod happy_eyeballs; // ● the first of a host's addresses that answers
pub mod connector; // ● opens connections, to addresses that egress allows
pub mod tls; // ● TLS with an identity and without
pub mod client; // ● the HTTP client of a core
pub mod http_exchange; // ● one request and its whole answer
pub mod token; // ● an endpoint's access token
pub mod request_sender; // ● one endpoint's requests
pub mod test_event; // ● one synthetic event, right now
pub mod delivery_metrics; // ○ counters of attempts
pub mod attempt_log; // ● one line and a few counters an attempt
pub mod actor; // ● the thin shell around the machine
pub mod supervisor; // ● starts, rebuilds and retires endpoint actors
