//! ● The accepting side of the story's own servers: each connection on a thread of its own, until the server is over.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

/// Listens on a free port of loopback. Connections go to `serve` until `is_stopped`, which is looked at when one comes:
/// [`wake`] makes one come.
pub fn accept_each(
    is_stopped: impl Fn() -> bool + Send + 'static,
    serve: impl Fn(TcpStream) + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming() {
            if is_stopped() {
                return;
            }
            let (Ok(stream), serve) = (stream, Arc::clone(&serve)) else { continue };
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Lets the accepting thread see that its server is over.
pub fn wake(address: SocketAddr) {
    let _ = TcpStream::connect(address);
}
