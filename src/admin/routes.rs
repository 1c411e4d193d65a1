//! ● Every operation of `/v1`: its method, its path, who may call it, and what answers.

use actix_web::{FromRequest, Handler, Resource, Responder, Route, http::Method, web};

use super::{
    access::{AuthorizedHandler, Needs, ShownToCustomers},
    actors, api_keys, attempts, backlog, bulk_customers, bulk_endpoints, bulk_subscriptions, customers,
    dead_letter_redrive, dead_letters, endpoint_commands, endpoint_health, endpoint_test, endpoints, matches,
    openapi::ApiRoute as Listed,
    overview, quotas, replays,
    responses::not_allowed,
    subscriptions,
};

/// An operation of the API.
pub struct Operation {
    pub method: Method,
    /// Below `/v1`.
    pub path: &'static str,
    pub needs: Needs,
    route: Route,
}

/// All of them. Of two paths that a request fits, the first one answers.
#[must_use]
pub fn operations() -> Vec<Operation> {
    vec![
        get("/customers", customers::list),
        post("/customers", customers::create),
        post("/customers/bulk", bulk_customers::upsert),
        get("/customers/{name}", customers::read),
        put("/customers/{name}", customers::put),
        patch("/customers/{name}", customers::patch),
        delete("/customers/{name}", customers::delete),
        get("/customers/{name}/quotas", quotas::read),
        get("/endpoints", endpoints::list),
        post("/endpoints", endpoints::create),
        post("/endpoints/bulk", bulk_endpoints::upsert),
        get("/endpoints/{name}", endpoints::read),
        put("/endpoints/{name}", endpoints::put),
        patch("/endpoints/{name}", endpoints::patch),
        delete("/endpoints/{name}", endpoints::delete),
        post("/endpoints/{name}/enable", endpoint_commands::enable),
        post("/endpoints/{name}/disable", endpoint_commands::disable),
        post("/endpoints/{name}/pause", endpoint_commands::pause),
        post("/endpoints/{name}/resume", endpoint_commands::resume),
        post("/endpoints/{name}/restart", endpoint_commands::restart),
        post("/endpoints/{name}/test", endpoint_test::test),
        post("/endpoints/{name}/secrets/rotate", endpoint_commands::rotate),
        get("/endpoints/{name}/attempts", attempts::list),
        get("/endpoints/{name}/stats", endpoint_health::stats),
        get("/endpoints/{name}/backlog", backlog::read),
        post("/endpoints/{name}/backlog/purge", backlog::purge),
        get("/endpoints/{name}/dead-letters", dead_letters::list_of_endpoint),
        post("/endpoints/{name}/dead-letters/ack", dead_letters::acknowledge),
        post("/endpoints/{name}/dead-letters/redrive", dead_letter_redrive::redrive),
        get("/endpoints/{name}/dead-letters/redrive", dead_letter_redrive::progress),
        get("/subscriptions", subscriptions::list),
        post("/subscriptions", subscriptions::create),
        post("/subscriptions/bulk", bulk_subscriptions::upsert),
        get("/subscriptions/{name}", subscriptions::read),
        put("/subscriptions/{name}", subscriptions::put),
        patch("/subscriptions/{name}", subscriptions::patch),
        delete("/subscriptions/{name}", subscriptions::delete),
        post("/match", matches::who_gets),
        get("/dead-letters", dead_letters::list_of_operator),
        post("/dead-letters/ack", dead_letters::acknowledge_of_operator),
        get("/dead-letters/{id}", dead_letters::read),
        get("/replays", replays::list),
        post("/replays", replays::create),
        get("/replays/{id}", replays::read),
        post("/replays/{id}/cancel", replays::cancel),
        get("/overview", overview::read),
        get("/actors", actors::list),
        get("/actors/{id}", actors::read),
        get("/api-keys", api_keys::list),
        post("/api-keys", api_keys::create),
        get("/api-keys/current", api_keys::current),
        get("/api-keys/{id}", api_keys::read),
        patch("/api-keys/{id}", api_keys::patch),
        delete("/api-keys/{id}", api_keys::revoke),
        post("/api-keys/{id}/rotate", api_keys::rotate),
    ]
}

/// The same for the document.
#[must_use]
pub fn listed() -> Vec<Listed> {
    let listed = |operation: Operation| Listed {
        method: operation.method.to_string(),
        path: operation.path,
        needs: operation.needs,
    };
    operations().into_iter().map(listed).collect()
}

/// The operations as paths; a method that a path does not have answers 405 with those it has.
pub(super) fn resources() -> Vec<Resource> {
    let mut paths: Vec<(&'static str, Vec<Operation>)> = Vec::new();
    for operation in operations() {
        match paths.iter_mut().find(|(path, _)| *path == operation.path) {
            Some((_, of_path)) => of_path.push(operation),
            None => paths.push((operation.path, vec![operation])),
        }
    }
    paths.into_iter().map(|(path, operations)| resource(path, operations)).collect()
}

fn resource(path: &str, operations: Vec<Operation>) -> Resource {
    let allowed: Vec<&str> = operations.iter().map(|operation| operation.method.as_str()).collect();
    let allowed = allowed.join(", ");
    let shown = ShownToCustomers(operations.iter().any(|operation| operation.needs.admits_customers()));
    let resource = web::resource(path).app_data(shown);
    let resource = operations.into_iter().fold(resource, |resource, operation| resource.route(operation.route));
    resource.default_service(web::to(move || not_allowed(allowed.clone())))
}

macro_rules! methods {
    ($($function:ident = $method:ident),*) => {
        $(
            fn $function<H, A>(path: &'static str, handler: H) -> Operation
            where
                H: Handler<A>,
                A: FromRequest + AuthorizedHandler + 'static,
                H::Output: Responder + 'static,
            {
                Operation { method: Method::$method, path, needs: A::NEEDS, route: web::$function().to(handler) }
            }
        )*
    };
}

methods!(get = GET, post = POST, put = PUT, patch = PATCH, delete = DELETE);
