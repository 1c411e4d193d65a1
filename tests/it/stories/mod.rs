//! The whole of Postrider as a black box, told from its users' side: an event is delivered, survives crashes,
//! rebalances and other customers' trouble, and ends as a dead letter when nothing else is left.

mod delivered; // events reach their endpoints
mod topics; // which records are read
mod source; // logs that are not as they were
mod crash; // a process dies
mod rebalance; // instances come and go
mod drain; // a process is asked to stop
mod panics; // an actor dies
mod isolation; // one customer's trouble
mod concurrency; // how many requests at once
mod egress; // where an endpoint may lead
mod security; // what somebody may try
mod oauth; // endpoints that want a token
mod tls; // endpoints that want a certificate, and those whose own is wrong
mod http2; // endpoints whose requests share a connection
mod local_outage; // nobody can be reached
mod backlog; // what waits for its endpoint
mod ordering; // who asks for order gets it
mod trying; // a test event, right now
mod attempts; // how an endpoint answered
mod dead_letters; // what cannot be delivered
mod redrive; // what was given up is asked for again
mod replays; // Kafka again
mod settings; // what customers change
mod start; // what is needed is not there, or is wrong
mod traces; // what a collector gets of it
mod monitoring; // what operators see
mod counted; // metrics that only operators read
mod api; // what clients send
mod command_line; // the same from a terminal
mod first_steps; // what a newcomer types
mod demo; // what a newcomer sees first
mod million; // the proof, in numbers
