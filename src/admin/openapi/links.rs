//! ○ From an answer to what can be done next: the id that it shows is the name in the path, or in the body, of others.

use serde_json::{Map, Value, json};

use super::documented::Documented;

/// Answers that show one thing, or a list of them: the operation, and where in its body the id stands.
const SHOWN: [(&str, &str, &str); 19] = [
    ("createCustomer", "/customers/{name}", "/id"),
    ("putCustomer", "/customers/{name}", "/id"),
    ("putCustomers", "/customers/{name}", "/data/0/id"),
    ("listCustomers", "/customers/{name}", "/data/0/id"),
    ("createEndpoint", "/endpoints/{name}", "/id"),
    ("putEndpoint", "/endpoints/{name}", "/id"),
    ("putEndpoints", "/endpoints/{name}", "/data/0/id"),
    ("listEndpoints", "/endpoints/{name}", "/data/0/id"),
    ("createSubscription", "/subscriptions/{name}", "/id"),
    ("putSubscription", "/subscriptions/{name}", "/id"),
    ("putSubscriptions", "/subscriptions/{name}", "/data/0/id"),
    ("listSubscriptions", "/subscriptions/{name}", "/data/0/id"),
    ("listDeadLetters", "/dead-letters/{id}", "/data/0/id"),
    ("listOperatorDeadLetters", "/dead-letters/{id}", "/data/0/id"),
    ("createReplay", "/replays/{id}", "/id"),
    ("listReplays", "/replays/{id}", "/data/0/id"),
    ("createApiKey", "/api-keys/{id}", "/id"),
    ("listApiKeys", "/api-keys/{id}", "/data/0/id"),
    ("listActors", "/actors/{id}", "/data/0/id"),
];

/// The use of a new resource: the member of the other operation's body that names it.
const WANTED: [(&str, &str, &str); 5] = [
    ("/customers/{name}", "createEndpoint", "customer_id"),
    ("/customers/{name}", "createApiKey", "customer_id"),
    ("/endpoints/{name}", "createSubscription", "endpoint_id"),
    ("/endpoints/{name}", "createReplay", "endpoint_id"),
    ("/endpoints/{name}", "match", "endpoint_id"),
];

/// Commands on the letters of a list: the list, and the command.
const COMMANDED: [(&str, &str); 3] = [
    ("listDeadLetters", "acknowledgeDeadLetters"),
    ("listDeadLetters", "redriveDeadLetters"),
    ("listOperatorDeadLetters", "acknowledgeOperatorDeadLetters"),
];

/// The links of an operation's good answers, by the names of the operations that they lead to.
#[must_use]
pub(super) fn links(operation: &Documented, all: &[Documented]) -> Map<String, Value> {
    let mut links = Map::new();
    let Some((_, path, at)) = SHOWN.iter().find(|(id, ..)| *id == operation.id) else { return links };
    let id = format!("$response.body#{at}");
    let part = if path.ends_with("{id}") { "id" } else { "name" };
    for other in all.iter().filter(|other| other.path.starts_with(path)) {
        let link = json!({"operationId": other.id, "parameters": {part: id}});
        links.insert(other.id.to_owned(), link);
    }
    for (_, other, member) in WANTED.iter().filter(|(from, ..)| from == path) {
        links.insert((*other).to_owned(), json!({"operationId": other, "requestBody": {*member: id}}));
    }
    for (_, command) in COMMANDED.iter().filter(|(list, _)| *list == operation.id) {
        let mut link = json!({"operationId": command, "requestBody": {"ids": [id]}});
        if operation.path.contains("{name}") {
            link["parameters"] = json!({"name": "$request.path.name"});
        }
        links.insert((*command).to_owned(), link);
    }
    links
}

#[cfg(test)]
mod tests {
    use super::{super::documented::documented, *};

    fn of(id: &str) -> Map<String, Value> {
        let all = documented();
        links(all.iter().find(|operation| operation.id == id).expect("an operation"), &all)
    }

    #[test]
    fn what_creates_or_shows_an_endpoint_leads_to_everything_that_is_done_with_one() {
        let links = of("createEndpoint");
        for id in ["readEndpoint", "pauseEndpoint", "readStats", "redriveDeadLetters", "deleteEndpoint"] {
            assert_eq!(links[id]["parameters"], json!({"name": "$response.body#/id"}), "{id}");
        }
        assert_eq!(links["createSubscription"]["requestBody"], json!({"endpoint_id": "$response.body#/id"}));
        assert_eq!(of("listEndpoints")["readStats"]["parameters"]["name"], "$response.body#/data/0/id");
        assert_eq!(of("listDeadLetters")["redriveDeadLetters"]["parameters"]["name"], "$request.path.name");
        assert!(of("readOverview").is_empty());
    }

    #[test]
    fn every_operation_that_is_named_exists() {
        let all = documented();
        let exists = |id: &str| all.iter().any(|operation| operation.id == id);
        for id in SHOWN
            .iter()
            .map(|(id, ..)| id)
            .chain(WANTED.iter().map(|(_, id, _)| id))
            .chain(COMMANDED.iter().map(|(_, id)| id))
        {
            assert!(exists(id), "{id}");
        }
    }
}
