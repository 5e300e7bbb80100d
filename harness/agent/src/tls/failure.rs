//! Why TLS failed, for people: who the other side is, what is wrong, and which file or setting it is about.

use std::{io, path::Path};

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use super::{Checks, ClientFiles, Revocation};
use crate::config::RestapiTls;

/// TLS failed, and would fail again.
#[derive(Debug, thiserror::Error)]
#[error("TLS with {peer}: {reason}")]
pub struct TlsFailure {
    peer: String,
    reason: String,
}

/// Whether an error is about TLS, its files included: trying again brings the same.
#[must_use]
pub fn is_of_tls(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput
        || error.get_ref().is_some_and(|inner| inner.is::<TlsFailure>() || inner.is::<Error>())
}

/// What TLS itself says at the bottom of an error. After the handshake that is where a server's verdict on a client's certificate
/// comes to light.
fn verdict<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<Error>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// An error of a connection to `peer`, explained if it is TLS's.
pub(super) fn of_client(files: &ClientFiles, peer: &str, error: io::Error) -> io::Error {
    match verdict(&error) {
        Some(said) => failure(peer, client_reason(files, said)),
        None => io::Error::new(error.kind(), format!("TLS with {peer}: {error}")),
    }
}

/// Any error of a connection to `peer` that is TLS's.
pub(super) fn if_of_tls(
    files: &ClientFiles,
    peer: &str,
    error: &(dyn std::error::Error + 'static),
) -> Option<io::Error> {
    verdict(error).map(|said| failure(peer, client_reason(files, said)))
}

fn failure(peer: &str, reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, TlsFailure { peer: peer.to_owned(), reason })
}

/// Why a server turned a client away, or the client went; `None`: the client is gone, or was never one of TLS's.
pub(super) fn of_server(files: &RestapiTls, error: &io::Error) -> Option<String> {
    let said = verdict(error)?;
    let authorities = files.cafile.as_deref().map(|file| named("restapi.cafile", file)).unwrap_or_default();
    Some(match said {
        Error::NoCertificatesPresented => "it shows no certificate, and restapi.verify_client requires one".to_owned(),
        Error::InvalidCertificate(why) => certificate(said, why, "client", &authorities),
        Error::AlertReceived(alert) if is_about_certificates(*alert) => {
            format!("it does not accept our certificate, {}: {alert:?}", named("restapi.certfile", &files.certfile))
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "it does not speak TLS; restapi.certfile makes this server speak https alone".to_owned()
        }
        other => other.to_string(),
    })
}

fn client_reason(files: &ClientFiles, said: &Error) -> String {
    let cert = files.settings.cert;
    match (said, &files.cert) {
        (Error::InvalidCertificate(why), _) => {
            let authorities = files.cacert.as_deref().map(|file| named(files.settings.cacert, file));
            let text =
                certificate(said, why, "server", &authorities.unwrap_or_else(|| "the system's authorities".into()));
            match why {
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
                    if files.checks == Checks::AuthorityAndLibpqName =>
                {
                    format!("{text}; sslmode verify-ca does not compare names")
                }
                CertificateError::Revoked
                | CertificateError::UnknownRevocationStatus
                | CertificateError::ExpiredRevocationList
                | CertificateError::ExpiredRevocationListContext { .. } => by_lists(files, &text),
                _ => text,
            }
        }
        (Error::AlertReceived(AlertDescription::CertificateRequired), None) => {
            format!("the server requires a client certificate, and none is given: {cert} names one")
        }
        (Error::AlertReceived(alert), Some(file)) if is_about_certificates(*alert) => {
            format!("the server does not accept our certificate, {}: {alert:?}", named(cert, file))
        }
        (Error::AlertReceived(AlertDescription::HandshakeFailure), None) => {
            format!("{said}; a server that requires a client certificate says so, too, and {cert} names none")
        }
        (Error::InvalidMessage(InvalidMessage::InvalidContentType), _) => {
            "the server does not speak TLS there".to_owned()
        }
        _ => said.to_string(),
    }
}

/// With where the lists are, and what they must have.
fn by_lists(files: &ClientFiles, text: &str) -> String {
    let Revocation { file, folder } = files.revocation.clone().unwrap_or_default();
    let places = [("sslcrl", file), ("sslcrldir", folder)];
    let places = places.iter().filter_map(|(setting, path)| Some(named(setting, path.as_deref()?)));
    let places: Vec<String> = places.collect();
    format!("{text}; each needs a valid revocation list of its issuer in {}", places.join(", "))
}

/// What is wrong with the certificate of the other side.
fn certificate(said: &Error, why: &CertificateError, whose: &str, authorities: &str) -> String {
    match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!("{said}: no authority in {authorities} has signed the {whose}'s certificate")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("{said} (subjectAltName)")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => format!(
            "{said}: the {whose}'s certificate, or the one of an authority above it, is not for TLS {whose}s (keyUsage, \
             extendedKeyUsage)"
        ),
        CertificateError::Other(other) => format!("invalid peer certificate: {other} (the {whose}'s certificate)"),
        _ => format!("{said} (the {whose}'s certificate, or one above it)"),
    }
}

const fn is_about_certificates(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
    )
}

fn named(setting: &str, file: &Path) -> String {
    format!("{setting} ({})", file.display())
}
