//! How a client finds the primary: through a proxy that knows, or by asking each host (libpq's
//! `target_session_attrs=read-write`).

use std::{collections::BTreeMap, time::Duration};

use pgdrill_net::Net;

use crate::{ConnectError, Connection, Endpoint, Login};

/// The way to the primary.
#[derive(Clone, Debug)]
pub enum Route {
    /// A proxy that forwards to the primary; `servers` maps the addresses behind it to their names.
    Proxy {
        /// The proxy.
        proxy: Endpoint,
        /// Server address as `inet_server_addr()` prints it, to node name.
        servers: BTreeMap<String, String>,
    },
    /// Each host in turn until one is not read-only.
    Direct {
        /// The hosts, in the order of the connection string.
        hosts: Vec<Endpoint>,
    },
}

/// A session that reached a server, and the server's name.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) server: Option<String>,
}

impl Route {
    /// Opens a session with a server that says it takes writes.
    pub(super) async fn open<N: Net>(
        &self,
        net: &N,
        login: &Login,
        name: &str,
        limit: Duration,
    ) -> Result<Session, String> {
        match self {
            Self::Proxy { proxy, servers } => {
                let connection = Connection::open(net, proxy, login, name, limit).await.map_err(|e| e.to_string())?;
                let server = match ask(&connection, "SELECT inet_server_addr()::text", limit).await? {
                    Some(address) => servers.get(address.split('/').next().unwrap_or_default()).cloned(),
                    None => None,
                };
                Ok(Session { connection, server })
            }
            Self::Direct { hosts } => {
                let mut why = String::from("no host is read-write");
                for host in hosts {
                    match read_write(net, host, login, name, limit).await {
                        Ok(Some(connection)) => return Ok(Session { connection, server: Some(host.name.clone()) }),
                        Ok(None) => {}
                        Err(e) => why = format!("{}: {e}", host.name),
                    }
                }
                Err(why)
            }
        }
    }
}

/// `None`: the session is read-only.
async fn read_write<N: Net>(
    net: &N,
    host: &Endpoint,
    login: &Login,
    name: &str,
    limit: Duration,
) -> Result<Option<Connection>, String> {
    let connection = Connection::open(net, host, login, name, limit).await.map_err(|e: ConnectError| e.to_string())?;
    let read_only = ask(&connection, "SHOW transaction_read_only", limit).await?;
    Ok((read_only.as_deref() == Some("off")).then_some(connection))
}

async fn ask(connection: &Connection, sql: &str, limit: Duration) -> Result<Option<String>, String> {
    match connection.query(sql, limit).await {
        Some(Ok(rows)) => Ok(rows.first().and_then(|r| r.get(0)).map(str::to_owned)),
        Some(Err(e)) => Err(crate::sql::describe(&e)),
        None => Err("no answer in time".to_owned()),
    }
}
