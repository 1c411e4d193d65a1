//! Every example of a body in the document is a request that is taken.

use postrider::admin::{openapi, routes};
use serde_json::{Value, json};

use crate::api::{Api, all};

/// The example of an operation's body.
fn example<'a>(document: &'a Value, operation: &Value) -> Option<&'a Value> {
    let shape = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str()?;
    Some(&document.pointer(shape.trim_start_matches('#'))?["examples"][0])
}

#[actix_rt::test]
async fn every_example_of_the_document_is_a_request_that_is_taken() {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    api.endpoint("acme", "acme-erp").await;
    let (_, key) = api.api_key("operator", None).await;
    let subscription = json!({"endpoint_id": "acme-erp", "topic": "orders", "scope": {"level": "topic"}});
    assert_eq!(api.call("PUT", "/v1/subscriptions/acme-2", Some(subscription)).await.0, 201);
    let document = openapi::document(&routes::listed());
    let mut made = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        let name = match path.split('/').nth(2) {
            Some("customers") => "acme",
            Some("endpoints") => "acme-erp",
            Some("subscriptions") => "acme-2",
            _ => key["id"].as_str().expect("an id"),
        };
        let path = path.replace("{name}", name).replace("{id}", name);
        for (method, operation) in item.as_object().expect("operations") {
            let Some(example) = example(&document, operation) else { continue };
            // There is no Kafka to replay from, and no receiver of a test event.
            if path == "/v1/replays" || path.ends_with("/test") {
                continue;
            }
            made += 1;
            let (status, answer) = api.call(&method.to_uppercase(), &path, Some(example.clone())).await;
            assert!(status.is_success(), "{method} {path} {example}: {status} {answer}");
            assert!(operation["responses"].get(status.as_str()).is_some(), "{method} {path}: {status}");
        }
    }
    assert!(made > 15, "{made}");
}
