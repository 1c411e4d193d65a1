//! ○ A URL that is accepted is the URL that is sent to: read again it is the same, leads to the same host and port, and
//! carries nothing that the check does not see. A literal address that is accepted is public.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::Uri;
use postrider::model::url::EndpointUrl;

pub(super) fn check(text: &str) {
    let Ok(url) = EndpointUrl::parse(text) else { return };
    let again = EndpointUrl::parse(url.as_str()).expect("what was accepted is accepted again");
    assert_eq!(
        (url.url().host(), url.url().port_or_known_default()),
        (again.url().host(), again.url().port_or_known_default())
    );
    assert!(matches!(url.url().scheme(), "http" | "https"));
    assert!(url.url().username().is_empty() && url.url().password().is_none() && url.url().fragment().is_none());
    // What awc will connect to is parsed by another crate: it must see the same host.
    let uri: Uri = url.as_str().parse().expect("a client can send to what was accepted");
    let host = uri.host().expect("a host").trim_start_matches('[').trim_end_matches(']').to_owned();
    let ours = url.url().host_str().expect("a host").trim_start_matches('[').trim_end_matches(']').to_owned();
    assert_eq!(host.to_ascii_lowercase(), ours.to_ascii_lowercase());
    assert!(uri.authority().is_some_and(|authority| !authority.as_str().contains('@')));
    let egress = postrider::app::default_egress();
    if egress.check_url(&url).is_ok()
        && let Ok(ip) = ours.parse::<IpAddr>()
    {
        let address = SocketAddr::new(ip, 443);
        assert!(egress.check_addresses(&ours, &[address]).is_ok(), "{ours} is checked by its address as well");
    }
}
