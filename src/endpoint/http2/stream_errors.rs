//! ○ The meaning of an error of HTTP/2: for the request that it ended, and for the protocol.

use h2::Reason;

/// An error's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ErrorMeaning {
    pub(super) of_request: RequestEnd,
    /// Server and client do not understand one another in this protocol.
    pub(super) misbehaves: bool,
}

/// The end of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestEnd {
    /// The server says that it did nothing with it: it may go again.
    NotProcessed,
    /// The connection ended below it, and nobody knows.
    Lost,
    /// The server broke this request off.
    BrokenOff,
    /// The answer is none.
    Malformed,
}

pub(super) fn meaning(error: &h2::Error) -> ErrorMeaning {
    let reason = error.reason().unwrap_or(Reason::NO_ERROR);
    let of_request = match () {
        // What a GOAWAY leaves out: the streams that it names as taken end by themselves, or with the connection.
        () if error.is_go_away() && error.is_remote() => RequestEnd::NotProcessed,
        () if error.is_reset() && error.is_remote() => match reason {
            Reason::REFUSED_STREAM | Reason::HTTP_1_1_REQUIRED => RequestEnd::NotProcessed,
            // HTTP/1.1 will do better.
            reason if is_misunderstanding(reason) => RequestEnd::Lost,
            _ => RequestEnd::BrokenOff,
        },
        () if error.is_reset() && error.is_library() => RequestEnd::Malformed,
        () if error.is_io() || error.is_go_away() => RequestEnd::Lost,
        () => RequestEnd::BrokenOff,
    };
    let had_enough = error.is_go_away() && reason == Reason::ENHANCE_YOUR_CALM;
    let misbehaves = error.is_library() || error.is_remote() && (is_misunderstanding(reason) || had_enough);
    ErrorMeaning { of_request, misbehaves }
}

/// Reasons by which the other side says that it cannot go on with this protocol.
fn is_misunderstanding(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::PROTOCOL_ERROR
            | Reason::FLOW_CONTROL_ERROR
            | Reason::SETTINGS_TIMEOUT
            | Reason::FRAME_SIZE_ERROR
            | Reason::COMPRESSION_ERROR
            | Reason::INADEQUATE_SECURITY
            | Reason::HTTP_1_1_REQUIRED
    )
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

    #[actix_rt::test]
    async fn the_debug_data_of_a_goaway_is_told_to_nobody() {
        let (here, mut there) = tokio::io::duplex(4096);
        let (mut sender, connection) = h2::client::handshake(here).await.expect("nothing is waited for");
        actix_rt::spawn(async { drop(connection.await) });
        let request = http::Request::builder().uri("https://inside.example/").body(()).expect("a request");
        let (answer, _) = sender.send_request(request, true).expect("it takes streams");
        let go_away = [&[0, 0, 14, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11][..], b"secret"].concat();
        there.write_all(&[&[0, 0, 0, 4, 0, 0, 0, 0, 0][..], &go_away].concat()).await.expect("there is room");
        let error = answer.await.expect_err("there is none");
        assert!(error.to_string().contains("secret"), "otherwise this shows nothing: {error}");
        assert_eq!(in_words(&error), "connection error received: detected excessive load generating behavior");
    }
}
