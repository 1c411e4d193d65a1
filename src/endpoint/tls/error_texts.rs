//! ○ Messages for failed TLS handshakes, which say what to do.

use rustls::{AlertDescription, CertificateError, Error};

/// For attempts and letters: read by whoever runs the receiver.
#[must_use]
pub fn in_words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::AlertReceived(alert) => format!("the receiver broke off the TLS handshake: {}", of_alert(*alert)),
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => {
            format!("the receiver's answer is no TLS; does it speak https at this port? ({error})")
        }
        Error::PeerIncompatible(_) => {
            format!(
                "the receiver and Postrider have no TLS version or cipher in common; TLS 1.2 and 1.3 are spoken ({error})"
            )
        }
        Error::NoCertificatesPresented => "the receiver showed no certificate".to_owned(),
        other => format!("the TLS handshake failed: {other}"),
    }
}

fn of_certificate(error: &CertificateError) -> String {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => "the receiver's certificate has expired".to_owned(),
        E::NotValidYet | E::NotValidYetContext { .. } => "the receiver's certificate is not valid yet".to_owned(),
        E::UnknownIssuer => "the receiver's certificate is of no authority that is trusted here: give the authority's \
                             certificate, or this very one, as tls.ca; if it is a public authority's, the receiver must send \
                             the certificates between as well"
            .to_owned(),
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            format!("the receiver's certificate is not for the host of the URL: {error}")
        }
        E::Revoked => "the receiver's certificate was revoked".to_owned(),
        E::BadSignature => "the signature of the receiver's certificate is wrong".to_owned(),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            format!("the receiver's certificate is not for servers (extended key usage serverAuth): {error}")
        }
        // The library has no word of its own for it.
        E::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "the receiver shows the certificate of an authority (CA:TRUE) as its own: give this very certificate as tls.ca, or \
             make one without it (openssl req -x509 … -addext basicConstraints=critical,CA:FALSE)"
                .to_owned()
        }
        other => format!("the receiver's certificate is refused: {other}"),
    }
}

fn of_alert(alert: AlertDescription) -> String {
    let said = match alert {
        AlertDescription::CertificateRequired => "it wants a client certificate (auth mutual_tls)",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => "it does not take the client certificate that it was shown, or wants one",
        AlertDescription::UnknownCA => "it does not know the authority of the client certificate",
        AlertDescription::CertificateExpired => "the client certificate has expired",
        AlertDescription::CertificateRevoked => "the client certificate was revoked",
        AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => {
            "it wants another version or cipher; TLS 1.2 and 1.3 are spoken"
        }
        AlertDescription::HandshakeFailure => {
            "nothing that it would take was offered, or it wants a client certificate"
        }
        AlertDescription::UnrecognisedName => "it has no certificate for the host of the URL",
        AlertDescription::NoApplicationProtocol => "it speaks neither HTTP/1.1 nor, where `http2` is `auto`, HTTP/2",
        _ => "",
    };
    if said.is_empty() { format!("{alert:?}") } else { format!("{said} ({alert:?})") }
}
