//! ○ The meaning of an error of HTTP/2: for the request that it ended, and for the protocol.

/// An error, as the library tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamError {
    pub of: ErrorOf,
    pub by: ErrorBy,
    /// Error code of RFC 9113, section 7.
    pub code: u32,
}

/// The part that it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorOf {
    /// A stream, by RST_STREAM.
    Stream,
    /// The connection, by GOAWAY.
    Connection,
    /// The bytes below it.
    Transport,
    /// Neither: what was asked of the library cannot be.
    Use,
}

/// The side that found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorBy {
    Server,
    /// This side, in what the server sent.
    Library,
    /// This side, for a reason of its own.
    Us,
}

/// An error's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorMeaning {
    pub of_request: RequestEnd,
    /// Server and client do not understand one another in this protocol.
    pub misbehaves: bool,
}

/// The end of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestEnd {
    /// The server says that it did nothing with it: it may go again.
    NotProcessed,
    /// The connection ended below it, and nobody knows.
    Lost,
    /// The server broke this request off.
    BrokenOff,
    /// The answer is none.
    Malformed,
}

impl StreamError {
    #[must_use]
    pub fn meaning(self) -> ErrorMeaning {
        let of_request = match (self.of, self.by, self.code) {
            // What a GOAWAY leaves out: the streams that it names as taken end by themselves, or with the connection.
            (ErrorOf::Connection, ErrorBy::Server, _) => RequestEnd::NotProcessed,
            (ErrorOf::Stream, ErrorBy::Server, REFUSED_STREAM | HTTP_1_1_REQUIRED) => RequestEnd::NotProcessed,
            // HTTP/1.1 will do better.
            (ErrorOf::Stream, ErrorBy::Server, code) if is_misunderstanding(code) => RequestEnd::Lost,
            (ErrorOf::Stream, ErrorBy::Library, _) => RequestEnd::Malformed,
            (ErrorOf::Connection | ErrorOf::Transport, ..) => RequestEnd::Lost,
            (ErrorOf::Stream | ErrorOf::Use, ..) => RequestEnd::BrokenOff,
        };
        let misbehaves = match self.by {
            ErrorBy::Library => true,
            ErrorBy::Server => is_misunderstanding(self.code) || self.has_had_enough(),
            ErrorBy::Us => false,
        };
        ErrorMeaning { of_request, misbehaves }
    }

    /// A request that could not even begin: the connection took no more, or no connection could ever send it.
    #[must_use]
    pub fn before_the_request(self) -> RequestEnd {
        match self.of {
            ErrorOf::Use => RequestEnd::BrokenOff,
            ErrorOf::Stream | ErrorOf::Connection | ErrorOf::Transport => RequestEnd::NotProcessed,
        }
    }

    fn has_had_enough(self) -> bool {
        self.of == ErrorOf::Connection && self.code == ENHANCE_YOUR_CALM
    }
}

/// Reasons by which the other side says that it cannot go on with this protocol.
fn is_misunderstanding(code: u32) -> bool {
    matches!(
        code,
        PROTOCOL_ERROR
            | FLOW_CONTROL_ERROR
            | SETTINGS_TIMEOUT
            | FRAME_SIZE_ERROR
            | COMPRESSION_ERROR
            | INADEQUATE_SECURITY
            | HTTP_1_1_REQUIRED
    )
}

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const SETTINGS_TIMEOUT: u32 = 4;
const FRAME_SIZE_ERROR: u32 = 6;
const REFUSED_STREAM: u32 = 7;
const COMPRESSION_ERROR: u32 = 9;
const ENHANCE_YOUR_CALM: u32 = 11;
const INADEQUATE_SECURITY: u32 = 12;
const HTTP_1_1_REQUIRED: u32 = 13;

#[cfg(test)]
mod tests {
    use super::{
        ErrorBy::{Library, Server, Us},
        ErrorOf::{Connection, Stream, Transport, Use},
        RequestEnd::{BrokenOff, Lost, Malformed, NotProcessed},
        *,
    };

    /// RFC 9113, section 7; the last one is none of them.
    const CODES: [u32; 15] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 99];

    /// For each of [`CODES`].
    #[track_caller]
    fn check(of: ErrorOf, by: ErrorBy, ends: [RequestEnd; 15], misbehaves: [bool; 15]) {
        for ((code, of_request), misbehaves) in CODES.into_iter().zip(ends).zip(misbehaves) {
            let error = StreamError { of, by, code };
            assert_eq!(error.meaning(), ErrorMeaning { of_request, misbehaves }, "{error:?}");
        }
    }

    const NEVER: [bool; 15] = [false; 15];
    const ALWAYS: [bool; 15] = [true; 15];
    const T: bool = true;
    const F: bool = false;

    #[test]
    fn a_server_that_resets_a_stream_says_what_became_of_the_request() {
        #[rustfmt::skip]
        let ends = [
            BrokenOff, Lost, BrokenOff, Lost, Lost, BrokenOff, Lost, NotProcessed, BrokenOff, Lost, BrokenOff, BrokenOff, Lost,
            NotProcessed, BrokenOff,
        ];
        check(Stream, Server, ends, [F, T, F, T, T, F, T, F, F, T, F, F, T, T, F]);
    }

    #[test]
    fn a_goaway_sends_what_it_leaves_out_elsewhere() {
        check(Connection, Server, [NotProcessed; 15], [F, T, F, T, T, F, T, F, F, T, F, T, T, T, F]);
    }

    #[test]
    fn whatever_the_library_finds_is_the_servers_mistake() {
        check(Stream, Library, [Malformed; 15], ALWAYS);
        check(Connection, Library, [Lost; 15], ALWAYS);
    }

    #[test]
    fn a_connection_that_is_lost_says_nothing_of_the_request_nor_of_the_protocol() {
        check(Transport, Us, [Lost; 15], NEVER);
        check(Connection, Us, [Lost; 15], NEVER);
    }

    #[test]
    fn what_we_end_ourselves_is_no_misbehaviour() {
        check(Stream, Us, [BrokenOff; 15], NEVER);
        check(Use, Us, [BrokenOff; 15], NEVER);
    }

    #[test]
    fn a_request_that_has_not_begun_goes_again_unless_it_can_never_be_sent() {
        for by in [Server, Library, Us] {
            for (of, end) in
                [(Stream, NotProcessed), (Connection, NotProcessed), (Transport, NotProcessed), (Use, BrokenOff)]
            {
                assert_eq!(StreamError { of, by, code: 0 }.before_the_request(), end, "{of:?} {by:?}");
            }
        }
    }
}
