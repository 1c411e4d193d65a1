use std::io::Read;

use http::{HeaderMap, HeaderName};
use standardwebhooks::Webhook;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // In a handler: the request's own headers, and its body as it came.
    let mut headers = HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(HeaderName::from_static(name), std::env::var(name)?.parse()?);
    }
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body)?;

    Webhook::new(&std::env::var("WEBHOOK_SECRET")?)?.verify(&body, &headers)?;
    let event: serde_json::Value = serde_json::from_slice(&body)?;
    println!("{}", event["type"].as_str().unwrap_or_default());
    Ok(())
}
