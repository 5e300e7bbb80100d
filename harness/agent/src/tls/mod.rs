//! TLS, where the configuration asks for it: rustls with the ring provider, certificates and keys from PEM files.
//!
//! Nothing here runs unless certificates or an `sslmode` are configured: ring draws entropy from the kernel, and simulated
//! agents must not.

mod verify;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use tokio_util::either::Either;

use crate::config::{RestapiTls, VerifyClient};
use verify::Lenient;

/// Where a system keeps the authorities it trusts: Debian, Red Hat, SUSE, Alpine.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whom a client trusts and what it shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFiles {
    /// Authorities that are trusted; `None`: those of the system.
    pub cacert: Option<PathBuf>,
    /// The certificate that is shown.
    pub cert: Option<PathBuf>,
    /// Its key; `None`: in the same file.
    pub key: Option<PathBuf>,
    /// How much of a server's certificate is checked.
    pub checks: Checks,
}

/// How much of a server's certificate is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checks {
    /// An authority that is trusted signed it, for the name that was connected to.
    #[default]
    AuthorityAndName,
    /// An authority that is trusted signed it.
    Authority,
    /// Whatever is shown is trusted.
    Nothing,
}

impl ClientFiles {
    /// Reads the files. `alpn`: the protocol that is spoken inside (`h2`, `http/1.1`, `postgresql`).
    ///
    /// # Errors
    /// `InvalidInput`, naming the file, when one cannot be read or holds nothing of its kind.
    pub fn connector(&self, alpn: &str) -> io::Result<TlsConnector> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let lenient = |authorities| Arc::new(Lenient { authorities, provider: provider() });
        let builder = match self.checks {
            Checks::AuthorityAndName => builder.with_root_certificates(self.roots()?),
            Checks::Authority => builder.dangerous().with_custom_certificate_verifier(lenient(Some(self.roots()?))),
            Checks::Nothing => builder.dangerous().with_custom_certificate_verifier(lenient(None)),
        };
        let mut config = match &self.cert {
            Some(cert) => {
                let key_file = self.key.as_ref().unwrap_or(cert);
                builder
                    .with_client_auth_cert(certificates(cert)?, key(key_file)?)
                    .map_err(|error| wrong(cert, error))?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }

    fn roots(&self) -> io::Result<RootCertStore> {
        if let Some(file) = &self.cacert {
            return authorities(file);
        }
        let found = SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.exists());
        let bundle = found.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "this system has no list of trusted authorities: name a cacert")
        })?;
        let mut roots = RootCertStore::empty();
        // A system's list has entries that rustls does not take; the others count.
        roots.add_parsable_certificates(certificates(bundle)?);
        Ok(roots)
    }
}

/// Opens TLS over a connected stream, as a client.
///
/// # Errors
/// When the server does not prove that it is `host`.
pub async fn connect<S>(connector: &TlsConnector, host: &str, stream: S) -> io::Result<MaybeTls<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, format!("{host}: {error}")))?;
    Ok(MaybeTls::Right(Box::new(TlsStream::from(connector.connect(name, stream).await?))))
}

/// The server's side. Files that changed are read again for the next connection, so that a renewed certificate is served
/// without a restart; while they cannot be read the last good ones stay.
pub struct Acceptor {
    files: RestapiTls,
    loaded: Mutex<(Stamp, TlsAcceptor)>,
}

/// When each of the files was last changed.
type Stamp = Vec<Option<SystemTime>>;

impl Acceptor {
    /// Reads the files.
    ///
    /// # Errors
    /// `InvalidInput`, naming the file, when one cannot be read or holds nothing of its kind.
    pub fn new(files: RestapiTls) -> io::Result<Self> {
        let loaded = Mutex::new((stamp(&files), server_config(&files)?));
        Ok(Self { files, loaded })
    }

    /// The handshake on an accepted connection. Tells also whether the client showed a certificate that we trust.
    ///
    /// # Errors
    /// When the client does not speak TLS, or shows no certificate where one is required.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<(MaybeTls<S>, bool)> {
        let stream = self.current().accept(stream).await?;
        let has_certificate = stream.get_ref().1.peer_certificates().is_some_and(|shown| !shown.is_empty());
        Ok((MaybeTls::Right(Box::new(TlsStream::from(stream))), has_certificate))
    }

    fn current(&self) -> TlsAcceptor {
        // Only replaced as a whole: a panic elsewhere leaves nothing half done.
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(&self.files);
        if now != loaded.0
            && let Ok(config) = server_config(&self.files)
        {
            *loaded = (now, config);
        }
        loaded.1.clone()
    }
}

fn stamp(files: &RestapiTls) -> Stamp {
    let names = [Some(&files.certfile), files.keyfile.as_ref(), files.cafile.as_ref()];
    names.into_iter().flatten().map(|file| fs::metadata(file).and_then(|found| found.modified()).ok()).collect()
}

fn server_config(files: &RestapiTls) -> io::Result<TlsAcceptor> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let builder = match (files.verify_client, &files.cafile) {
        (VerifyClient::None, _) => builder.with_no_client_auth(),
        (_, None) => {
            let text = "restapi.verify_client needs restapi.cafile: the authorities that client certificates are checked against";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        (verify, Some(cafile)) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(cafile)?), provider());
            let verifier = if verify == VerifyClient::Optional { verifier.allow_unauthenticated() } else { verifier };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| wrong(cafile, error))?)
        }
    };
    let key_file = files.keyfile.as_ref().unwrap_or(&files.certfile);
    let config = builder
        .with_single_cert(certificates(&files.certfile)?, key(key_file)?)
        .map_err(|error| wrong(&files.certfile, error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn authorities(file: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| wrong(file, error))?;
    }
    Ok(roots)
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let found = found.map_err(|error| wrong(file, error))?;
    if found.is_empty() { Err(wrong(file, "no certificate (PEM) in it")) } else { Ok(found) }
}

fn key(file: &Path) -> io::Result<PrivateKeyDer<'static>> {
    let text = fs::read_to_string(file).map_err(|error| wrong(file, error))?;
    if is_encrypted(&text) {
        let text = "the private key is encrypted, which is not supported; `openssl pkey -in FILE -out FILE` takes the \
            passphrase away, and the file's permissions protect it";
        return Err(wrong(file, text));
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| wrong(file, format!("no private key: {error}")))
}

/// Whether a PEM file holds an encrypted private key: `BEGIN ENCRYPTED PRIVATE KEY`, or `Proc-Type: 4,ENCRYPTED` inside of an
/// older one.
#[must_use]
pub fn is_encrypted(pem: &str) -> bool {
    pem.lines().any(|line| line.trim() == "-----BEGIN ENCRYPTED PRIVATE KEY-----" || is_old_encryption(line))
}

fn is_old_encryption(line: &str) -> bool {
    line.strip_prefix("Proc-Type:").is_some_and(|kind| kind.trim() == "4,ENCRYPTED")
}

fn wrong(file: &Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", file.display()))
}

/// A connection as it is, or inside TLS.
pub type MaybeTls<S> = Either<S, Box<TlsStream<S>>>;
