use std::{
    error::Error,
    io::Read,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{engine::general_purpose::STANDARD, Engine};
use hmac_sha256::HMAC;

/// `body`: the bytes that came, whatever they are.
fn is_ours(secret: &str, body: &[u8], id: &str, timestamp: &str, signatures: &str) -> Result<bool, Box<dyn Error>> {
    let key = STANDARD.decode(secret.trim_start_matches("whsec_"))?;
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let is_fresh = now.abs_diff(timestamp.parse()?) < 300;
    let given = signatures.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
    let mut given = given.filter_map(|one| <[u8; 32]>::try_from(one).ok());
    // In constant time.
    Ok(is_fresh && given.any(|one| HMAC::verify(&signed, &key, &one)))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body)?;
    let [secret, id, timestamp, signatures] =
        ["WEBHOOK_SECRET", "webhook-id", "webhook-timestamp", "webhook-signature"].map(std::env::var);
    if !is_ours(&secret?, &body, &id?, &timestamp?, &signatures?)? {
        return Err("wrong signature".into());
    }
    println!("{}", body.len());
    Ok(())
}
