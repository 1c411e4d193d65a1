//! ● Frames of HTTP/2 (RFC 9113) on a stream whose reads give up after a while. Heads are not read: their stream says enough.

use std::io::{self, ErrorKind, Read, Write};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

pub(super) const INTERNAL_ERROR: u32 = 2;
pub(super) const REFUSED_STREAM: u32 = 7;

/// Of DATA and HEADERS; the same bit says of SETTINGS and PING that they are acknowledged.
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) struct Frame {
    pub(super) kind: u8,
    flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    pub(super) fn ends_stream(&self) -> bool {
        self.flags & END_STREAM != 0
    }
}

pub(super) struct Frames<S> {
    stream: S,
    /// Read, and not yet a whole frame.
    buffer: Vec<u8>,
}

impl<S: Read + Write> Frames<S> {
    pub(super) fn new(stream: S) -> Self {
        Frames { stream, buffer: Vec::new() }
    }

    pub(super) fn read_preface(&mut self) -> io::Result<()> {
        while self.buffer.len() < PREFACE.len() {
            self.read_more()?;
        }
        let read: Vec<u8> = self.buffer.drain(..PREFACE.len()).collect();
        if read == PREFACE { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
    }

    /// The next frame; `None` when none came for a while. Settings, PINGs and windows are seen to.
    pub(super) fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.buffered() {
                match frame.kind {
                    SETTINGS if frame.flags & ACK == 0 => self.write(SETTINGS, ACK, 0, &[])?,
                    PING if frame.flags & ACK == 0 => self.write(PING, ACK, 0, &frame.payload)?,
                    DATA if !frame.payload.is_empty() => {
                        let length = u32::try_from(frame.payload.len()).expect("24 bits").to_be_bytes();
                        self.write(WINDOW_UPDATE, 0, 0, &length)?;
                        if !frame.ends_stream() {
                            self.write(WINDOW_UPDATE, 0, frame.stream, &length)?;
                        }
                        return Ok(Some(frame));
                    }
                    _ => return Ok(Some(frame)),
                }
            } else if !self.read_more()? {
                return Ok(None);
            }
        }
    }

    fn buffered(&mut self) -> Option<Frame> {
        let head = self.buffer.first_chunk::<9>()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        let (kind, flags) = (head[3], head[4]);
        if self.buffer.len() < 9 + length {
            return None;
        }
        let payload = self.buffer.drain(..9 + length).skip(9).collect();
        Some(Frame { kind, flags, stream, payload })
    }

    /// False when nothing came for a while.
    fn read_more(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 16_384];
        match self.stream.read(&mut bytes) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                self.buffer.extend_from_slice(&bytes[..read]);
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn write_settings(&mut self, streams_max: u32) -> io::Result<()> {
        const MAX_CONCURRENT_STREAMS: u16 = 3;
        self.write_setting(MAX_CONCURRENT_STREAMS, streams_max)
    }

    /// Bytes of each body that are taken without more being said.
    pub(super) fn write_window(&mut self, bytes: u32) -> io::Result<()> {
        const INITIAL_WINDOW_SIZE: u16 = 4;
        self.write_setting(INITIAL_WINDOW_SIZE, bytes)
    }

    fn write_setting(&mut self, setting: u16, value: u32) -> io::Result<()> {
        self.write(SETTINGS, 0, 0, &[&setting.to_be_bytes()[..], &value.to_be_bytes()].concat())
    }

    pub(super) fn write_go_away(&mut self, last: u32) -> io::Result<()> {
        self.write(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
    }

    pub(super) fn write_reset(&mut self, stream: u32, reason: u32) -> io::Result<()> {
        self.write(RST_STREAM, 0, stream, &reason.to_be_bytes())
    }

    /// A head with its status and nothing else, in HPACK.
    pub(super) fn write_head(&mut self, stream: u32, status: u16, is_last: bool) -> io::Result<()> {
        const NAMED_AS_STATUS: u8 = 8;
        let mut block = vec![NAMED_AS_STATUS, 3];
        block.extend_from_slice(status.to_string().as_bytes());
        let flags = END_HEADERS | if is_last { END_STREAM } else { 0 };
        self.write(HEADERS, flags, stream, &block)
    }

    pub(super) fn write_data(&mut self, stream: u32, bytes: &[u8]) -> io::Result<()> {
        self.write(DATA, 0, stream, bytes)
    }

    fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.write_raw(&frame)
    }

    pub(super) fn write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }
}
