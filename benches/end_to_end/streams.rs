//! ● The same by HTTP/2: requests that share a connection, each on a stream of its own.

use std::sync::Arc;

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::Response;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    connection::{Customer, Manner},
    tally::Tally,
};

/// Until the peer is done.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, customer: Customer, tally: Arc<Mutex<Tally>>) {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(STREAMS_MAX).initial_connection_window_size(WINDOW);
    let Ok(mut connection) = builder.handshake::<S, Bytes>(stream).await else { return };
    while let Some(Ok((request, answer))) = connection.accept().await {
        tokio::spawn(exchange(request.into_body(), answer, customer, Arc::clone(&tally)));
    }
}

async fn exchange(mut body: RecvStream, mut answer: SendResponse<Bytes>, customer: Customer, tally: Arc<Mutex<Tally>>) {
    let mut bytes = Vec::with_capacity(1024);
    while let Some(chunk) = body.data().await {
        let Ok(chunk) = chunk else { return };
        bytes.extend_from_slice(&chunk);
        let _of_an_open_stream = body.flow_control().release_capacity(chunk.len());
    }
    // On arrival: the customer's own time is not the sender's.
    tally.lock().count(&bytes, customer.timed);
    if let Manner::Far(after) = customer.manner {
        tokio::time::sleep(after).await;
    }
    let _to_whoever_waits = answer.send_response(Response::new(()), true);
}

/// As many servers have it.
const STREAMS_MAX: u32 = 100;
/// Never what a sender waits for.
const WINDOW: u32 = 16 << 20;
