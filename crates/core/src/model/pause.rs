//! ○ Reasons for which a partition is paused.

/// The reason why a partition is paused. The first reason stays until it resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PauseReason {
    /// Too many events of it are outstanding.
    Events,
    /// Too many bytes of it are outstanding.
    Bytes,
    /// Its oldest unsettled event is too far behind.
    Span,
    /// All partitions together hold too many bytes.
    Memory,
    /// As many events wait in this process as it delivers within the target.
    Window,
    /// Nobody can be reached.
    LocalOutage,
}

impl PauseReason {
    pub const ALL: [PauseReason; 6] = [
        PauseReason::Events,
        PauseReason::Bytes,
        PauseReason::Span,
        PauseReason::Memory,
        PauseReason::Window,
        PauseReason::LocalOutage,
    ];

    /// The word in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            PauseReason::Events => "events",
            PauseReason::Bytes => "bytes",
            PauseReason::Span => "span",
            PauseReason::Memory => "memory",
            PauseReason::Window => "window",
            PauseReason::LocalOutage => "own_trouble",
        }
    }
}
