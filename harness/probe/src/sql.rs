//! A SQL connection over the `Net` port, with a deadline on everything it does.

use std::{future::Future, io, time::Duration};

use pgdrill_net::{Net, SocketOptions};
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage, SimpleQueryRow};

use crate::{Endpoint, Login};

/// An open connection. Dropping it closes the socket at once.
pub struct Connection {
    client: Client,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Why a connection could not be had. Nothing was asked of the server's data, so nothing can have happened to it.
#[derive(Debug)]
pub enum ConnectError {
    /// No TCP connection.
    Socket(io::Error),
    /// The server (or the proxy) closed or refused the session.
    Session(Error),
    /// No answer in time.
    TimedOut,
}

impl std::fmt::Display for ConnectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(e) => write!(f, "no connection: {e}"),
            Self::Session(e) => write!(f, "no session: {}", describe(e)),
            Self::TimedOut => f.write_str("no session: timed out"),
        }
    }
}

impl Connection {
    /// Connects and logs in within `limit`.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn open<N: Net>(
        net: &N,
        to: &Endpoint,
        login: &Login,
        application_name: &str,
        limit: Duration,
    ) -> Result<Self, ConnectError> {
        let mut config = Config::new();
        config.user(&login.user).dbname(&login.dbname).application_name(application_name);
        if let Some(password) = &login.password {
            config.password(password);
        }
        let opening = async {
            let socket =
                net.connect(&to.host, to.port, &SocketOptions::within(limit)).await.map_err(ConnectError::Socket)?;
            config.connect_raw(socket, NoTls).await.map_err(ConnectError::Session)
        };
        let (client, connection) = timeout(limit, opening).await.unwrap_or(Err(ConnectError::TimedOut))?;
        // An error of the connection shows as an error of the statement that waits for it.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { client, driver })
    }

    /// Whether the server has hung up.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs statements and returns the rows of all of them; `None`: not answered within `limit`.
    pub async fn query(&self, sql: &str, limit: Duration) -> Option<Result<Vec<SimpleQueryRow>, Error>> {
        within(limit, async {
            let messages = self.client.simple_query(sql).await?;
            Ok(messages
                .into_iter()
                .filter_map(|m| match m {
                    SimpleQueryMessage::Row(row) => Some(row),
                    _ => None,
                })
                .collect())
        })
        .await
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    timeout(limit, work).await.ok()
}

/// An error with its SQLSTATE, without the library's wrapping.
pub(crate) fn describe(e: &Error) -> String {
    match e.as_db_error() {
        Some(db) => format!("{} {}", db.code().code(), db.message()),
        None => match std::error::Error::source(e) {
            Some(cause) => format!("{e}: {cause}"),
            None => e.to_string(),
        },
    }
}
