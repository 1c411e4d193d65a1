//! ○ Purpose, parameters and answers of each operation. The roles that may call it, and the answers of every operation,
//! are added from the table of routes.

use crate::api::{
    actor::{ActorEverywhere, ActorPage},
    api_key::{ApiKeyBody, ApiKeyPatch, ApiKeyView, CurrentKey, IssuedApiKey, ListedApiKey, TokenRotationBody},
    attempt::{AttemptPage, TestView},
    customer::{CustomerBody, CustomerQuotas, CustomerView, WrittenCustomer},
    dead_letter_view::{Acknowledged, LetterPage, LetterView, RedriveProgress, Redriving},
    dead_letters::LetterSelection,
    endpoint_backlog::{BacklogView, PurgeResult},
    endpoint_body::{EndpointBody, Nothing, PurgeBody, RotationBody},
    endpoint_health::StatsView,
    endpoint_view::{EndpointView, IssuedEndpoint, ListedEndpoint, WrittenEndpoint},
    match_view::MatchView,
    named_shape::{JsonSchema, NamedShape},
    overview::Overview,
    replay::{ReplayBody, ReplayView},
    resource::{BulkAnswer, ListPage, ListRow},
    sample::MatchBody,
    subscription::{SubscriptionBody, SubscriptionView, WrittenSubscription},
};

/// An operation as it is documented.
#[derive(Debug, Clone)]
pub(super) struct Documented {
    pub method: &'static str,
    pub path: &'static str,
    pub id: &'static str,
    pub summary: &'static str,
    pub about: &'static str,
    /// Parameters of the query, by name.
    pub query: &'static [&'static str],
    pub body: Option<DocumentedBody>,
    /// Status and shape; no shape where there is no body.
    pub answers: Vec<(u16, Option<NamedShape>)>,
    /// Statuses of problems in addition to those that any such operation has.
    pub problems: Vec<u16>,
    /// Takes `If-Match` (and `If-None-Match` with PUT), and gives entity tags.
    pub conditional: bool,
}

#[derive(Debug, Clone)]
pub(super) struct DocumentedBody {
    pub shape: NamedShape,
    pub required: bool,
}

impl Documented {
    fn about(self, about: &'static str) -> Self {
        Documented { about, ..self }
    }

    fn query(self, query: &'static [&'static str]) -> Self {
        Documented { query, ..self }
    }

    fn body<T: JsonSchema>(self) -> Self {
        Documented { body: Some(DocumentedBody { shape: NamedShape::of::<T>(), required: true }), ..self }
    }

    fn optional_body<T: JsonSchema>(self) -> Self {
        Documented { body: Some(DocumentedBody { shape: NamedShape::of::<T>(), required: false }), ..self }
    }

    fn derived_body(self, name: &'static str) -> Self {
        Documented { body: Some(DocumentedBody { shape: NamedShape::derived(name), required: true }), ..self }
    }

    fn answer<T: JsonSchema>(self, status: u16) -> Self {
        self.answered(status, Some(NamedShape::of::<T>()))
    }

    fn answer_as<T: JsonSchema>(self, status: u16, name: &'static str) -> Self {
        self.answered(status, Some(NamedShape::named::<T>(name)))
    }

    fn no_content(self) -> Self {
        self.answered(204, None)
    }

    fn answered(mut self, status: u16, shape: Option<NamedShape>) -> Self {
        self.answers.push((status, shape));
        self
    }

    fn problem(mut self, status: u16) -> Self {
        self.problems.push(status);
        self
    }

    fn conditional(self) -> Self {
        Documented { conditional: true, ..self }
    }
}

const PAGE: &[&str] = &["limit", "cursor"];
const OF_CUSTOMER: &[&str] = &["customer_id"];
const OF_ENDPOINT: &[&str] = &["endpoint_id"];

/// All operations below `/v1`.
#[must_use]
pub(super) fn documented() -> Vec<Documented> {
    [customers(), endpoints(), commands(), of_endpoints(), subscriptions(), letters(), rest(), keys()].concat()
}

fn customers() -> Vec<Documented> {
    vec![
        get("/customers", "listCustomers", "List customers").query(PAGE).answer_as::<ListPage<ListRow<CustomerView>>>(200, "CustomerPage"),
        post("/customers", "createCustomer", "Create a customer")
            .about("A customer's grants are the topics and tenants that its endpoints may subscribe to.")
            .body::<CustomerBody>()
            .answer::<CustomerView>(201),
        post("/customers/bulk", "putCustomers", "Create or replace up to 10,000 customers by your own keys")
            .about("All of them or none; repeating the call changes nothing.")
            .derived_body("CustomersBody")
            .answer_as::<BulkAnswer<WrittenCustomer>>(200, "CustomersWritten"),
        get("/customers/{name}", "readCustomer", "Read a customer").answer::<CustomerView>(200).conditional(),
        put("/customers/{name}", "putCustomer", "Create or replace a customer by your own key")
            .body::<CustomerBody>()
            .answer::<CustomerView>(200)
            .answer::<CustomerView>(201)
            .conditional(),
        patch("/customers/{name}", "patchCustomer", "Change a customer")
            .about("Grants that are taken away no longer match, though subscriptions still stand.")
            .derived_body("CustomerPatch")
            .answer::<CustomerView>(200)
            .conditional(),
        get("/customers/{name}/quotas", "readCustomerQuotas", "How much a customer may have, and has")
            .about("Beyond a quota settings and replays are refused with 409 and quota_exceeded; endpoints that fill a customer's \
                backlogs or dead letters are suspended.")
            .answer::<CustomerQuotas>(200),
        delete("/customers/{name}", "deleteCustomer", "Delete a customer")
            .about("Its endpoints, subscriptions and API keys go with it.")
            .no_content()
            .conditional(),
    ]
}

fn endpoints() -> Vec<Documented> {
    vec![
        get("/endpoints", "listEndpoints", "List endpoints")
            .query(&["limit", "cursor", "customer_id", "q", "state", "sort", "include"])
            .answer_as::<ListPage<ListRow<ListedEndpoint>>>(200, "EndpointPage"),
        post("/endpoints", "createEndpoint", "Create an endpoint")
            .about("The answer shows the signing secret, this once.")
            .body::<EndpointBody>()
            .answer::<IssuedEndpoint>(201),
        post("/endpoints/bulk", "putEndpoints", "Create or replace up to 10,000 endpoints by your own keys")
            .about("All of them or none; repeating the call changes nothing.")
            .derived_body("EndpointsBody")
            .answer_as::<BulkAnswer<WrittenEndpoint>>(200, "EndpointsWritten"),
        get("/endpoints/{name}", "readEndpoint", "Read an endpoint")
            .query(OF_CUSTOMER)
            .answer::<EndpointView>(200)
            .conditional(),
        put("/endpoints/{name}", "putEndpoint", "Create or replace an endpoint by your own key")
            .about("A new endpoint's answer shows its signing secret, this once.")
            .body::<EndpointBody>()
            .answer::<EndpointView>(200)
            .answer::<IssuedEndpoint>(201)
            .conditional(),
        patch("/endpoints/{name}", "patchEndpoint", "Change an endpoint")
            .query(OF_CUSTOMER)
            .derived_body("EndpointPatch")
            .answer::<EndpointView>(200)
            .conditional(),
        delete("/endpoints/{name}", "deleteEndpoint", "Delete an endpoint")
            .about("Its subscriptions go with it, and what waits for it is cancelled.")
            .query(OF_CUSTOMER)
            .no_content()
            .conditional(),
    ]
}

fn commands() -> Vec<Documented> {
    let command =
        |path, id, summary| post(path, id, summary).query(OF_CUSTOMER).answer::<EndpointView>(200).conditional();
    vec![
        command("/endpoints/{name}/enable", "enableEndpoint", "Enable an endpoint"),
        command("/endpoints/{name}/disable", "disableEndpoint", "Disable an endpoint"),
        command("/endpoints/{name}/pause", "pauseEndpoint", "Pause an endpoint: what comes waits"),
        command("/endpoints/{name}/resume", "resumeEndpoint", "Resume a paused endpoint"),
        command("/endpoints/{name}/restart", "restartEndpoint", "Rebuild an endpoint's actor")
            .about("On every instance. What it held waits in the backlog; whatever it had come to is forgotten."),
        post("/endpoints/{name}/test", "testEndpoint", "Send one synthetic event to an endpoint, right now")
            .about("Whatever the endpoint's state. A few times a minute for each endpoint.")
            .query(OF_CUSTOMER)
            .optional_body::<Nothing>()
            .answer::<TestView>(200),
        post("/endpoints/{name}/secrets/rotate", "rotateSecret", "Sign with a new secret")
            .about("The one before goes on signing for overlap_ms (a day). The answer shows the new one, this once.")
            .query(OF_CUSTOMER)
            .optional_body::<RotationBody>()
            .answer::<IssuedEndpoint>(200)
            .conditional(),
    ]
}

fn of_endpoints() -> Vec<Documented> {
    vec![
        get("/endpoints/{name}/stats", "readStats", "Read how an endpoint does")
            .about("The counts are of the last hour, or of the time that since, until and per say; complete but for about a minute.")
            .query(&["customer_id", "per", "since", "until"])
            .answer::<StatsView>(200),
        get("/endpoints/{name}/attempts", "listAttempts", "List how an endpoint answered, the newest first")
            .about("Failures are kept in full; successes are sampled, and counted: include=counts.")
            .query(&["limit", "cursor", "customer_id", "outcome", "since", "until", "event_id", "counts-include", "per"])
            .answer::<AttemptPage>(200),
        get("/endpoints/{name}/backlog", "readBacklog", "Read what waits for an endpoint, and since when")
            .query(OF_CUSTOMER)
            .answer::<BacklogView>(200),
        post("/endpoints/{name}/backlog/purge", "purgeBacklog", "Throw away what waits for an endpoint")
            .query(OF_CUSTOMER)
            .optional_body::<PurgeBody>()
            .answer::<PurgeResult>(200),
        get("/endpoints/{name}/dead-letters", "listDeadLetters", "List an endpoint's dead letters, the oldest first")
            .about(
                "With wait, an empty list is answered when the first letter comes, or when the time is over. To follow the \
                 letters without removing them, pass resume_cursor as cursor, again and again: nothing is missed.",
            )
            .query(&["limit", "cursor", "customer_id", "reason", "topic", "tenant", "since", "until", "data", "wait"])
            .answer::<LetterPage>(200),
        post("/endpoints/{name}/dead-letters/ack", "acknowledgeDeadLetters", "Remove dead letters that were seen")
            .query(OF_CUSTOMER)
            .body::<LetterSelection>()
            .answer::<Acknowledged>(200),
        post("/endpoints/{name}/dead-letters/redrive", "redriveDeadLetters", "Try dead letters again")
            .query(OF_CUSTOMER)
            .body::<LetterSelection>()
            .answer::<Redriving>(202),
        get("/endpoints/{name}/dead-letters/redrive", "readRedrive", "Read how a redrive goes")
            .about(
                "Of the letters that were asked for since requested_at of the redrive's answer, or ever. Those in no count were \
                 acknowledged meanwhile.",
            )
            .query(&["customer_id", "since"])
            .answer::<RedriveProgress>(200),
    ]
}

fn subscriptions() -> Vec<Documented> {
    vec![
        get("/subscriptions", "listSubscriptions", "List subscriptions")
            .query(&["limit", "cursor", "customer_id", "endpoint_id", "topic"])
            .answer_as::<ListPage<ListRow<SubscriptionView>>>(200, "SubscriptionPage"),
        post("/subscriptions", "createSubscription", "Create a subscription")
            .about("In effect about a second later, for events from then on; history is a replay.")
            .body::<SubscriptionBody>()
            .answer::<SubscriptionView>(201)
            .problem(403),
        post(
            "/subscriptions/bulk",
            "putSubscriptions",
            "Create or replace up to 10,000 subscriptions by your own keys",
        )
        .about("All of them or none; repeating the call changes nothing.")
        .derived_body("SubscriptionsBody")
        .answer_as::<BulkAnswer<WrittenSubscription>>(200, "SubscriptionsWritten")
        .problem(403),
        get("/subscriptions/{name}", "readSubscription", "Read a subscription")
            .query(OF_ENDPOINT)
            .answer::<SubscriptionView>(200)
            .conditional(),
        put("/subscriptions/{name}", "putSubscription", "Create or replace a subscription by your own key")
            .body::<SubscriptionBody>()
            .answer::<SubscriptionView>(200)
            .answer::<SubscriptionView>(201)
            .problem(403)
            .conditional(),
        patch("/subscriptions/{name}", "patchSubscription", "Change a subscription")
            .query(OF_ENDPOINT)
            .derived_body("SubscriptionPatch")
            .answer::<SubscriptionView>(200)
            .problem(403)
            .conditional(),
        delete("/subscriptions/{name}", "deleteSubscription", "Delete a subscription")
            .query(OF_ENDPOINT)
            .no_content()
            .conditional(),
        post("/match", "match", "Say who would get an event, and why or why not")
            .about("A dry run: nothing is sent. With endpoint_id, of that endpoint alone.")
            .query(PAGE)
            .body::<MatchBody>()
            .answer::<MatchView>(200)
            .problem(403),
    ]
}

fn letters() -> Vec<Documented> {
    vec![
        get("/dead-letters", "listOperatorDeadLetters", "List records that never got as far as an endpoint")
            .query(&["limit", "cursor", "reason", "topic", "tenant", "since", "until", "data", "wait"])
            .answer::<LetterPage>(200),
        post("/dead-letters/ack", "acknowledgeOperatorDeadLetters", "Remove such records that were seen")
            .body::<LetterSelection>()
            .answer::<Acknowledged>(200),
        get("/dead-letters/{id}", "readDeadLetter", "Read a dead letter with its data").answer::<LetterView>(200),
    ]
}

fn rest() -> Vec<Documented> {
    vec![
        get("/replays", "listReplays", "List replays")
            .query(&["limit", "cursor", "customer_id", "endpoint_id"])
            .answer_as::<ListPage<ReplayView>>(200, "ReplayPage"),
        post("/replays", "createReplay", "Send a closed range of a topic to one endpoint again")
            .about("Events keep the ids they had; only those that the endpoint subscribes to today are sent.")
            .body::<ReplayBody>()
            .answer::<ReplayView>(201)
            .problem(403),
        get("/replays/{id}", "readReplay", "Read how far a replay has come").answer::<ReplayView>(200),
        post("/replays/{id}/cancel", "cancelReplay", "End a replay").answer::<ReplayView>(200),
        get("/overview", "readOverview", "Read how everything is, a quarter of an hour back").answer::<Overview>(200),
        get("/actors", "listActors", "List the actors of all instances, and how they are")
            .query(&["limit", "cursor", "kind", "actor-state", "q", "instance"])
            .answer::<ActorPage>(200),
        get("/actors/{id}", "readActor", "Read one actor, at every instance that has it")
            .query(&["instance"])
            .answer::<ActorEverywhere>(200),
    ]
}

fn keys() -> Vec<Documented> {
    vec![
        get("/api-keys", "listApiKeys", "List API keys")
            .query(&["limit", "cursor", "customer_id", "keys-include"])
            .answer_as::<ListPage<ListedApiKey>>(200, "ApiKeyPage"),
        post("/api-keys", "createApiKey", "Create an API key")
            .about("The answer shows the token, this once.")
            .body::<ApiKeyBody>()
            .answer::<IssuedApiKey>(201),
        get("/api-keys/current", "readCurrentKey", "Say whose key this is").answer::<CurrentKey>(200),
        get("/api-keys/{id}", "readApiKey", "Read an API key").answer::<ApiKeyView>(200),
        patch("/api-keys/{id}", "patchApiKey", "Change an API key's name, or when it ends")
            .body::<ApiKeyPatch>()
            .answer::<ApiKeyView>(200),
        delete("/api-keys/{id}", "revokeApiKey", "Revoke an API key")
            .about("It is refused on every instance within 5 s.")
            .no_content(),
        post("/api-keys/{id}/rotate", "rotateApiKey", "Give an API key another token")
            .about("The one before holds for overlap_ms (a day). The answer shows the new one, this once.")
            .optional_body::<TokenRotationBody>()
            .answer::<IssuedApiKey>(200),
    ]
}

fn operation(method: &'static str, path: &'static str, id: &'static str, summary: &'static str) -> Documented {
    Documented {
        method,
        path,
        id,
        summary,
        about: "",
        query: &[],
        body: None,
        answers: Vec::new(),
        problems: Vec::new(),
        conditional: false,
    }
}

macro_rules! methods {
    ($($function:ident = $method:literal),*) => {
        $(fn $function(path: &'static str, id: &'static str, summary: &'static str) -> Documented {
            operation($method, path, id, summary)
        })*
    };
}

methods!(get = "GET", post = "POST", put = "PUT", patch = "PATCH", delete = "DELETE");
