//! TLS, where the configuration asks for it: rustls with the ring provider, certificates and keys from PEM files. What OpenSSL
//! accepts with the same files is accepted (`path`), since users' files were made and tried with it.
//!
//! Nothing here runs unless certificates or an `sslmode` are configured: ring draws entropy from the kernel, and simulated
//! agents must not.

mod certificate;
mod constraints;
mod failure;
mod files;
mod names;
mod path;
mod revocation;
mod verify;

use std::{error::Error, io, path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::ServerName,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use tokio_util::either::Either;

pub use self::{
    failure::{TlsFailure, is_of_tls},
    files::is_encrypted,
};
use self::{
    files::{Fresh, authorities, lists, own, system_authorities, system_bundle, wrong},
    verify::{Authorities, Names, OfClients, OfServers},
};
use crate::config::{HostPort, RestapiTls, VerifyClient};

/// A connection as it is, or inside TLS.
pub type MaybeTls<S> = Either<S, Box<TlsStream<S>>>;

/// Whom a client trusts and what it shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFiles {
    /// Certificates that are trusted, with all that they have signed; `None`: those of the system.
    pub cacert: Option<PathBuf>,
    /// The certificate that is shown.
    pub cert: Option<PathBuf>,
    /// Its key; `None`: in the same file.
    pub key: Option<PathBuf>,
    /// How much of a server's certificate is checked.
    pub checks: Checks,
    /// Where revocation lists are, for servers below `cacert`. `None`: nothing is revoked.
    pub revocation: Option<Revocation>,
    /// What these files are called in the configuration.
    pub settings: Settings,
}

/// Where libpq looks for revocation lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocation {
    /// `sslcrl`.
    pub file: Option<PathBuf>,
    /// `sslcrldir`: files that are called by the hash of the authority, as `openssl rehash` does it.
    pub folder: Option<PathBuf>,
}

/// The settings that name the files, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `ctl.cacert`, `etcd3.cacert`, `sslrootcert`.
    pub cacert: &'static str,
    /// `ctl.certfile`, `etcd3.cert`, `sslcert`.
    pub cert: &'static str,
}

impl Default for Settings {
    fn default() -> Self {
        Self { cacert: "cacert", cert: "cert" }
    }
}

/// How much of a server's certificate is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checks {
    /// It is trusted, or an authority that is trusted signed it, for the name that was connected to.
    #[default]
    AuthorityAndName,
    /// The same, with names compared as libpq does.
    AuthorityAndLibpqName,
    /// It is trusted, or an authority that is trusted signed it.
    Authority,
    /// Whatever is shown is trusted.
    Nothing,
}

impl ClientFiles {
    /// Reads the files. `alpn`: the protocol that is spoken inside (`h2`, `http/1.1`, `postgresql`).
    ///
    /// # Errors
    /// `InvalidInput`, naming the file, when one cannot be read or holds nothing of its kind.
    pub fn connector(&self, alpn: &str) -> io::Result<Connector> {
        let names = match self.checks {
            Checks::AuthorityAndName => Names::Alternative,
            Checks::AuthorityAndLibpqName => Names::Libpq,
            Checks::Authority | Checks::Nothing => Names::Any,
        };
        let authorities = match (self.checks, &self.cacert) {
            (Checks::Nothing, _) => None,
            (_, Some(file)) => {
                let lists = self.revocation.as_ref().map(lists).transpose()?.flatten();
                Some(Authorities { lists, ..authorities(file)? })
            }
            (_, None) => Some(system_authorities()?),
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(OfServers { authorities, names, provider: provider() }));
        let mut config = match &self.cert {
            Some(cert) => builder.with_client_cert_resolver(own(cert, self.key.as_ref().unwrap_or(cert))?),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        Ok(Connector { tls: TlsConnector::from(Arc::new(config)), files: Arc::new(self.clone()) })
    }

    /// An error of a connection that was opened with these files, if it is TLS's: the server's verdict on our certificate comes
    /// after the handshake.
    #[must_use]
    pub fn explained(&self, peer: &HostPort, error: &(dyn Error + 'static)) -> Option<io::Error> {
        failure::if_of_tls(self, &peer.to_string(), error)
    }
}

/// Opens TLS as a client.
#[derive(Clone)]
pub struct Connector {
    tls: TlsConnector,
    files: Arc<ClientFiles>,
}

impl Connector {
    /// Opens TLS over a stream that is connected to `peer`.
    ///
    /// # Errors
    /// [`TlsFailure`] when the server does not prove what is checked; whatever the stream reports. Both name `peer`.
    pub async fn connect<S>(&self, peer: &HostPort, stream: S) -> io::Result<MaybeTls<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(peer.host.clone())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, format!("TLS with {peer}: {error}")))?;
        let opened = self.tls.connect(name, stream).await;
        let stream = opened.map_err(|error| failure::of_client(&self.files, &peer.to_string(), error))?;
        Ok(MaybeTls::Right(Box::new(TlsStream::from(stream))))
    }
}

/// The client's side for one purpose. Files that changed are read again for the next connection.
pub struct Connectors {
    files: ClientFiles,
    alpn: &'static str,
    loaded: Fresh<Connector>,
}

impl Connectors {
    /// Nothing is read yet. `alpn`: as in [`ClientFiles::connector`].
    #[must_use]
    pub fn new(files: ClientFiles, alpn: &'static str) -> Self {
        Self { files, alpn, loaded: Fresh::default() }
    }

    /// By the latest files that can be read.
    ///
    /// # Errors
    /// As [`ClientFiles::connector`], when none could be read yet.
    pub fn get(&self) -> io::Result<Connector> {
        let system = if self.files.cacert.is_none() { system_bundle().ok() } else { None };
        let ClientFiles { cacert, cert, key, .. } = &self.files;
        let named = [cacert.as_deref().or(system.as_deref()), cert.as_deref(), key.as_deref()];
        self.loaded.get(&named, || self.files.connector(self.alpn))
    }

    /// What is read.
    #[must_use]
    pub const fn files(&self) -> &ClientFiles {
        &self.files
    }
}

/// The server's side. Files that changed are read again for the next connection, so that a renewed certificate is served
/// without a restart; while they cannot be read the last good ones stay.
pub struct Acceptor {
    files: RestapiTls,
    loaded: Fresh<TlsAcceptor>,
}

impl Acceptor {
    /// Reads the files.
    ///
    /// # Errors
    /// `InvalidInput`, naming the file, when one cannot be read or holds nothing of its kind.
    pub fn new(files: RestapiTls) -> io::Result<Self> {
        let it = Self { loaded: Fresh::default(), files };
        it.current().map(|_| it)
    }

    /// The handshake on an accepted connection. Tells also whether the client showed a certificate that we trust.
    ///
    /// # Errors
    /// When the client does not speak TLS, or shows no certificate where one is required.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<(MaybeTls<S>, bool)> {
        let stream = self.current()?.accept(stream).await?;
        let has_certificate = stream.get_ref().1.peer_certificates().is_some_and(|shown| !shown.is_empty());
        Ok((MaybeTls::Right(Box::new(TlsStream::from(stream))), has_certificate))
    }

    /// What an error of [`Acceptor::accept`] says of the client; `None`: only that it is gone.
    #[must_use]
    pub fn explained(&self, error: &io::Error) -> Option<String> {
        failure::of_server(&self.files, error)
    }

    fn current(&self) -> io::Result<TlsAcceptor> {
        let RestapiTls { certfile, keyfile, cafile, .. } = &self.files;
        self.loaded.get(&[Some(certfile), keyfile.as_deref(), cafile.as_deref()], || server_config(&self.files))
    }
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
            let required = verify == VerifyClient::Required;
            let verifier = OfClients::new(authorities(cafile)?, required, provider());
            builder.with_client_cert_verifier(Arc::new(verifier.map_err(|error| wrong(cafile, error))?))
        }
    };
    let key_file = files.keyfile.as_ref().unwrap_or(&files.certfile);
    let config = builder.with_cert_resolver(own(&files.certfile, key_file)?);
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

#[cfg(test)]
use tests::{test_certificate, test_file};

#[cfg(test)]
mod tests;
