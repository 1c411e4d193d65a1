//! ● Answers that no receiver should give, and some do.

use std::{
    io::{self, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::Duration,
};

use super::{http, reset};

/// How an answer goes wrong after the request was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehavior {
    /// The head comes byte by byte, for ever.
    DripHead,
    /// 200, and the body comes byte by byte, for ever.
    DripBody,
    /// 200, and a body of 1 GiB.
    EndlessBody,
    /// A header of 64 MiB.
    HugeHead,
    /// Half of the head, then a reset.
    ResetInHead,
    /// 200 and half of the body, then a reset.
    ResetInBody,
    /// 200, then a reset.
    ResetAfter,
    /// 200, then the connection is closed, though nobody said so.
    CloseAfter,
    /// `100 Continue`, and nothing more.
    OnlyContinue,
    /// `100 Continue`, then 200.
    ContinueThenOk,
    /// `103 Early Hints`, twice, then 200.
    HintsThenOk,
    /// 200 with 97 headers.
    ManyHeaders,
    /// 200 with a header on several lines.
    FoldedHeader,
    /// No HTTP.
    Malformed,
}

/// Between two bytes of a drip.
const DRIP: Duration = Duration::from_millis(200);

impl Misbehavior {
    /// What counts as said: a 2xx whose answer is complete, as far as anybody may ask for it.
    pub fn status(self) -> Option<u16> {
        match self {
            Misbehavior::EndlessBody | Misbehavior::ResetAfter | Misbehavior::CloseAfter => Some(200),
            Misbehavior::ContinueThenOk
            | Misbehavior::HintsThenOk
            | Misbehavior::ManyHeaders
            | Misbehavior::FoldedHeader => Some(200),
            _ => None,
        }
    }

    /// Says whether the connection is kept.
    pub(super) fn answer(self, stream: &mut TcpStream, over: &dyn Fn() -> bool) -> bool {
        self.write(stream, over).is_ok_and(|kept| kept)
    }

    fn write(self, stream: &mut TcpStream, over: &dyn Fn() -> bool) -> io::Result<bool> {
        let head = |length: usize| format!("HTTP/1.1 200 Said\r\ncontent-length: {length}\r\n\r\n");
        match self {
            Misbehavior::DripHead => {
                stream.write_all(b"HTTP/1.1 200 Said\r\nx-drip: ")?;
                drip(stream, over)?;
            }
            Misbehavior::DripBody => {
                stream.write_all(head(1 << 20).as_bytes())?;
                drip(stream, over)?;
            }
            Misbehavior::EndlessBody => {
                stream.write_all(head(1 << 30).as_bytes())?;
                pour(stream, 1 << 30)?;
            }
            Misbehavior::HugeHead => {
                stream.write_all(b"HTTP/1.1 200 Said\r\nx-huge: ")?;
                pour(stream, 64 << 20)?;
                stream.write_all(b"\r\ncontent-length: 0\r\n\r\n")?;
            }
            Misbehavior::ResetInHead => {
                stream.write_all(b"HTTP/1.1 200 Sa")?;
                reset::at_close(stream);
            }
            Misbehavior::ResetInBody => {
                stream.write_all(head(100).as_bytes())?;
                stream.write_all(&[b'x'; 50])?;
                reset::at_close(stream);
            }
            Misbehavior::ResetAfter => {
                http::answer(stream, 200, &[], "ok")?;
                reset::at_close(stream);
            }
            Misbehavior::CloseAfter => {
                http::answer(stream, 200, &[], "ok")?;
                stream.shutdown(Shutdown::Write)?;
            }
            Misbehavior::OnlyContinue => {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                return Ok(true);
            }
            Misbehavior::ContinueThenOk => {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                http::answer(stream, 200, &[], "ok")?;
                return Ok(true);
            }
            Misbehavior::HintsThenOk => {
                stream.write_all("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n".repeat(2).as_bytes())?;
                http::answer(stream, 200, &[], "ok")?;
                return Ok(true);
            }
            Misbehavior::ManyHeaders => {
                http::answer(stream, 200, &vec![("x-one-of-many", "x".to_owned()); 95], "ok")?;
                return Ok(true);
            }
            Misbehavior::FoldedHeader => {
                http::answer(stream, 200, &[("x-folded", "one\r\n two\r\n\tthree".to_owned())], "ok")?;
                return Ok(true);
            }
            Misbehavior::Malformed => stream.write_all(b"HTTP/1.1 2OO Fine\r\ncontent-length: 0\r\n\r\n")?,
        }
        Ok(false)
    }
}

/// Until the other side has had enough, or the story is over.
fn drip(stream: &mut TcpStream, over: &dyn Fn() -> bool) -> io::Result<()> {
    while !over() {
        stream.write_all(b"x")?;
        thread::sleep(DRIP); // the receiver's slowness
    }
    Ok(())
}

fn pour(stream: &mut TcpStream, bytes: usize) -> io::Result<()> {
    let chunk = [b'x'; 64 * 1024];
    (0..bytes / chunk.len()).try_for_each(|_| stream.write_all(&chunk))
}
