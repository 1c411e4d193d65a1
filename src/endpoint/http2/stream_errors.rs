//! ○ An error of the library in our words.

use h2::Reason;

use crate::endpoint::stream_errors::{ErrorBy, ErrorOf, StreamError};

pub(super) fn stream_error(error: &h2::Error) -> StreamError {
    let of = match () {
        () if error.is_reset() => ErrorOf::Stream,
        () if error.is_go_away() => ErrorOf::Connection,
        () if error.is_io() => ErrorOf::Transport,
        () => ErrorOf::Use,
    };
    let by = match () {
        () if error.is_remote() => ErrorBy::Server,
        () if error.is_library() => ErrorBy::Library,
        () => ErrorBy::Us,
    };
    StreamError { of, by, code: error.reason().unwrap_or(Reason::NO_ERROR).into() }
}

/// An error in words. Of a GOAWAY not its debug data: it is whatever the other side likes, what we sent it included.
pub(super) fn in_words(error: &h2::Error) -> String {
    let Some(reason) = error.reason() else { return error.to_string() };
    let what = if error.is_go_away() { "connection" } else { "stream" };
    let by = if error.is_remote() { "received" } else { "detected" };
    format!("{what} error {by}: {reason}")
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// The error of a request whose server sends its settings and these bytes, and then nothing more.
    async fn error_after(bytes: &[u8]) -> h2::Error {
        let (here, mut there) = tokio::io::duplex(4096);
        let (mut sender, connection) = h2::client::handshake(here).await.expect("nothing is waited for");
        actix_rt::spawn(async { drop(connection.await) });
        let request = http::Request::builder().uri("https://inside.example/").body(()).expect("a request");
        let (answer, _) = sender.send_request(request, true).expect("it takes streams");
        tokio::task::yield_now().await; // it is sent
        there.write_all(&[&[0, 0, 0, 4, 0, 0, 0, 0, 0][..], bytes].concat()).await.expect("there is room");
        there.shutdown().await.expect("it is open");
        answer.await.expect_err("there is none")
    }

    /// A GOAWAY that leaves out every stream.
    fn go_away(code: u8, debug_data: &[u8]) -> Vec<u8> {
        let length = u8::try_from(8 + debug_data.len()).expect("a short text");
        [&[0, 0, length, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, code][..], debug_data].concat()
    }

    #[actix_rt::test]
    async fn the_debug_data_of_a_goaway_is_told_to_nobody() {
        let error = error_after(&go_away(11, b"secret")).await;
        assert!(error.to_string().contains("secret"), "otherwise this shows nothing: {error}");
        assert_eq!(in_words(&error), "connection error received: detected excessive load generating behavior");
    }

    #[actix_rt::test]
    async fn whatever_the_library_says_is_known() {
        let check = async |bytes: &[u8], of, by, code| {
            let error = error_after(bytes).await;
            assert_eq!(stream_error(&error), StreamError { of, by, code }, "{error:?}");
        };
        check(&[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7], ErrorOf::Stream, ErrorBy::Server, 7).await;
        check(&go_away(11, b""), ErrorOf::Connection, ErrorBy::Server, 11).await;
        // A PING of one byte; and a head without a status.
        check(&[0, 0, 1, 6, 0, 0, 0, 0, 0, 0], ErrorOf::Connection, ErrorBy::Library, 1).await;
        check(&[0, 0, 0, 1, 5, 0, 0, 0, 1], ErrorOf::Stream, ErrorBy::Library, 1).await;
        check(&[], ErrorOf::Transport, ErrorBy::Us, 0).await;
    }
}
