//! Who is trusted in a handshake: webpki's rules, and where those are stricter than OpenSSL's the ones of `path`.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
        verify_tls13_signature_with_raw_key,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::{
    certificate::Certificate,
    names,
    path::{Purpose, Rules},
    revocation::List,
};

/// The certificates that are trusted, as webpki takes them and as they are.
#[derive(Clone, Debug)]
pub(super) struct Authorities {
    pub roots: Arc<RootCertStore>,
    pub certificates: Arc<[Certificate]>,
    /// The revocation lists that count; `None`: nothing is revoked.
    pub lists: Option<Arc<[List]>>,
}

impl Authorities {
    /// By the rules of `path`, after webpki has said `refused`, if it was asked. Where both refuse, webpki's reason counts unless
    /// OpenSSL does not know it.
    fn as_openssl(
        &self,
        refused: Option<Error>,
        shown: (&CertificateDer<'_>, &[CertificateDer<'_>]),
        purpose: Purpose,
        now: UnixTime,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<(), Error> {
        let lists = self.lists.as_deref();
        let rules = Rules { trusted: &self.certificates, purpose, now, algorithms: algorithms.all, lists };
        let verified = Certificate::parse(shown.0).and_then(|leaf| {
            // One that cannot be read cannot be on the way.
            let others: Vec<_> = shown.1.iter().filter_map(|other| Certificate::parse(other).ok()).collect();
            rules.verify(&leaf, &others)
        });
        verified.map_err(|error| match refused {
            None | Some(Error::InvalidCertificate(CertificateError::Other(_))) => Error::InvalidCertificate(error),
            Some(refused) => refused,
        })
    }
}

/// How the name of a server counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Not at all.
    Any,
    /// By `subjectAltName` alone (RFC 9110, urllib3 2).
    Alternative,
    /// As in libpq.
    Libpq,
}

/// A client's view of servers. Signatures of handshakes are always checked.
#[derive(Debug)]
pub(super) struct OfServers {
    /// Who must have signed a server's certificate; `None`: anybody.
    pub authorities: Option<Authorities>,
    pub names: Names,
    pub provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for OfServers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(authorities) = &self.authorities {
            let known = &self.provider.signature_verification_algorithms;
            let by_webpki = || {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                verify_server_cert_signed_by_trust_anchor(&parsed, &authorities.roots, intermediates, now, known.all)
            };
            // webpki weighs revocation lists by other rules than OpenSSL (`revocation`).
            let by_webpki = if authorities.lists.is_some() { Err(None) } else { by_webpki().map_err(Some) };
            by_webpki.or_else(|refused| {
                authorities.as_openssl(refused, (end_entity, intermediates), Purpose::Server, now, known)
            })?;
        }
        self.verify_name(end_entity, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature_12(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature_13(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl OfServers {
    fn verify_name(&self, shown: &CertificateDer<'_>, server_name: &ServerName<'_>) -> Result<(), Error> {
        let unnamed = Error::InvalidCertificate(CertificateError::NotValidForName);
        match (self.names, ParsedCertificate::try_from(shown)) {
            (Names::Any, _) => Ok(()),
            (Names::Alternative, Ok(parsed)) => verify_server_name(&parsed, server_name),
            // X.509 v1 has no alternative names.
            (Names::Alternative, Err(_)) => Err(unnamed),
            (Names::Libpq, parsed) => {
                let certificate = Certificate::parse(shown)?;
                if names::is_for(&certificate, &server_name.to_str()) {
                    return Ok(());
                }
                // What webpki says of it names what was shown and what was expected.
                Err(parsed.and_then(|parsed| verify_server_name(&parsed, server_name)).err().unwrap_or(unnamed))
            }
        }
    }
}

/// A server's view of clients.
#[derive(Debug)]
pub(super) struct OfClients {
    authorities: Authorities,
    webpki: Arc<dyn ClientCertVerifier>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl OfClients {
    /// `required`: a client that shows no certificate is turned away.
    ///
    /// # Errors
    /// There is no authority.
    pub fn new(
        authorities: Authorities,
        required: bool,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, rustls::server::VerifierBuilderError> {
        let algorithms = provider.signature_verification_algorithms;
        let webpki = WebPkiClientVerifier::builder_with_provider(Arc::clone(&authorities.roots), provider);
        let webpki = if required { webpki } else { webpki.allow_unauthenticated() };
        Ok(Self { authorities, webpki: webpki.build()?, algorithms })
    }
}

impl ClientCertVerifier for OfClients {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.webpki.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.webpki.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.webpki.verify_client_cert(end_entity, intermediates, now).or_else(|refused| {
            let shown = (end_entity, intermediates);
            self.authorities.as_openssl(Some(refused), shown, Purpose::Client, now, &self.algorithms)?;
            Ok(ClientCertVerified::assertion())
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature_12(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature_13(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The signature of a TLS 1.2 handshake, whatever the version of the certificate.
fn signature_12(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    if ParsedCertificate::try_from(cert).is_ok() {
        return verify_tls12_signature(message, cert, dss, algorithms);
    }
    let of_scheme = algorithms.mapping.iter().filter(|(scheme, _)| *scheme == dss.scheme);
    let of_scheme = of_scheme.flat_map(|(_, algorithms)| algorithms.iter());
    Certificate::parse(cert)?.has_signed(of_scheme, message, dss.signature())?;
    Ok(HandshakeSignatureValid::assertion())
}

/// The signature of a TLS 1.3 handshake, whatever the version of the certificate.
fn signature_13(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    if ParsedCertificate::try_from(cert).is_ok() {
        return verify_tls13_signature(message, cert, dss, algorithms);
    }
    verify_tls13_signature_with_raw_key(message, &Certificate::parse(cert)?.public_key()?, dss, algorithms)
}
