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
