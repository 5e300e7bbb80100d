//! A connection as its client sees it, to the end.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinHandle,
};
use tokio_postgres::{Client, Config, Error, NoTls};

/// How a server did not let a client in, or sent it away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nobody listens: the operating system refused the connection.
    Refused,
    /// The connection was closed without a word.
    Closed,
    /// The server said why, with this SQLSTATE.
    Code(String),
}

impl From<&Error> for Ending {
    fn from(error: &Error) -> Self {
        error.code().map_or(Self::Closed, |code| Self::Code(code.code().to_owned()))
    }
}

/// A connection that nobody answered.
impl From<&io::Error> for Ending {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            _ => Self::Closed,
        }
    }
}

/// An open connection.
pub struct Session {
    /// What talks on it.
    pub client: Client,
    ended: JoinHandle<Result<(), Error>>,
}

impl Session {
    /// Logs in as the superuser.
    ///
    /// # Errors
    /// The server sent us away.
    pub async fn log_in<S>(stream: S) -> Result<Self, Ending>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut config = Config::new();
        let opened = config.user("postgres").dbname("postgres").connect_raw(stream, NoTls).await;
        let (client, connection) = opened.map_err(|error| Ending::from(&error))?;
        Ok(Self { client, ended: tokio::spawn(connection) })
    }

    /// Waits until the server ends it.
    pub async fn ending(self) -> Ending {
        let Self { client, ended } = self;
        let ended = ended.await.expect("it does not panic");
        // Without its client it would have ended by itself.
        drop(client);
        ended.as_ref().map_or_else(Ending::from, |()| Ending::Closed)
    }
}
