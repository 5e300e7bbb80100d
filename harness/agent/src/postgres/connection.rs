//! SQL over the [`Net`] port: one kept connection for monitoring, short-lived ones for what takes longer or goes elsewhere.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use pgdrill_net::{Keepalive, Net, SocketOptions};
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, SimpleQueryRow, error::SqlState};

use super::ssl::{Ssl, Way};
use crate::config::{HostPort, User};

/// How long connecting may take (Patroni's monitoring connection).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// `statement_timeout` of the monitoring connection.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reachability {
    /// "the database system is starting up".
    StartingUp,
    /// "the database system is shutting down".
    ShuttingDown,
    /// Wrong password, or no line of `pg_hba.conf` for us: waiting will not help.
    LoginRejected,
    /// No TLS as it is configured, or a certificate that is not trusted: waiting will not help.
    TlsFailed,
    /// No answer at all in time.
    Silent,
    /// Refused, or anything else.
    Unreachable,
}

impl Reachability {
    /// Whether it may be otherwise with TLS, or without: `pg_hba.conf` tells the two apart.
    const fn depends_on_tls(self) -> bool {
        matches!(self, Self::LoginRejected | Self::TlsFailed)
    }
}

/// Why a statement brought no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// There was no connection: the statement was not sent.
    #[error("no connection: {1}")]
    NotConnected(Reachability, String),
    /// The server answered with an error: nothing was done.
    #[error("{0}")]
    Refused(String),
    /// The same, and the reason is a file that is gone: of a slot the WAL that it begins at.
    #[error("{0}")]
    FileGone(String),
    /// The connection broke: it may have been done.
    #[error("no answer: {0}")]
    Unknown(String),
    /// No answer at all, although the server has a shorter limit of its own: it may have been done.
    #[error("no answer: nothing within {} ms", .0.as_millis())]
    Silence(Duration),
}

impl SqlError {
    /// Whether the server gave no sign of life: not even of its own time limit.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Silence(_) | Self::NotConnected(Reachability::Silent, _))
    }
}

/// The agent's way to one PostgreSQL server.
pub struct Sql<N> {
    net: N,
    address: Mutex<HostPort>,
    user: User,
    ssl: Ssl,
    kept: Mutex<Option<Arc<Client>>>,
}

impl<N: Net> Sql<N> {
    /// To the server at `address`, without TLS; nothing is connected yet.
    #[must_use]
    pub fn new(net: N, address: HostPort, user: User) -> Self {
        Self { net, address: Mutex::new(address), user, ssl: Ssl::default(), kept: Mutex::new(None) }
    }

    /// From now on to another address of the same server.
    pub fn set_address(&self, address: &HostPort) {
        let mut present = self.address.lock().unwrap_or_else(PoisonError::into_inner);
        if *present != *address {
            *present = address.clone();
            drop(present);
            self.disconnect();
        }
    }

    fn address(&self) -> HostPort {
        self.address.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// In the way that the user's `sslmode` and its like say.
    #[must_use]
    pub fn with_options(mut self, options: &BTreeMap<String, String>) -> Self {
        self.ssl = Ssl::of(options);
        self
    }

    /// Sends one statement on the kept connection and returns its rows.
    ///
    /// # Errors
    /// See [`SqlError`]. After silence the connection is given up: its late answers would be taken for others.
    pub async fn query(&self, statement: &str) -> Result<Vec<SimpleQueryRow>, SqlError> {
        let client = self.client().await?;
        // The server's own limit comes first, if the server can still tell.
        let outcome = send(&client, statement, STATEMENT_TIMEOUT + Duration::from_millis(500)).await;
        if matches!(outcome, Err(SqlError::Unknown(_) | SqlError::Silence(_))) {
            self.disconnect();
        }
        outcome
    }

    /// Sends one statement on a connection of its own, with as much time as `limit`: a CHECKPOINT can take minutes.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn query_slow(&self, statement: &str, limit: Duration) -> Result<Vec<SimpleQueryRow>, SqlError> {
        let client = self.connect(Duration::ZERO).await?;
        send(&client, statement, limit).await
    }

    /// Sends statements one after the other on a connection of their own, as one session: settings of the first ones hold for
    /// the last one. `limit` is for each.
    ///
    /// # Errors
    /// The first statement's that fails; those after it were not sent.
    pub async fn session(&self, statements: &[String], limit: Duration) -> Result<(), SqlError> {
        let client = self.connect(Duration::ZERO).await?;
        for statement in statements {
            send(&client, statement, limit).await?;
        }
        Ok(())
    }

    /// Sends one statement to another database than the one that everything else goes to.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn query_in(&self, database: &str, statement: &str, limit: Duration) -> Result<(), SqlError> {
        let client = self.connect_to(database, Duration::ZERO).await?;
        send(&client, statement, limit).await.map(drop)
    }

    /// Closes the kept connection.
    pub fn disconnect(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn client(&self) -> Result<Arc<Client>, SqlError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(client) = kept.filter(|client| !client.is_closed()) {
            return Ok(client);
        }
        let client = Arc::new(self.connect(STATEMENT_TIMEOUT).await?);
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&client));
        Ok(client)
    }

    /// Connects; a `statement_timeout` of zero is none.
    async fn connect(&self, statement_timeout: Duration) -> Result<Client, SqlError> {
        self.connect_to("postgres", statement_timeout).await
    }

    async fn connect_to(&self, database: &str, statement_timeout: Duration) -> Result<Client, SqlError> {
        self.connect_as(&self.config(database, statement_timeout)).await
    }

    /// A connection of its own as somebody else: user, password and database are those of `config`, the way is this server's.
    ///
    /// # Errors
    /// `NotConnected`.
    pub async fn connect_as(&self, config: &Config) -> Result<Client, SqlError> {
        let address = self.address();
        let connecting = async {
            let mut failed = None;
            // As in libpq, of several hosts the first that can be reached counts.
            for host in address.host.split(',').map(str::trim) {
                match self.connect_host(&HostPort::new(host, address.port), config).await {
                    Err(error @ SqlError::NotConnected(Reachability::Unreachable, _)) => failed = Some(error),
                    outcome => return outcome,
                }
            }
            Err(failed.unwrap_or_else(|| SqlError::NotConnected(Reachability::Unreachable, "no host is named".into())))
        };
        let late = SqlError::NotConnected(Reachability::Silent, "connecting timed out".into());
        timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(late))
    }

    async fn connect_host(&self, to: &HostPort, config: &Config) -> Result<Client, SqlError> {
        // `sslmode` does not count for a socket in the file system.
        let (first, second) = if to.host.starts_with('/') { (Way::Plain, None) } else { self.ssl.ways() };
        match (self.open(to, first, config).await, second) {
            (Err(SqlError::NotConnected(why, text)), Some(second)) if why.depends_on_tls() => {
                self.open(to, second, config).await.map_err(|error| match error {
                    SqlError::NotConnected(why, then) => SqlError::NotConnected(why, format!("{text}; {then}")),
                    other => other,
                })
            }
            (outcome, _) => outcome,
        }
    }

    async fn open(&self, to: &HostPort, way: Way, config: &Config) -> Result<Client, SqlError> {
        let options = SocketOptions {
            connect_timeout: CONNECT_TIMEOUT,
            keepalive: Some(Keepalive { idle: Duration::from_secs(5), interval: Duration::from_secs(2), count: 3 }),
            user_timeout: Some(Duration::from_secs(10)),
        };
        let stream = self
            .net
            .connect(&to.host, to.port, &options)
            .await
            .map_err(|error| SqlError::NotConnected(Reachability::Unreachable, error.to_string()))?;
        let stream = self.ssl.open(way, to, stream).await?;
        // tokio-postgres must not know of TLS, which is ours: to it every server is plain.
        let (client, connection) = config
            .connect_raw(stream, NoTls)
            .await
            .map_err(|error| self.ssl.explained(to, &error).unwrap_or_else(|| rejected(&error)))?;
        // The task ends with the connection, and the connection with the client; how it ended is seen there.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(client)
    }

    fn config(&self, database: &str, statement_timeout: Duration) -> Config {
        let mut config = Config::new();
        config.user(&self.user.username).dbname(database).application_name("pgdrill");
        if let Some(password) = &self.user.password {
            config.password(password.reveal());
        }
        config.options(format!("-c statement_timeout={}", statement_timeout.as_millis()));
        config
    }
}

async fn send(client: &Client, statement: &str, limit: Duration) -> Result<Vec<SimpleQueryRow>, SqlError> {
    let messages = match timeout(limit, client.simple_query(statement)).await {
        Ok(Ok(messages)) => messages,
        Ok(Err(error)) => match error.as_db_error() {
            // "terminating connection": the server goes down and takes the statement's outcome with it.
            Some(db) if *db.code() == SqlState::UNDEFINED_FILE => {
                return Err(SqlError::FileGone(db.message().to_owned()));
            }
            Some(db) if !is_termination(db.code()) => return Err(SqlError::Refused(db.message().to_owned())),
            _ => return Err(SqlError::Unknown(with_causes(&error))),
        },
        Err(_) => return Err(SqlError::Silence(limit)),
    };
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    Ok(rows.collect())
}

fn is_termination(code: &SqlState) -> bool {
    [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::IDLE_SESSION_TIMEOUT].contains(code)
}

fn is_login(code: &SqlState) -> bool {
    [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(code)
}

/// The library's words for a server that asks for a password where none is configured.
pub const NO_PASSWORD: &str = "password missing";

/// An error of the library with what it stems from, which it does not tell by itself.
#[must_use]
pub fn with_causes(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// What a server that does not let us in says about itself.
fn rejected(error: &tokio_postgres::Error) -> SqlError {
    let reachability = match error.as_db_error() {
        // One code for both directions: the text tells them apart, and it is not translated by the servers we start.
        Some(db) if *db.code() == SqlState::CANNOT_CONNECT_NOW && db.message().contains("shutting down") => {
            Reachability::ShuttingDown
        }
        Some(db) if *db.code() == SqlState::CANNOT_CONNECT_NOW => Reachability::StartingUp,
        Some(db) if is_login(db.code()) => Reachability::LoginRejected,
        None if with_causes(error).contains(NO_PASSWORD) => Reachability::LoginRejected,
        _ => Reachability::Unreachable,
    };
    let text = error.as_db_error().map_or_else(|| with_causes(error), |db| db.message().to_owned());
    SqlError::NotConnected(reachability, text)
}
