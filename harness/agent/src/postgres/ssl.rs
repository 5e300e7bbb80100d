//! `sslmode` and its like for the agent's own connections to PostgreSQL, with libpq's meaning (its documentation, "SSL
//! Support"): what Patroni's connections have from libpq. Files in `~/.postgresql` are not looked for.

use std::{collections::BTreeMap, io, path::PathBuf};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::spawn_blocking,
};
use tokio_rustls::TlsConnector;

use super::{Reachability, SqlError};
use crate::{
    config::HostPort,
    tls::{self, Checks, ClientFiles, MaybeTls},
};

/// `SSLRequest` of the protocol: its length, and 1234 and 5679 in the place of a version.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// How a server is spoken to. The default is without TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ssl {
    mode: Mode,
    rootcert: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// `sslmode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// One way of trying to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Plain,
    /// Plain when the server offers no TLS.
    TlsIfOffered,
    Tls,
}

impl Ssl {
    /// By a user's parameters. Without an `sslmode` there is no TLS: whoever reads a configuration file puts libpq's default,
    /// `prefer`, among them, and a simulated agent has none.
    #[must_use]
    pub fn of(options: &BTreeMap<String, String>) -> Self {
        let mode = match options.get("sslmode").map(String::as_str) {
            Some("allow") => Mode::Allow,
            Some("prefer") => Mode::Prefer,
            Some("require") => Mode::Require,
            Some("verify-ca") => Mode::VerifyCa,
            Some("verify-full") => Mode::VerifyFull,
            _ => Mode::Disable,
        };
        let file = |name: &str| options.get(name).map(PathBuf::from);
        Self { mode, rootcert: file("sslrootcert"), cert: file("sslcert"), key: file("sslkey") }
    }

    /// The first way, and the one to turn to when it fails for TLS's or the login's sake.
    pub(super) const fn ways(&self) -> (Way, Option<Way>) {
        match self.mode {
            Mode::Disable => (Way::Plain, None),
            Mode::Allow => (Way::Plain, Some(Way::Tls)),
            Mode::Prefer => (Way::TlsIfOffered, Some(Way::Plain)),
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => (Way::Tls, None),
        }
    }

    /// Opens TLS over a connected stream, unless `way` is without.
    ///
    /// # Errors
    /// `NotConnected`: nothing was sent but the request for TLS.
    pub(super) async fn open<S>(&self, way: Way, to: &HostPort, mut stream: S) -> Result<MaybeTls<S>, SqlError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if way == Way::Plain {
            return Ok(MaybeTls::Left(stream));
        }
        let broken = |error: io::Error| SqlError::NotConnected(Reachability::Unreachable, error.to_string());
        stream.write_all(&SSL_REQUEST).await.map_err(broken)?;
        match stream.read_u8().await.map_err(broken)? {
            b'S' => {}
            b'N' if way == Way::TlsIfOffered => return Ok(MaybeTls::Left(stream)),
            b'N' => return Err(failed(to, "the server offers none (its parameter ssl is off)")),
            // It has no process to spare for us, and says so in the form of a very old protocol.
            _ => return Err(broken(io::Error::other("the server answers the request for TLS with an error"))),
        }
        let connector = self.connector().await.map_err(|error| failed(to, error))?;
        tls::connect(&connector, &to.host, stream).await.map_err(|error| match is_of_tls(&error) {
            true => failed(to, self.explained(&error)),
            false => broken(error),
        })
    }

    /// The files are read for every connection: renewed ones count from the next one on. A disk that hangs holds up nobody
    /// else.
    async fn connector(&self) -> io::Result<TlsConnector> {
        let it = self.clone();
        let read = spawn_blocking(move || it.files().connector("postgresql"));
        read.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    fn files(&self) -> ClientFiles {
        let is_system = self.rootcert.as_ref().is_some_and(|file| file.as_os_str() == "system");
        let is_there = is_system || self.rootcert.as_ref().is_some_and(|file| file.exists());
        let checks = match self.mode {
            Mode::VerifyFull => Checks::AuthorityAndName,
            Mode::VerifyCa => Checks::Authority,
            // As libpq: an authority that is known counts.
            _ if is_there => Checks::Authority,
            _ => Checks::Nothing,
        };
        ClientFiles {
            cacert: self.rootcert.clone().filter(|_| !is_system),
            cert: self.cert.clone(),
            key: self.key.clone(),
            checks,
        }
    }

    /// What rustls says, and what would be right.
    fn explained(&self, error: &io::Error) -> String {
        let said = error.to_string();
        let file = self.rootcert.as_deref().unwrap_or(std::path::Path::new("")).display();
        if said.contains("CaUsedAsEndEntity") {
            return format!(
                "{said}: the server shows an authority's own certificate; it needs one that an authority signed, or a \
                 self-signed one with `-addext basicConstraints=critical,CA:FALSE`"
            );
        }
        if said.contains("UnknownIssuer") || said.contains("BadSignature") {
            return format!("{said}: no authority in sslrootcert ({file}) has signed the server's certificate");
        }
        if said.contains("not valid for name") {
            return format!("{said} (subjectAltName); sslmode verify-ca does not compare names");
        }
        said
    }
}

/// Whether an error is about TLS: trying again brings the same.
pub(super) fn is_of_tls(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput || error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

fn failed(to: &HostPort, why: impl std::fmt::Display) -> SqlError {
    SqlError::NotConnected(Reachability::TlsFailed, format!("TLS with {to}: {why}"))
}

#[cfg(test)]
#[path = "ssl_tests.rs"]
mod tests;
