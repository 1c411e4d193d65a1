//! ● State that the endpoint actors of one core share.

use std::{
    rc::Rc,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use crate::{
    backlog::writer::BacklogWriter,
    dead_letter::writer::DeadLetterWriter,
    endpoint::{
        attempt_log::AttemptLog, client::CoreClient, delivery::DeliveryLimits, local_outage::LocalOutage,
        shares::CoreShares, supervisor::Notices,
    },
    flow::counters::{CoreCounters, FlowCounters},
    trace::Tracer,
};

/// State that the endpoint actors of one core share.
pub struct Core {
    pub index: usize,
    pub client: Rc<CoreClient>,
    /// One endpoint after the other parks, customers in turn.
    pub park_turns: CoreShares,
    pub limits: DeliveryLimits,
    /// An actor with nothing to do for this long gives its memory back.
    pub idle_after: Duration,
    pub backlog: BacklogWriter,
    pub dead_letters: DeadLetterWriter,
    pub report: AttemptLog,
    pub notices: Notices,
    /// Detection of local outages, shared by all cores.
    pub local_outage: Arc<LocalOutage>,
    /// Live instances, which share an endpoint's rate limit.
    pub instances: Arc<AtomicU32>,
    pub tracer: Option<Arc<Tracer>>,
    /// Counters of the flow control.
    pub flow: Arc<FlowCounters>,
}

impl Core {
    pub(super) fn counters(&self) -> &CoreCounters {
        self.flow.core(self.index)
    }
}
