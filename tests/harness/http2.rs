//! ● A customer's HTTPS server that speaks HTTP/2 in its own hands, frame by frame: so that it can go away, refuse and lie.

mod frames; // as little of HTTP/2 as a receiver needs

use std::{
    io::{BufReader, ErrorKind},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustls::{ServerConnection, StreamOwned};

use self::frames::{DATA, Frame, Frames, HEADERS, INTERNAL_ERROR, REFUSED_STREAM, RST_STREAM};
use super::{
    acceptor::{accept_each, wake},
    hook::Hook,
    http::{self, HttpRequest},
    tls::{Certified, server_config},
};

/// The protocols that it chooses from.
const OFFERS: [&[u8]; 2] = [b"h2", b"http/1.1"];

pub struct Http2Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// The behaviour of a server.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Its limit of concurrent streams.
    pub streams_max: u32,
    pub fault: Fault,
    /// Connections that have the fault; those after them are served well.
    pub faulty_connections: usize,
}

impl Default for Manner {
    fn default() -> Self {
        Manner { streams_max: 100, fault: Fault::None, faulty_connections: usize::MAX }
    }
}

/// A connection's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// After so many requests GOAWAY, which leaves out the last one of them and all later ones.
    GoAwayAfter(usize),
    /// Each so many'th request is refused by RST_STREAM.
    RefuseEach(usize),
    /// Each so many'th request is reset, as by a server that failed in it.
    ResetEach(usize),
    /// After so many requests the next answer breaks off in its body, and with it the connection.
    CloseInAnswer(usize),
    /// After so many requests something comes that is no frame.
    GarbageAfter(usize),
    /// No window for bodies, ever.
    NoWindow,
    /// Instead of a frame an answer of HTTP/1.1.
    NoFrames,
    /// After so many requests nothing comes and nothing is read, for ever.
    SilentAfter(usize),
    /// Once, with requests at hand, nothing is read or written for so long.
    Busy(Duration),
    /// An answer of 200 with a body that goes on for as long as it is taken.
    EndlessBody,
    /// After so many requests the limit of concurrent streams is 1.
    ShrinkAfter(usize),
    /// `103 Early Hints` before each answer.
    Hints,
}

#[derive(Default)]
struct Shared {
    manner: Mutex<Manner>,
    taken: Mutex<Vec<Taken>>,
    /// The ledger of what is taken, where an audit reads it.
    hook: Mutex<Option<Hook>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
    most_streams: AtomicUsize,
    beyond_limit: AtomicUsize,
    stopped: AtomicBool,
}

/// A request that was answered with 200.
#[derive(Clone, Debug)]
pub struct Taken {
    pub body: Vec<u8>,
    pub is_http2: bool,
}

impl Http2Server {
    /// Shows `own`.
    pub fn start(own: &Certified, manner: Manner) -> Self {
        let mut config = server_config(own, None);
        config.alpn_protocols = OFFERS.map(<[u8]>::to_vec).to_vec();
        let config = Arc::new(config);
        let shared = Arc::new(Shared { manner: Mutex::new(manner), ..Shared::default() });
        let (stopping, serving) = (Arc::clone(&shared), Arc::clone(&shared));
        let is_stopped = move || stopping.stopped.load(Ordering::Acquire);
        let address = accept_each(is_stopped, move |stream| serving.serve(stream, Arc::clone(&config)));
        Http2Server { address, shared }
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}/{path}", self.address.port())
    }

    /// A ledger of what is taken from now on. It sees no heads of HTTP/2, so it checks no signatures.
    pub fn hook(&self, name: &str) -> Hook {
        let hook = Hook::new(name, self.url(name));
        *self.shared.hook.lock().unwrap() = Some(hook.clone());
        hook
    }

    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.shared.taken.lock().unwrap().clone()
    }

    /// Connections that somebody opened.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Acquire)
    }

    /// The most that were open at once.
    pub fn most_connections(&self) -> usize {
        self.shared.most_open.load(Ordering::Acquire)
    }

    /// The most streams that one of them had at once.
    pub fn most_streams(&self) -> usize {
        self.shared.most_streams.load(Ordering::Acquire)
    }

    /// Streams that were begun beyond the limit.
    pub fn beyond_limit(&self) -> usize {
        self.shared.beyond_limit.load(Ordering::Acquire)
    }
}

impl Drop for Http2Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        wake(self.address);
    }
}

type TlsStream = StreamOwned<ServerConnection, TcpStream>;

impl Shared {
    fn serve(&self, mut socket: TcpStream, config: Arc<rustls::ServerConfig>) {
        let number = self.connections.fetch_add(1, Ordering::AcqRel);
        let _ = socket.set_nodelay(true);
        let mut tls = ServerConnection::new(config).expect("a server");
        while tls.is_handshaking() {
            if tls.complete_io(&mut socket).is_err() {
                return;
            }
        }
        let open = self.open.fetch_add(1, Ordering::AcqRel) + 1;
        self.most_open.fetch_max(open, Ordering::AcqRel);
        let is_http2 = tls.alpn_protocol() == Some(OFFERS[0]);
        let _ = socket.set_read_timeout(is_http2.then_some(PATIENCE));
        let stream = StreamOwned::new(tls, socket);
        if is_http2 {
            let manner = *self.manner.lock().unwrap();
            let fault = if number < manner.faulty_connections { manner.fault } else { Fault::None };
            // However it ends: the other side has gone.
            let _ = Http2Session::new(self, stream, Manner { fault, ..manner }).serve();
        } else {
            self.serve_http1(stream);
        }
        self.open.fetch_sub(1, Ordering::AcqRel);
    }

    /// Written down before the answer is on the wire.
    fn take(&self, body: Vec<u8>, is_http2: bool) {
        if let Some(hook) = &*self.hook.lock().unwrap() {
            let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
            hook.take(HttpRequest { path: String::new(), headers, body: body.clone() });
        }
        self.taken.lock().unwrap().push(Taken { body, is_http2 });
    }

    fn serve_http1(&self, stream: TlsStream) {
        let mut reader = BufReader::new(stream);
        while let Ok(Some(request)) = http::read(&mut reader) {
            self.take(request.body, false);
            if http::answer(reader.get_mut(), 200, &[], "ok").is_err() {
                return;
            }
        }
    }
}

/// One connection. Requests are answered when nothing more comes for a moment, those that came together all at once.
struct Http2Session<'a> {
    shared: &'a Shared,
    frames: Frames<TlsStream>,
    manner: Manner,
    /// Number of requests that have begun.
    begun: usize,
    /// Streams without an answer: their bodies so far, and whether these are whole.
    open: Vec<(u32, Vec<u8>, bool)>,
    /// After a GOAWAY no stream above this one is looked at.
    last: u32,
}

impl<'a> Http2Session<'a> {
    fn new(shared: &'a Shared, stream: TlsStream, manner: Manner) -> Self {
        let frames = Frames::new(stream);
        Http2Session { shared, frames, manner, begun: 0, open: Vec::new(), last: u32::MAX }
    }

    fn serve(mut self) -> std::io::Result<()> {
        self.frames.read_preface()?;
        if self.manner.fault == Fault::NoFrames {
            return self.frames.write_raw(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
        self.frames.write_settings(self.manner.streams_max)?;
        if self.manner.fault == Fault::NoWindow {
            self.frames.write_window(0)?;
        }
        while !self.shared.stopped.load(Ordering::Acquire) {
            match self.frames.next()? {
                Some(frame) => self.take(frame)?,
                None => self.answer()?,
            }
            if matches!(self.manner.fault, Fault::SilentAfter(count) if self.begun >= count) {
                while !self.shared.stopped.load(Ordering::Acquire) {
                    thread::sleep(PATIENCE);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, frame: Frame) -> std::io::Result<()> {
        match frame.kind {
            HEADERS if frame.stream <= self.last => self.begin(frame.stream, frame.ends_stream())?,
            RST_STREAM => self.open.retain(|(stream, ..)| *stream != frame.stream),
            DATA => {
                if let Some((_, body, is_whole)) = self.open.iter_mut().find(|(stream, ..)| *stream == frame.stream) {
                    body.extend_from_slice(&frame.payload);
                    *is_whole = frame.ends_stream();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, stream: u32, is_whole: bool) -> std::io::Result<()> {
        self.begun += 1;
        match self.manner.fault {
            Fault::GoAwayAfter(count) if self.begun == count => {
                self.last = stream - 2;
                return self.frames.write_go_away(self.last);
            }
            Fault::RefuseEach(count) if self.begun.is_multiple_of(count) => {
                return self.frames.write_reset(stream, REFUSED_STREAM);
            }
            Fault::ResetEach(count) if self.begun.is_multiple_of(count) => {
                return self.frames.write_reset(stream, INTERNAL_ERROR);
            }
            Fault::GarbageAfter(count) if self.begun == count => self.frames.write_raw(&[0xff; 100])?,
            Fault::ShrinkAfter(count) if self.begun == count => {
                self.manner.streams_max = 1;
                self.frames.write_settings(1)?;
            }
            _ => {}
        }
        self.open.push((stream, Vec::new(), is_whole));
        self.shared.most_streams.fetch_max(self.open.len(), Ordering::AcqRel);
        // What was on its way when the limit changed is no fault.
        if !matches!(self.manner.fault, Fault::ShrinkAfter(_)) && self.open.len() > self.manner.streams_max as usize {
            self.shared.beyond_limit.fetch_add(1, Ordering::AcqRel);
        }
        Ok(())
    }

    fn answer(&mut self) -> std::io::Result<()> {
        if let Fault::Busy(time) = self.manner.fault
            && !self.open.is_empty()
        {
            thread::sleep(time);
            self.manner.fault = Fault::None;
            return Ok(()); // PINGs of that time come first
        }
        let (whole, open) = std::mem::take(&mut self.open).into_iter().partition(|(.., is_whole)| *is_whole);
        self.open = open;
        for (stream, body, _) in whole {
            if self.manner.fault == Fault::Hints {
                self.frames.write_head(stream, 103, false)?;
            }
            if matches!(self.manner.fault, Fault::CloseInAnswer(count) if self.begun >= count) {
                self.frames.write_head(stream, 200, false)?;
                self.frames.write_data(stream, b"ha")?;
                return Err(ErrorKind::ConnectionAborted.into());
            }
            self.shared.take(body, true);
            if self.manner.fault == Fault::EndlessBody {
                self.frames.write_head(stream, 200, false)?;
                // More than anybody needs to read, and less than the windows of a few streams take.
                self.frames.write_data(stream, &[b'x'; 10_000])?;
                self.frames.write_data(stream, &[b'x'; 10_000])?;
                continue;
            }
            self.frames.write_head(stream, 200, true)?;
        }
        Ok(())
    }
}

/// Requests that come within this time are answered together.
const PATIENCE: Duration = Duration::from_millis(10);
