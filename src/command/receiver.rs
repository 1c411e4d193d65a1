//! ● A customer's side, for `listen` and `demo`: an HTTP server that verifies signatures and counts events.

mod body; // ○ one event, or a batch of them
mod verify; // ○ is it really from Postrider?

pub(super) use self::{body::events, verify::Verifier};

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    http::StatusCode,
    web::{Bytes, Data, PayloadConfig, to},
};

/// One request as it came.
pub(super) struct Received {
    pub path: String,
    pub webhook_id: String,
    /// Seconds since 1970, as the header says.
    pub webhook_timestamp: String,
    pub signature: String,
    pub body: Bytes,
}

/// Answers of the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReceiverReply {
    Status(u16),
    /// Reads the request and never answers.
    Hang,
    Slowly(Duration, u16),
}

/// Larger bodies are refused with 413.
const BODY_BYTES_MAX: usize = 16 << 20;

/// Starts a receiver on the running actix system; `look` sees each request and decides the answer.
pub(super) fn start(
    listener: TcpListener,
    look: impl Fn(Received) -> ReceiverReply + Send + Sync + 'static,
) -> io::Result<(SocketAddr, ServerHandle)> {
    let address = listener.local_addr()?;
    let look: Arc<Look> = Arc::new(look);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::from(Arc::new(Shared(Arc::clone(&look)))))
            .app_data(PayloadConfig::new(BODY_BYTES_MAX))
            .default_service(to(receive))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1)
    .listen(listener)?
    .run();
    let handle = server.handle();
    actix::spawn(async move {
        if let Err(error) = server.await {
            eprintln!("the receiver at {address} stopped: {error}");
        }
    });
    Ok((address, handle))
}

type Look = dyn Fn(Received) -> ReceiverReply + Send + Sync;
struct Shared(Arc<Look>);

async fn receive(request: HttpRequest, body: Bytes, shared: Data<Shared>) -> HttpResponse {
    let header = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let reply = shared.0(Received {
        path: request.path().to_owned(),
        webhook_id: header("webhook-id"),
        webhook_timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        body,
    });
    let status = match reply {
        ReceiverReply::Status(status) => status,
        ReceiverReply::Slowly(wait, status) => {
            actix::clock::sleep(wait).await;
            status
        }
        ReceiverReply::Hang => std::future::pending().await,
    };
    HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)).finish()
}
