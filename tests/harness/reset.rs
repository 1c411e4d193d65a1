//! ● Closing a connection the hard way.

use std::{net::TcpStream, time::Duration};

/// When the last handle of it is closed, the other side gets a RST instead of a FIN.
pub fn at_close(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
