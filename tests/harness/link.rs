//! ● A wire between Postrider and a server, which a story can freeze or cut.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Nothing passes, and nobody is told: a silent partition.
    Frozen,
    /// Connections are cut, and new ones are cut at once.
    Away,
    /// The story is over.
    Gone,
}

/// Forwards connections to one server.
pub struct Link {
    address: SocketAddr,
    wire: Arc<Wire>,
}

struct Wire {
    target: String,
    state: Mutex<State>,
    changed: Condvar,
    streams: Mutex<Vec<TcpStream>>,
}

impl Link {
    /// A wire to `target` (`host:port`), open.
    pub fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let wire = Arc::new(Wire {
            target: target.to_owned(),
            state: Mutex::new(State::Open),
            changed: Condvar::new(),
            streams: Mutex::default(),
        });
        let accepting = Arc::clone(&wire);
        thread::spawn(move || accepting.accept(&listener));
        Link { address, wire }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds everything back; connections stay.
    pub fn freeze(&self) {
        self.wire.set(State::Frozen);
    }

    /// The server is gone: connections break, new ones too.
    pub fn go_away(&self) {
        self.wire.set(State::Away);
    }

    /// Ends a freeze or an absence.
    pub fn come_back(&self) {
        self.wire.set(State::Open);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.wire.set(State::Gone);
        let _ = TcpStream::connect(self.address); // wakes the accepting thread
    }
}

impl Wire {
    fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
        if matches!(state, State::Away | State::Gone) {
            for stream in self.streams.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            let state = *self.state.lock().unwrap();
            let Ok(client) = client else { continue };
            match state {
                State::Gone => return,
                State::Away => {}
                State::Open | State::Frozen => self.connect(client),
            }
        }
    }

    fn connect(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(&self.target) else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let clone = |stream: &TcpStream| stream.try_clone().expect("a second handle of a socket");
        self.streams.lock().unwrap().extend([clone(&client), clone(&server)]);
        for (from, to) in [(clone(&client), clone(&server)), (server, client)] {
            let wire = Arc::clone(self);
            thread::spawn(move || wire.forward(from, to));
        }
    }

    fn forward(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let state = self.state.lock().unwrap();
            let state = self.changed.wait_while(state, |state| *state == State::Frozen).unwrap();
            drop(state);
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
}
