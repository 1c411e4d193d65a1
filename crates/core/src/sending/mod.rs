//! ○ A request on its way: the addresses it may go to, the connection it takes, its token, and what is kept of its answer.

pub mod egress; // addresses that a connection may be opened to
pub mod names; // what is known of names, and for how long
pub mod idle; // connections kept for the next request
pub mod protocols; // hosts that HTTP/1.1 is spoken with
pub mod allowance; // how much may come on a connection that many requests share
pub mod stream_errors; // what an error of HTTP/2 says of a request
pub mod silence; // when a connection that many requests share is taken for dead
pub mod oauth; // what a token server is asked, and what it says
pub mod redaction; // no answer is kept with our secrets in it
