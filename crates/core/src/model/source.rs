//! ○ Sources of events: each event knows the one that it came from, and that one is told what became of it.
//!
//! No method here has a default: a source that has no backlog says so by [`NoBacklog`], and cannot forget to say it.

use std::{fmt, sync::Arc};

use super::{
    parking::KeyNumber,
    receipt::{Abandoned, Done, Settlement},
};

/// The way in which an event came into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// Read from Kafka by the assignment of its partition.
    Live,
    /// A row of the backlog.
    Backlog,
    /// A dead letter on its redrive.
    Redrive,
    /// Read from Kafka again, for one endpoint.
    Replay,
    /// Made by us, to try an endpoint.
    Test,
}

impl SourceKind {
    /// Its word in traces.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SourceKind::Live => "kafka",
            SourceKind::Backlog => "backlog",
            SourceKind::Redrive => "redrive",
            SourceKind::Replay => "replay",
            SourceKind::Test => "test",
        }
    }

    /// True if its events are stored in Postgres, as rows of the backlog or as letters: leaving memory costs them nothing but
    /// an attempt's note.
    #[must_use]
    pub fn is_stored(self) -> bool {
        matches!(self, SourceKind::Backlog | SourceKind::Redrive)
    }
}

/// The kind of a source, and the partition that its events are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceName {
    pub kind: SourceKind,
    pub topic: Arc<str>,
    pub partition: i32,
}

/// The right of this instance to a source's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    Current,
    /// Nothing more of it is sent, but the ends of its events are for us to write down: rows of an ordered endpoint that are to
    /// be read again.
    Owned,
    /// The assignment it was read in is over: the new owner has the events.
    Lost,
}

/// A source of events: a partition's assignment, the backlog, a redrive, a replay, a test. Called from any thread;
/// implementations take a short lock and never block.
pub trait EventSource: Send + Sync + fmt::Debug {
    fn name(&self) -> &SourceName;

    fn claim(&self) -> Claim;

    /// The backlog and the gaps of its partition, as its events meet them.
    fn backlog(&self) -> &dyn SourceBacklog;

    /// `receipts` receipts have settled in this way. They were the last ones of the events `done`, which is empty where
    /// none was; it has the events that nothing matched as well, and those had no receipts.
    fn settled(&self, how: Settlement, receipts: usize, done: &[Done]);

    /// A receipt was dropped unsettled; it must be tried again, or given up after the third time. Not called once the
    /// claim is another than [`Claim::Current`].
    fn abandoned(&self, receipt: Abandoned);
}

impl dyn EventSource + '_ {
    /// True if its events may still be sent.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.claim() == Claim::Current
    }

    /// True if the ends of its events are for us to write down.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        self.claim() != Claim::Lost
    }

    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.name().kind.is_stored()
    }

    /// True if its event is a dead letter: leaving memory undelivered, it stays that letter.
    #[must_use]
    pub fn is_letter(&self) -> bool {
        self.name().kind == SourceKind::Redrive
    }
}

/// A source that nobody tells anything: of events that no partition and no table waits for.
#[derive(Debug)]
pub struct Unattended(pub SourceName);

impl EventSource for Unattended {
    fn name(&self) -> &SourceName {
        &self.0
    }

    fn claim(&self) -> Claim {
        Claim::Current
    }

    fn backlog(&self) -> &dyn SourceBacklog {
        &NoBacklog
    }

    fn settled(&self, _how: Settlement, _receipts: usize, _done: &[Done]) {}

    fn abandoned(&self, _receipt: Abandoned) {}
}

/// The part of a source's partition that an endpoint has not got yet. Asked at the moment of each decision: a count that was
/// handed over earlier would be older than an event that another thread parked meanwhile.
pub trait SourceBacklog: Send + Sync {
    /// Events that an ordered endpoint gets nothing past; with the key, where it is ordered by key.
    fn ahead(&self, endpoint_id: &str, key: Option<KeyNumber>) -> Ahead;

    /// True if an event for this endpoint is to be skipped, its position being all that is stored of it. Each yes is answered
    /// by [`SourceBacklog::skipped`].
    fn skips(&self, endpoint_id: &Arc<str>, offset: i64, at: SkipAt) -> bool;

    /// The position of a skipped event is stored, or it comes again.
    fn skipped(&self, endpoint_id: &str);

    /// An event leaves memory for the backlog; see [`Parking`](super::parking::Parking).
    fn parking(&self, endpoint_id: &Arc<str>, key: Option<KeyNumber>);

    /// Such an event has its row, or comes back unstored.
    fn parked(&self, endpoint_id: &str);
}

/// Events of a partition that an ordered endpoint gets nothing past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// Number of them; `None` while it is not known. More than can be, where they are held up.
    pub events: Option<u64>,
    /// The endpoint missed some while it was suspended, and they have not come back yet.
    pub has_missed: bool,
}

impl Ahead {
    pub const NOTHING: Ahead = Ahead { events: Some(0), has_missed: false };
}

/// The step at which an event may have to be skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipAt {
    /// It comes: skipped while its endpoint is suspended, or is ordered and what it missed is still being replayed.
    Arrival { suspended: bool },
    /// It would leave memory for the backlog of an ordered endpoint.
    Departure,
}

/// The backlog of a source whose events wait for nothing, and are never skipped.
#[derive(Debug)]
pub struct NoBacklog;

impl SourceBacklog for NoBacklog {
    fn ahead(&self, _endpoint_id: &str, _key: Option<KeyNumber>) -> Ahead {
        Ahead::NOTHING
    }

    fn skips(&self, _endpoint_id: &Arc<str>, _offset: i64, _at: SkipAt) -> bool {
        false
    }

    fn skipped(&self, _endpoint_id: &str) {}

    fn parking(&self, _endpoint_id: &Arc<str>, _key: Option<KeyNumber>) {}

    fn parked(&self, _endpoint_id: &str) {}
}
