//! ● A customer's HTTP server: one thread a connection, any number of hooks (paths).

use std::{
    collections::HashMap,
    io::{BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use super::{
    acceptor::{accept_each, wake},
    hook::{Answer, Hook},
    http::{self, HttpRequest},
    reset,
};

/// A server on a port of its own.
pub struct Receiver {
    address: SocketAddr,
    server: Arc<Server>,
}

/// What happens to a connection before anything is read from it.
#[derive(Clone, Default)]
pub enum Front {
    #[default]
    Serve,
    /// It is accepted, and never read.
    NeverRead,
    /// It is reset.
    Reset,
    /// It is spoken to in TLS.
    Tls(Arc<rustls::ServerConfig>),
    /// It hears that its version of TLS is not spoken here, as from a server that knows nothing newer than 1.0.
    OldTls,
}

#[derive(Default)]
struct Server {
    hooks: Mutex<HashMap<String, Hook>>,
    front: Mutex<Front>,
    held: Mutex<Vec<TcpStream>>,
    plain: AtomicU32,
    stopped: AtomicBool,
}

impl Receiver {
    pub fn start() -> Self {
        let server = Arc::new(Server::default());
        let (stopping, serving) = (Arc::clone(&server), Arc::clone(&server));
        let is_stopped = move || stopping.stopped.load(Ordering::Acquire);
        let address = accept_each(is_stopped, move |stream| serving.serve(stream));
        Receiver { address, server }
    }

    /// How connections are met from now on.
    pub fn meet(&self, front: Front) {
        *self.server.front.lock().unwrap() = front;
        self.server.held.lock().unwrap().clear();
    }

    /// HOST:PORT
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// A new path that answers 200 until told otherwise.
    pub fn hook(&self, name: &str) -> Hook {
        self.hook_at(name, "http")
    }

    /// As [`Receiver::hook`], behind TLS.
    pub fn https_hook(&self, name: &str) -> Hook {
        self.hook_at(name, "https")
    }

    /// Connections that should have begun with TLS, and did not.
    pub fn plain_connections(&self) -> u32 {
        self.server.plain.load(Ordering::Relaxed)
    }

    fn hook_at(&self, name: &str, scheme: &str) -> Hook {
        let hook = Hook::new(name, format!("{scheme}://{}/{name}", self.address));
        let earlier = self.server.hooks.lock().unwrap().insert(format!("/{name}"), hook.clone());
        assert!(earlier.is_none(), "hook {name} exists already");
        hook
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.stopped.store(true, Ordering::Release);
        wake(self.address);
        for hook in self.server.hooks.lock().unwrap().values() {
            hook.end();
        }
    }
}

impl Server {
    fn serve(&self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let front = self.front.lock().unwrap().clone();
        if matches!(front, Front::Tls(_) | Front::OldTls) && !begins_with_tls(&stream) {
            self.plain.fetch_add(1, Ordering::Relaxed);
            return;
        }
        match front {
            Front::Serve => {}
            // Kept, so that it stays open; nobody reads from it.
            Front::NeverRead => return self.held.lock().unwrap().push(stream),
            Front::Reset => return reset::at_close(&stream),
            Front::Tls(config) => return self.serve_tls(stream, config),
            Front::OldTls => return refuse_tls(stream),
        }
        let mut writer = stream.try_clone().expect("a second handle of a socket");
        let mut reader = BufReader::with_capacity(64 * 1024, stream);
        while let Ok(Some(request)) = http::read(&mut reader) {
            let kept = match self.take(request) {
                Answer::Say { status, headers, body } => http::answer(&mut writer, status, &headers, &body).is_ok(),
                Answer::Misbehavior(misbehavior) => {
                    misbehavior.answer(&mut writer, &|| self.stopped.load(Ordering::Acquire))
                }
                Answer::BreakOff => false,
            };
            if !kept {
                return;
            }
        }
    }
    fn take(&self, request: HttpRequest) -> Answer {
        let hook = self.hooks.lock().unwrap().get(&request.path).cloned();
        match hook {
            Some(hook) => hook.take(request),
            None => Answer::of(404, "no such hook"),
        }
    }

    /// Any misbehavior ends the connection in the middle of the answer, without a word of TLS.
    fn serve_tls(&self, stream: TcpStream, config: Arc<rustls::ServerConfig>) {
        let session = rustls::ServerConnection::new(config).expect("a sound configuration");
        let mut reader = BufReader::new(rustls::StreamOwned::new(session, stream));
        while let Ok(Some(request)) = http::read(&mut reader) {
            let kept = match self.take(request) {
                Answer::Say { status, headers, body } => {
                    http::answer(reader.get_mut(), status, &headers, &body).is_ok()
                }
                Answer::Misbehavior(_) => {
                    let _ = reader.get_mut().write_all(b"HTTP/1.1 200 Said\r\ncontent-length: 100\r\n\r\nhalf");
                    false
                }
                Answer::BreakOff => false,
            };
            if !kept {
                return;
            }
        }
    }
}

fn begins_with_tls(stream: &TcpStream) -> bool {
    const HANDSHAKE: u8 = 22;
    let mut first = [0];
    // Nothing at all is a connection that nobody needed.
    stream.peek(&mut first).is_ok_and(|read| read == 0 || first[0] == HANDSHAKE)
}

fn refuse_tls(mut stream: TcpStream) {
    const FATAL_PROTOCOL_VERSION: [u8; 7] = [21, 3, 1, 0, 2, 2, 70];
    let _ = stream.read(&mut [0; 4096]);
    let _ = stream.write_all(&FATAL_PROTOCOL_VERSION);
}
