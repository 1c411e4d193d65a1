//! ● `POST /v1/endpoints/{id}/test`: one synthetic event, right now, whatever the endpoint's state.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use parking_lot::Mutex;
use serde_json::json;

use super::{
    access::Write,
    endpoints::{find, opened},
    problem::Problem,
    request::{self, RawBody},
    responses::visible_answer,
    state::AdminState,
    test_limit::{TestLimit, TestRefusal},
};
use crate::{
    api::{
        attempt::{AttemptOutcome, TestView},
        body,
        endpoint_body::Nothing,
    },
    clock,
    endpoint::{
        client::{ClientLimits, CoreClient},
        test_event,
        tls::Tls,
    },
    fair_share::turns::Turns,
    model::{attempt, outcome::Outcome, settings::Settings},
    store::{
        endpoint_settings::{EndpointHead, state_word},
        endpoints::Endpoint,
    },
};

type State = web::Data<AdminState>;

/// Sends tests: with connections of its own, under the same rules as deliveries.
#[derive(Clone)]
pub struct Tester {
    limits: ClientLimits,
    limit: Arc<Mutex<TestLimit>>,
    turns: Turns,
}

impl Tester {
    /// `limits` are those of deliveries; tests need a few of everything.
    #[must_use]
    pub fn new(limits: ClientLimits) -> Self {
        let few = IN_FLIGHT_MAX;
        let limits = ClientLimits { in_flight_max: few, connections_max: few, tls_clients_max: few, ..limits };
        Tester { limits, limit: Arc::default(), turns: Turns::new("tests", few, 0) }
    }

    /// The client of this thread.
    fn client(&self) -> Rc<CoreClient> {
        thread_local! {
            static CLIENT: RefCell<Option<Rc<CoreClient>>> = const { RefCell::new(None) };
        }
        CLIENT.with(|client| {
            let new = || Rc::new(CoreClient::new(self.limits.clone(), Tls::of_this_machine()));
            Rc::clone(client.borrow_mut().get_or_insert_with(new))
        })
    }
}

pub async fn test(
    access: Write,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    // What is sent is ours to say.
    body::read::<Nothing>(&request::optional_object(&state, &request, body).await?)?;
    let endpoint = find(&state, &access, &request, path).await?;
    let settings = settings(&state, &endpoint)?;
    // One that hangs takes its own key's places alone. One that is refused was no test, and does not count.
    let holder = access.holder();
    let turn = state.tester.turns.take(&holder);
    let _turn = turn.map_err(|refused| Problem::no_share(refused, "tests"))?;
    let counted = state.tester.limit.lock().take(&holder, &endpoint.id, clock::now());
    counted.map_err(too_many)?;
    let tested = test_event::send(&state.tester.client(), Arc::new(settings), rand::random()).await;
    tracing::info!(
        endpoint.id = endpoint.id,
        outcome = tested.note.class,
        status = tested.note.status,
        "endpoint {} was tested",
        endpoint.id
    );
    if tested.outcome == Outcome::Delivered {
        want_probe(&state, &endpoint.id);
    }
    let answer = TestView {
        endpoint_id: endpoint.id,
        state: endpoint.state,
        webhook_id: tested.webhook_id,
        kind: test_event::KIND.to_owned(),
        outcome: AttemptOutcome {
            outcome: attempt::outcome_name(&tested.outcome).to_owned(),
            status: tested.note.status,
            class: tested.note.class.to_owned(),
            duration_ms: u64::try_from(tested.took.as_millis()).unwrap_or(u64::MAX),
            excerpt: tested.note.excerpt.to_string(),
        },
    };
    Ok(visible_answer(&access, &answer))
}

fn too_many(refusal: TestRefusal) -> Problem {
    let (what, wait) = match refusal {
        TestRefusal::Endpoint(wait) => ("this endpoint was tested often in the last minute", wait),
        TestRefusal::Holder(wait) => {
            ("this key, or its customer's keys together, have tested their share of endpoints in the last minute", wait)
        }
        TestRefusal::All(wait) => ("others have tested many endpoints in the last minute", wait),
    };
    let seconds = wait.as_secs().max(1);
    let detail = format!("{what}; try again in {seconds} s");
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tests", detail);
    Problem { retry_after_s: Some(seconds), ..problem }
}

/// Deliveries need not wait for the breaker's time where somebody has just seen that the endpoint answers; at any instance.
fn want_probe(state: &State, id: &str) {
    state.actors.want_probe(id);
    let (peers, id) = (Arc::clone(&state.peers), json!(id));
    actix_rt::spawn(async move {
        let heard = peers.ask::<bool>("/peer/probe", Some(&id)).await;
        for silent in heard.silent {
            tracing::debug!(
                instance = silent.id,
                reason = silent.reason,
                "another instance could not be asked for a probe"
            );
        }
    });
}

/// Settings as an endpoint actor would have them.
fn settings(state: &AdminState, endpoint: &Endpoint) -> Result<Settings, Problem> {
    let secrets = opened(state, endpoint)?;
    let head = EndpointHead {
        id: endpoint.id.clone(),
        customer_id: endpoint.customer_id.clone(),
        version: endpoint.stamps.version,
        state: state_word(endpoint.state).to_owned(),
        url: endpoint.url.clone(),
        restarts: 0,
        suspended: false,
    };
    head.parse(&endpoint.settings, &secrets, clock::wall_ms()).map_err(|reason| {
        let detail = format!("the endpoint cannot be delivered to: {reason}; PUT it again");
        Problem::new(StatusCode::CONFLICT, "endpoint_unreadable", detail)
    })
}

/// Tests under way at once; beyond its share of them a key is refused.
const IN_FLIGHT_MAX: usize = 16;
