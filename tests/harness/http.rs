//! ● As little of HTTP/1.1 as a receiver needs, in its own hands: so that it can hang, break off and lie.

use std::io::{self, BufRead, Write};

/// A request as it came over the wire.
pub struct HttpRequest {
    /// `/name`
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl HttpRequest {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads the next request of a kept-alive connection; `None` at its end.
pub fn read(stream: &mut impl BufRead) -> io::Result<Option<HttpRequest>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        if name == "content-length" {
            length = value.parse().map_err(io::Error::other)?;
        }
        headers.push((name, value));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some(HttpRequest { path, headers, body }))
}

/// Answers, leaving the connection open.
pub fn answer(stream: &mut impl Write, status: u16, headers: &[(&str, String)], body: &str) -> io::Result<()> {
    use std::fmt::Write as _;
    let mut text = format!("HTTP/1.1 {status} Said\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("\r\n");
    text.push_str(body);
    stream.write_all(text.as_bytes())
}
