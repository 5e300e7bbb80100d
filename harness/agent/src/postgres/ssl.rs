//! `sslmode` and its like for the agent's own connections to PostgreSQL, with libpq's meaning (its documentation, "SSL
//! Support"): what Patroni's connections have from libpq. Over a socket in the file system nothing of it counts.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::spawn_blocking,
};

use super::{Reachability, SqlError};
use crate::{
    config::HostPort,
    tls::{Checks, ClientFiles, Connector, MaybeTls, Revocation, Settings, is_of_tls},
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
    crl: Option<PathBuf>,
    crldir: Option<PathBuf>,
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
        Self {
            mode,
            rootcert: file("sslrootcert"),
            cert: file("sslcert"),
            key: file("sslkey"),
            crl: file("sslcrl"),
            crldir: file("sslcrldir"),
        }
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
        connector.connect(to, stream).await.map_err(|error| match is_of_tls(&error) {
            true => SqlError::NotConnected(Reachability::TlsFailed, error.to_string()),
            false => broken(error),
        })
    }

    /// What TLS has to say of an error after the handshake: the server may find fault with our certificate after its own was
    /// found good.
    pub(super) fn explained(&self, to: &HostPort, error: &(dyn std::error::Error + 'static)) -> Option<SqlError> {
        if self.mode == Mode::Disable {
            return None;
        }
        let why = self.files().explained(to, error)?;
        Some(SqlError::NotConnected(Reachability::TlsFailed, why.to_string()))
    }

    /// The files are read for every connection: renewed ones count from the next one on. A disk that hangs holds up nobody
    /// else.
    async fn connector(&self) -> io::Result<Connector> {
        let it = self.clone();
        let read = spawn_blocking(move || it.files().connector("postgresql"));
        read.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// With the files that libpq takes where none are named (manual, "Libpq/Client SSL File Usage").
    fn files(&self) -> ClientFiles {
        let is_system = self.rootcert.as_ref().is_some_and(|file| file.as_os_str() == "system");
        let rootcert = self.rootcert.clone().unwrap_or_else(|| file_of_home("root.crt"));
        let checks = match self.mode {
            Mode::VerifyFull => Checks::AuthorityAndLibpqName,
            Mode::VerifyCa => Checks::Authority,
            // As libpq: an authority that is known counts.
            _ if is_system || rootcert.exists() => Checks::Authority,
            _ => Checks::Nothing,
        };
        // One that is not there is not shown, whether it was named or not.
        let cert = self.cert.clone().unwrap_or_else(|| file_of_home("postgresql.crt"));
        let key = self.key.clone().or_else(|| Some(file_of_home("postgresql.key")).filter(|key| key.exists()));
        // Of the folder alone libpq has enough.
        let crl = match (&self.crl, &self.crldir) {
            (None, None) => Some(file_of_home("root.crl")),
            (named, _) => named.clone(),
        };
        ClientFiles {
            cacert: (!is_system).then_some(rootcert),
            cert: cert.exists().then_some(cert),
            key,
            checks,
            // The lists of the system's authorities are nobody's to have.
            revocation: (!is_system).then(|| Revocation { file: crl, folder: self.crldir.clone() }),
            settings: Settings { cacert: "sslrootcert", cert: "sslcert" },
        }
    }
}

/// One of libpq's files in `~/.postgresql`.
fn file_of_home(name: &str) -> PathBuf {
    let home = std::env::home_dir().unwrap_or_else(|| Path::new("~").to_owned());
    home.join(".postgresql").join(name)
}

fn failed(to: &HostPort, why: impl std::fmt::Display) -> SqlError {
    SqlError::NotConnected(Reachability::TlsFailed, format!("TLS with {to}: {why}"))
}

#[cfg(test)]
#[path = "ssl_tests.rs"]
mod tests;
