//! ● A customer's HTTP server: one thread a connection, any number of hooks (paths).

use std::{
    collections::HashMap,
    io::BufReader,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::{
    hook::{Answer, Hook},
    http, reset,
};

/// A server on a port of its own.
pub struct Receiver {
    address: SocketAddr,
    server: Arc<Server>,
}

/// What happens to a connection before anything is read from it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Front {
    #[default]
    Serve,
    /// It is accepted, and never read.
    NeverRead,
    /// It is reset.
    Reset,
}

#[derive(Default)]
struct Server {
    hooks: Mutex<HashMap<String, Hook>>,
    front: Mutex<Front>,
    held: Mutex<Vec<TcpStream>>,
    stopped: AtomicBool,
}

impl Receiver {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let server = Arc::new(Server::default());
        let accepting = Arc::clone(&server);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.stopped.load(Ordering::Acquire) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let server = Arc::clone(&accepting);
                thread::spawn(move || server.serve(stream));
            }
        });
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
        let hook = Hook::new(name, format!("http://{}/{name}", self.address));
        let earlier = self.server.hooks.lock().unwrap().insert(format!("/{name}"), hook.clone());
        assert!(earlier.is_none(), "hook {name} exists already");
        hook
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.stopped.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address); // wakes the accepting thread
        for hook in self.server.hooks.lock().unwrap().values() {
            hook.end();
        }
    }
}

impl Server {
    fn serve(&self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        match *self.front.lock().unwrap() {
            Front::Serve => {}
            // Kept, so that it stays open; nobody reads from it.
            Front::NeverRead => return self.held.lock().unwrap().push(stream),
            Front::Reset => return reset::at_close(&stream),
        }
        let mut writer = stream.try_clone().expect("a second handle of a socket");
        let mut reader = BufReader::with_capacity(64 * 1024, stream);
        while let Ok(Some(request)) = http::read(&mut reader) {
            let hook = self.hooks.lock().unwrap().get(&request.path).cloned();
            let answer = match hook {
                Some(hook) => hook.take(request),
                None => Answer::of(404, "no such hook"),
            };
            let kept = match answer {
                Answer::Say { status, headers, body } => http::answer(&mut writer, status, &headers, &body).is_ok(),
                Answer::Rude(rude) => rude.answer(&mut writer, &|| self.stopped.load(Ordering::Acquire)),
                Answer::BreakOff => false,
            };
            if !kept {
                return;
            }
        }
    }
}
