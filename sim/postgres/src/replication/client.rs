//! A replication connection as libpq opens it: for the walreceiver, `pg_basebackup` and `pg_rewind`.

use std::{collections::BTreeMap, time::Duration};

use futures::{SinkExt, StreamExt};
use pgdrill_net::{Keepalive, Net, SocketOptions};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage, simplequery::Query, startup::Startup};
use tokio_util::codec::Framed;

use crate::server::wire::ClientCodec;

/// An open replication connection.
pub(crate) struct Connection<N: Net> {
    pub framed: Framed<N::Stream, ClientCodec>,
}

/// Where and as whom to connect: the pairs of a libpq connection string.
pub(crate) type Conninfo = BTreeMap<String, String>;

impl<N: Net> Connection<N> {
    /// Connects and passes the startup phase.
    ///
    /// # Errors
    /// libpq's words: who did not answer or what the server refused.
    pub async fn open(net: &N, conninfo: &Conninfo, default_name: &str) -> Result<Self, String> {
        let value = |name: &str| conninfo.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let host = value("hostaddr").or(value("host")).unwrap_or("localhost");
        let port = value("port").and_then(|port| port.parse().ok()).unwrap_or(5432);
        let failed =
            |error: &dyn std::fmt::Display| format!("connection to server at \"{host}\", port {port} failed: {error}");
        let stream = net.connect(host, port, &socket_options(conninfo)).await.map_err(|error| failed(&error))?;
        let mut connection = Self { framed: Framed::new(stream, ClientCodec::new()) };
        let user = value("user").unwrap_or("postgres");
        let name = value("application_name").unwrap_or(default_name);
        let mut startup = Startup::new();
        (startup.protocol_number_major, startup.protocol_number_minor) = (3, 0);
        for (key, value) in [("user", user), ("replication", "true"), ("application_name", name)] {
            startup.parameters.insert(key.to_owned(), value.to_owned());
        }
        connection.send(PgWireFrontendMessage::Startup(startup)).await.map_err(|error| failed(&error))?;
        connection.until_ready().await.map_err(|error| failed(&error))?;
        Ok(connection)
    }

    pub async fn send(&mut self, message: PgWireFrontendMessage) -> Result<(), String> {
        self.framed.send(message).await.map_err(|error| error.to_string())
    }

    /// The next message.
    ///
    /// # Errors
    /// The server's error, or that it closed the connection.
    pub async fn next(&mut self) -> Result<PgWireBackendMessage, String> {
        match self.framed.next().await {
            Some(Ok(PgWireBackendMessage::ErrorResponse(error))) => Err(describe(&error.fields)),
            Some(Ok(message)) => Ok(message),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("server closed the connection unexpectedly".to_owned()),
        }
    }

    async fn until_ready(&mut self) -> Result<(), String> {
        while !matches!(self.next().await?, PgWireBackendMessage::ReadyForQuery(_)) {}
        Ok(())
    }

    /// Sends a command whose answer continues in copy mode.
    pub async fn start(&mut self, command: &str) -> Result<(), String> {
        self.send(PgWireFrontendMessage::Query(Query::new(command.to_owned()))).await
    }

    /// Runs a command and returns its first row, as text.
    pub async fn row(&mut self, command: &str) -> Result<Vec<String>, String> {
        self.start(command).await?;
        let mut row = None;
        loop {
            match self.next().await? {
                PgWireBackendMessage::DataRow(data) => row = Some(fields(&data.data)),
                PgWireBackendMessage::ReadyForQuery(_) => return row.ok_or_else(|| format!("no answer to {command}")),
                _ => {}
            }
        }
    }

    /// `IDENTIFY_SYSTEM`: system identifier, timeline, WAL flush position.
    pub async fn identify_system(&mut self) -> Result<(u64, u32, crate::Lsn), String> {
        let row = self.row("IDENTIFY_SYSTEM").await?;
        let wrong = || "invalid response from primary server: could not identify system".to_owned();
        let [system, timeline, position, ..] = row.as_slice() else { return Err(wrong()) };
        Ok((
            system.parse().map_err(|_| wrong())?,
            timeline.parse().map_err(|_| wrong())?,
            position.parse().map_err(|_| wrong())?,
        ))
    }

    /// `TIMELINE_HISTORY`.
    pub async fn timeline_history(&mut self, tli: u32) -> Result<crate::disk::history::Timeline, String> {
        let row = self.row(&format!("TIMELINE_HISTORY {tli}")).await?;
        crate::disk::history::Timeline::from_file(tli, row.get(1).map_or("", String::as_str))
    }
}

/// "FATAL:  message DETAIL:  detail" of an error response.
fn describe(fields: &[(u8, String)]) -> String {
    let field = |code: u8| fields.iter().find(|(c, _)| *c == code).map_or("", |(_, text)| text.as_str());
    let detail = Some(field(b'D')).filter(|d| !d.is_empty()).map(|d| format!(" DETAIL:  {d}")).unwrap_or_default();
    format!("{}:  {}{detail}", field(b'S'), field(b'M'))
}

/// Columns of a data row in text format.
fn fields(mut data: &[u8]) -> Vec<String> {
    let mut fields = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<4>() {
        // -1 is null: an empty text serves here.
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0).min(rest.len());
        fields.push(String::from_utf8_lossy(&rest[..length]).into_owned());
        data = &rest[length..];
    }
    fields
}

/// libpq's time-outs; where the connection string says nothing, Linux's defaults.
fn socket_options(conninfo: &Conninfo) -> SocketOptions {
    let seconds = |name: &str, default: u64| {
        Duration::from_secs(conninfo.get(name).and_then(|value| value.parse().ok()).unwrap_or(default))
    };
    let count = conninfo.get("keepalives_count").and_then(|value| value.parse().ok()).unwrap_or(9);
    let user_timeout = conninfo.get("tcp_user_timeout").and_then(|value| value.parse().ok()).filter(|ms| *ms > 0);
    SocketOptions {
        connect_timeout: seconds("connect_timeout", 127),
        keepalive: (conninfo.get("keepalives").map(String::as_str) != Some("0")).then(|| Keepalive {
            idle: seconds("keepalives_idle", 7200),
            interval: seconds("keepalives_interval", 75),
            count,
        }),
        user_timeout: user_timeout.map(Duration::from_millis),
    }
}
