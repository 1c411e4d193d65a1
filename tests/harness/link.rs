//! ● A wire between Postrider and a server, which a story can freeze or cut.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use super::{kafka, reset};

/// So long nobody answers before a listener counts as full.
const CROWD_WAIT: Duration = Duration::from_millis(300);
const CROWD_MAX: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Nothing passes, and nobody is told: a silent partition.
    Frozen,
    /// Connections are cut, and new ones are cut at once.
    Away,
    /// Connections are cut, and new ones do not come about: nobody answers.
    Unreachable,
    /// The story is over.
    Gone,
}

/// Forwards connections to one server.
pub struct Link {
    address: SocketAddr,
    listener: TcpListener,
    /// What keeps others from connecting.
    crowd: Mutex<Vec<TcpStream>>,
    wire: Arc<Wire>,
}

struct Wire {
    target: String,
    /// Kafka tells its clients where to connect to: here, the wire's own port takes the place of the broker's.
    rewrite: Option<Rewrite>,
    state: Mutex<State>,
    changed: Condvar,
    /// Connections made so far.
    count: Mutex<u64>,
    /// Connections before this one are frozen, whatever the state.
    stuck_before: Mutex<u64>,
    streams: Mutex<Vec<TcpStream>>,
}

struct Rewrite {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Link {
    /// A wire to `target` (`host:port`), open.
    pub fn to(target: &str) -> Self {
        Self::at(Ipv4Addr::LOCALHOST, target)
    }

    /// As [`Link::to`], with an end at this address of the machine.
    pub fn at(ip: Ipv4Addr, target: &str) -> Self {
        Self::new(ip, target, |_| None)
    }

    /// A wire to the broker, open. Who begins with it stays on it.
    pub fn to_kafka() -> Self {
        let target = kafka::brokers();
        let broker: SocketAddr = target.parse().expect("one broker, as an address");
        let place = |address: SocketAddr| {
            let mut bytes = address.ip().to_string().into_bytes();
            bytes.extend(u32::from(address.port()).to_be_bytes());
            bytes
        };
        Self::new(Ipv4Addr::LOCALHOST, &target, |own| Some(Rewrite { from: place(broker), to: place(own) }))
    }

    fn new(ip: Ipv4Addr, target: &str, rewrite: impl FnOnce(SocketAddr) -> Option<Rewrite>) -> Self {
        let listener = TcpListener::bind((ip, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let wire = Arc::new(Wire {
            target: target.to_owned(),
            rewrite: rewrite(address),
            state: Mutex::new(State::Open),
            changed: Condvar::new(),
            count: Mutex::default(),
            stuck_before: Mutex::default(),
            streams: Mutex::default(),
        });
        let accepting = Arc::clone(&wire);
        let accepts = listener.try_clone().expect("a second handle of a socket");
        thread::spawn(move || accepting.accept(&accepts));
        Link { address, listener, crowd: Mutex::default(), wire }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds everything back; connections stay.
    pub fn freeze(&self) {
        self.wire.set(State::Frozen);
    }

    /// As [`Link::freeze`], but only for the connections that exist now, and for ever.
    pub fn freeze_present(&self) {
        *self.wire.stuck_before.lock().unwrap() = *self.wire.count.lock().unwrap();
    }

    /// The server is gone: connections break, new ones too.
    pub fn go_away(&self) {
        self.wire.set(State::Away);
    }

    /// All connections are reset; new ones are served.
    pub fn reset(&self) {
        for stream in self.wire.streams.lock().unwrap().drain(..) {
            reset::at_close(&stream);
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Nobody answers at its address: those who connect time out.
    pub fn vanish(&self) {
        self.wire.set(State::Unreachable);
        // The kernel drops what comes to a full listener.
        self.listen(0);
        let crowd = std::iter::from_fn(|| TcpStream::connect_timeout(&self.address, CROWD_WAIT).ok());
        let crowd: Vec<_> = crowd.take(CROWD_MAX).collect();
        assert!(crowd.len() < CROWD_MAX, "the listener never fills up");
        self.crowd.lock().unwrap().extend(crowd);
    }

    /// The server's process is gone for ever, its machine is there: connections break, new ones are refused.
    pub fn refuse(&self) {
        self.wire.set(State::Unreachable);
        socket2::SockRef::from(&self.listener).shutdown(Shutdown::Read).expect("a listener can be closed");
    }

    /// Ends whatever kept it from being a wire.
    pub fn come_back(&self) {
        self.crowd.lock().unwrap().clear();
        self.listen(128);
        self.wire.set(State::Open);
    }

    fn listen(&self, backlog: i32) {
        socket2::SockRef::from(&self.listener).listen(backlog).expect("a listener listens");
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.come_back();
        self.wire.set(State::Gone);
        let _ = TcpStream::connect(self.address); // wakes the accepting thread
    }
}

impl Wire {
    fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
        if matches!(state, State::Away | State::Unreachable | State::Gone) {
            for stream in self.streams.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            let state = self.state.lock().unwrap();
            let state = *self.changed.wait_while(state, |state| *state == State::Unreachable).unwrap();
            let Ok(client) = client else { continue };
            match state {
                State::Gone => return,
                State::Away | State::Unreachable => {}
                State::Open | State::Frozen => self.connect(client),
            }
        }
    }

    fn connect(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(&self.target) else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let clone = |stream: &TcpStream| stream.try_clone().expect("a second handle of a socket");
        self.streams.lock().unwrap().extend([clone(&client), clone(&server)]);
        let number = {
            let mut count = self.count.lock().unwrap();
            *count += 1;
            *count - 1
        };
        let (wire, from, to) = (Arc::clone(self), clone(&client), clone(&server));
        thread::spawn(move || wire.forward(number, from, to, some));
        let wire = Arc::clone(self);
        thread::spawn(move || match &wire.rewrite {
            None => wire.forward(number, server, client, some),
            Some(rewrite) => wire.forward(number, server, client, |stream| frame(stream, rewrite)),
        });
    }

    fn forward(
        &self,
        number: u64,
        mut from: TcpStream,
        mut to: TcpStream,
        read: impl Fn(&mut TcpStream) -> io::Result<Vec<u8>>,
    ) {
        while let Ok(bytes) = read(&mut from) {
            let mut state = self.state.lock().unwrap();
            while *state == State::Frozen || (*state != State::Gone && number < *self.stuck_before.lock().unwrap()) {
                state = self.changed.wait_timeout(state, LOOK_AGAIN).unwrap().0;
            }
            drop(state);
            if bytes.is_empty() || to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
}

/// Nobody is told when a connection gets stuck.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What there is; nothing at the end.
fn some(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 16 * 1024];
    let read = stream.read(&mut buffer)?;
    buffer.truncate(read);
    Ok(buffer)
}

/// One answer of Kafka's, whole: its length in four bytes, then that many. Addresses in it keep their length.
fn frame(stream: &mut TcpStream, rewrite: &Rewrite) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut frame = length.to_vec();
    frame.resize(4 + u32::from_be_bytes(length) as usize, 0);
    stream.read_exact(&mut frame[4..])?;
    let Rewrite { from, to } = rewrite;
    let mut at = 4;
    // Only short answers carry addresses, and searching long ones would take its time.
    while frame.len() < 64 * 1024 && at + from.len() <= frame.len() {
        if frame[at..].starts_with(from) {
            frame[at..at + to.len()].copy_from_slice(to);
            at += to.len();
        } else {
            at += 1;
        }
    }
    Ok(frame)
}
