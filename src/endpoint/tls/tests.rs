//! ● Handshakes with a real server, in memory.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use rustls::{
    ClientConnection, HandshakeKind, ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use super::*;

/// A certificate that vouches for itself, and its key.
fn made(name: &str, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    change(&mut params);
    (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}

/// A certificate as `openssl req -x509 -subj /CN=hooks.acme.example` makes it: an authority's, and without a host.
fn made_as_by_openssl() -> (String, String) {
    made("hooks.acme.example", |params| {
        params.subject_alt_names.clear();
        params.distinguished_name.push(DnType::CommonName, "hooks.acme.example");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    })
}

/// Result of a connection to `localhost`, to a server that shows `shown`.
fn connect(shown: (&str, &str), trusted: &str) -> Result<(), String> {
    let identity = TlsIdentity::parse(None, Some(trusted)).expect("readable").expect("an identity");
    let configs = Tls::of_this_machine().config(&identity).expect("a configuration");
    let config = Arc::clone(configs.offering(Offer::Http1));
    let name = "localhost".try_into().expect("a name");
    let mut client = ClientConnection::new(config, name).expect("a client");
    let mut server = ServerConnection::new(server(shown)).expect("a server");
    while client.is_handshaking() {
        let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
        client.write_tls(&mut to_server).expect("memory");
        server.read_tls(&mut &to_server[..]).expect("memory");
        let refused = server.process_new_packets().err();
        server.write_tls(&mut to_client).expect("memory");
        client.read_tls(&mut &to_client[..]).expect("memory");
        client.process_new_packets().map_err(|error| in_words(&error))?;
        assert_eq!(refused, None);
    }
    Ok(())
}

fn server((certificate, key): (&str, &str)) -> Arc<ServerConfig> {
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("ring has them").with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).expect("its key");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

#[test]
fn the_very_certificate_that_an_endpoint_names_is_trusted_also_where_it_is_an_authoritys() {
    let (of_openssl, openssl_key) = made_as_by_openssl();
    assert_eq!(connect((&of_openssl, &openssl_key), &of_openssl), Ok(()));
    let (plain, key) = made("localhost", |_| {});
    assert_eq!(connect((&plain, &key), &plain), Ok(()));
    assert_eq!(connect((&of_openssl, &openssl_key), &format!("{plain}{of_openssl}")), Ok(()), "one of several");
}

#[test]
fn another_one_is_refused_in_words_that_say_what_to_do() {
    let says = |shown: (&str, &str), trusted: &str, words: &str| {
        let refusal = connect(shown, trusted).expect_err("it is not trusted");
        assert!(refusal.contains(words), "{refusal}");
    };
    let (other, other_key) = made("localhost", |_| {});
    let (of_openssl, openssl_key) = made_as_by_openssl();
    says((&other, &other_key), &of_openssl, "as tls.ca");
    says((&of_openssl, &openssl_key), &other, "CA:FALSE");
    let long_ago = |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(2000, 1, 1);
    let (expired, key) = made("localhost", long_ago);
    says((&expired, &key), &expired, "has expired");
}

#[test]
fn what_a_receiver_says_of_us_is_put_in_words_too() {
    let alert = |alert| in_words(&rustls::Error::AlertReceived(alert));
    assert!(alert(rustls::AlertDescription::CertificateRequired).contains("mutual_tls"));
    assert!(alert(rustls::AlertDescription::ProtocolVersion).contains("TLS 1.2 and 1.3"));
    assert!(alert(rustls::AlertDescription::InternalError).contains("InternalError"));
    let no_tls = in_words(&rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType));
    assert!(no_tls.contains("https"), "{no_tls}");
}

/// The kind of a handshake with a server, tickets included.
fn handshake(config: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Option<HandshakeKind> {
    let name = "localhost".try_into().expect("a name");
    let mut client = ClientConnection::new(Arc::clone(config), name).expect("a client");
    let mut server = ServerConnection::new(Arc::clone(server)).expect("a server");
    for _ in 0..4 {
        let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
        client.write_tls(&mut to_server).expect("memory");
        server.read_tls(&mut &to_server[..]).expect("memory");
        server.process_new_packets().expect("sound");
        server.write_tls(&mut to_client).expect("memory");
        client.read_tls(&mut &to_client[..]).expect("memory");
        client.process_new_packets().expect("sound");
    }
    client.handshake_kind()
}

#[test]
fn a_session_is_resumed_whatever_is_offered_and_not_under_another_identity() {
    let (certificate, key) = made("localhost", |_| {});
    let server = server((&certificate, &key));
    let identity = TlsIdentity::parse(None, Some(&certificate)).expect("readable").expect("an identity");
    let tls = Tls::of_this_machine();
    let (configs, others) = (tls.config(&identity).expect("sound"), tls.config(&identity).expect("sound"));
    let kind = |configs: &TlsConfigs, offer| handshake(configs.offering(offer), &server);
    assert_eq!(kind(&configs, Offer::Http1), Some(HandshakeKind::Full));
    assert_eq!(kind(&configs, Offer::Http2), Some(HandshakeKind::Resumed));
    assert_eq!(kind(&configs, Offer::Http1), Some(HandshakeKind::Resumed));
    assert_eq!(kind(&others, Offer::Http1), Some(HandshakeKind::Full));
}
