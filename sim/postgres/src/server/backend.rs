//! One connection: startup packet, then a client session or a walsender.

use std::{net::SocketAddr, sync::Arc};

use futures::{SinkExt, StreamExt};
use pgdrill_net::Socket;
use pgwire::messages::{
    PgWireBackendMessage, PgWireFrontendMessage, SslNegotiationMetaMessage,
    cancel::CancelRequest,
    response::{CommandComplete, GssEncResponse, ReadyForQuery, SslResponse, TransactionStatus},
    startup::{Authentication, BackendKeyData, ParameterStatus, SecretKey, Startup},
};
use tokio::sync::Notify;
use tokio_util::codec::Framed;

use super::{
    session::Session,
    state::{Backend, Server, Stage, Stop, WalSender, now_us},
    wire::ServerCodec,
};
use crate::{
    Lsn, PgError,
    replication::walsender::Streamed,
    sql::{output, replication_commands},
    timings::seconds,
};

/// A client's connection.
pub(crate) struct Client<S: Socket> {
    pub framed: Framed<S, ServerCodec>,
}

impl<S: Socket> Client<S> {
    /// Sends a message and flushes.
    pub async fn send(&mut self, message: PgWireBackendMessage) -> Result<(), PgError> {
        self.framed.send(message).await.map_err(|error| broken(&error))
    }

    /// Queues a message for the next flush.
    pub async fn feed(&mut self, message: PgWireBackendMessage) -> Result<(), PgError> {
        self.framed.feed(message).await.map_err(|error| broken(&error))
    }

    /// `ReadyForQuery`, and out with everything queued.
    pub async fn ready(&mut self, status: TransactionStatus) -> Result<(), PgError> {
        self.send(PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(status))).await
    }
}

fn broken(error: &dyn std::fmt::Display) -> PgError {
    PgError::fatal("08006", format!("could not send data to client: {error}"))
}

/// Serves one connection until it ends.
pub(crate) async fn run<S: Socket>(server: Arc<Server>, stream: S, peer: SocketAddr) {
    let mut client = Client { framed: Framed::new(stream, ServerCodec::fresh()) };
    // authentication_timeout is 60 s.
    let startup = tokio::time::timeout(seconds(60.0), read_startup(&mut client)).await;
    match startup {
        Ok(Some(First::Startup(startup))) => {
            if let Err(error) = serve(&server, &mut client, peer, startup).await {
                // The peer may be gone: it was told as well as can be.
                let _ = client.send(PgWireBackendMessage::ErrorResponse(error.to_response())).await;
            }
            let _ = SinkExt::<PgWireBackendMessage>::close(&mut client.framed).await;
        }
        Ok(Some(First::Cancel(request))) => cancel(&server, &request),
        Ok(None) | Err(_) => {}
    }
}

enum First {
    Startup(Startup),
    Cancel(CancelRequest),
}

async fn read_startup<S: Socket>(client: &mut Client<S>) -> Option<First> {
    loop {
        match client.framed.next().await?.ok()? {
            PgWireFrontendMessage::SslNegotiation(SslNegotiationMetaMessage::PostgresSsl(_)) => {
                client.send(PgWireBackendMessage::SslResponse(SslResponse::Refuse)).await.ok()?;
            }
            PgWireFrontendMessage::SslNegotiation(SslNegotiationMetaMessage::PostgresGss(_)) => {
                client.send(PgWireBackendMessage::GssEncResponse(GssEncResponse::Refuse)).await.ok()?;
            }
            PgWireFrontendMessage::SslNegotiation(SslNegotiationMetaMessage::None) => {
                client.framed.codec_mut().expect_startup();
            }
            PgWireFrontendMessage::Startup(startup) => {
                client.framed.codec_mut().started();
                return Some(First::Startup(startup));
            }
            PgWireFrontendMessage::CancelRequest(request) => return Some(First::Cancel(request)),
            _ => return None,
        }
    }
}

fn cancel(server: &Server, request: &CancelRequest) {
    let state = server.state();
    if let Some(backend) = state.backends.get(&request.pid)
        && SecretKey::I32(backend.secret).eq_value(&request.secret_key)
    {
        backend.cancel.notify_one();
    }
}

async fn serve<S: Socket>(
    server: &Arc<Server>,
    client: &mut Client<S>,
    peer: SocketAddr,
    startup: Startup,
) -> Result<(), PgError> {
    tokio::time::sleep(seconds(server.timings.connect_s)).await;
    let parameter = |name: &str| startup.parameters.get(name).cloned().unwrap_or_default();
    let (user, application_name) = (parameter("user"), parameter("application_name"));
    let replication = matches!(parameter("replication").as_str(), "true" | "on" | "yes" | "1" | "database");
    let pid = server.fork();
    let secret = pid.wrapping_mul(0x05DE_ECE6) ^ 0x2B;
    let guard = {
        let mut state = server.state();
        admit(&state, replication)?;
        if replication {
            let sender = WalSender {
                user,
                application_name: application_name.clone(),
                client: peer,
                started_us: now_us(),
                state: "startup",
                sent: Lsn::INVALID,
                write: Lsn::INVALID,
                flush: Lsn::INVALID,
                apply: Lsn::INVALID,
                reply_us: None,
                slot: None,
            };
            state.walsenders.insert(pid, sender);
        } else {
            let backend = Backend {
                database: Some(parameter("database")).filter(|name| !name.is_empty()).unwrap_or_else(|| user.clone()),
                user,
                application_name: application_name.clone(),
                secret,
                started_us: now_us(),
                state: "idle",
                cancel: Arc::new(Notify::new()),
            };
            state.backends.insert(pid, backend);
        }
        Registered { server: Arc::clone(server), pid }
    };
    greet(server, client, pid, secret, &application_name).await?;
    if replication {
        return replicate(server, client, guard.pid).await;
    }
    let options = startup.parameters.get("options").cloned().unwrap_or_default();
    // A connection that is gone already needs no address.
    let local = client.framed.get_ref().local_addr().map_err(|error| broken(&error))?;
    Session::new(Arc::clone(server), pid, local, application_name, &options)?.run(client).await
}

fn admit(state: &super::state::State, replication: bool) -> Result<(), PgError> {
    let refused = match state.stage {
        Stage::Starting => "the database system is starting up",
        Stage::Closing | Stage::ShuttingDown => "the database system is shutting down",
        Stage::Open => {
            let (used, limit, message) = if replication {
                let limit = state.settings.number("max_wal_senders", 10);
                (state.walsenders.len(), limit, "number of requested standby connections exceeds max_wal_senders")
            } else {
                (state.backends.len(), state.settings.number("max_connections", 100), "sorry, too many clients already")
            };
            if used >= limit as usize {
                return Err(PgError::fatal("53300", message));
            }
            return Ok(());
        }
    };
    Err(PgError::fatal("57P03", refused))
}

/// Takes the process out of shared memory when it ends, however it ends.
struct Registered {
    server: Arc<Server>,
    pid: i32,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut state = self.server.state();
        state.backends.remove(&self.pid);
        if let Some(sender) = state.walsenders.remove(&self.pid)
            && let Some(slot) = sender.slot
        {
            state.active_slots.remove(&slot);
        }
        drop(state);
        self.server.child_gone.notify_waiters();
    }
}

async fn greet<S: Socket>(
    server: &Server,
    client: &mut Client<S>,
    pid: i32,
    secret: i32,
    application_name: &str,
) -> Result<(), PgError> {
    client.feed(PgWireBackendMessage::Authentication(Authentication::Ok)).await?;
    let parameters: Vec<(&str, String)> = {
        let state = server.state();
        let setting = |name: &str| state.settings.get(name).to_owned();
        vec![
            ("application_name", application_name.to_owned()),
            ("client_encoding", setting("client_encoding")),
            ("DateStyle", setting("datestyle")),
            ("default_transaction_read_only", setting("default_transaction_read_only")),
            ("in_hot_standby", if state.in_recovery { "on" } else { "off" }.to_owned()),
            ("integer_datetimes", setting("integer_datetimes")),
            ("IntervalStyle", setting("intervalstyle")),
            ("is_superuser", setting("is_superuser")),
            ("server_encoding", setting("server_encoding")),
            ("server_version", setting("server_version")),
            ("session_authorization", setting("session_authorization")),
            ("standard_conforming_strings", setting("standard_conforming_strings")),
            ("TimeZone", setting("timezone")),
        ]
    };
    for (name, value) in parameters {
        client.feed(PgWireBackendMessage::ParameterStatus(ParameterStatus::new(name.to_owned(), value))).await?;
    }
    client.feed(PgWireBackendMessage::BackendKeyData(BackendKeyData::new(pid, SecretKey::I32(secret)))).await?;
    client.ready(TransactionStatus::Idle).await
}

/// A replication connection: commands until a stream ends it.
async fn replicate<S: Socket>(server: &Arc<Server>, client: &mut Client<S>, pid: i32) -> Result<(), PgError> {
    let mut stop = server.stop.subscribe();
    loop {
        let message = tokio::select! {
            biased;
            message = client.framed.next() => message,
            // A walsender that streams nothing has nobody to wait for.
            _ = stop.wait_for(|stop| *stop == Stop::WalSenders) => return Ok(()),
        };
        let query = match message {
            Some(Ok(PgWireFrontendMessage::Query(query))) => query.query,
            Some(Ok(PgWireFrontendMessage::Terminate(_))) | None => return Ok(()),
            Some(Ok(_)) => continue,
            Some(Err(error)) => return Err(PgError::fatal("08P01", error.to_string())),
        };
        match replication_commands::run(server, client, pid, &query).await {
            Ok(replication_commands::Answer::Rows(rows, tag)) => output::send_rows(client, &rows, &tag).await?,
            Ok(replication_commands::Answer::Copied) => complete(client, "SELECT").await?,
            Ok(replication_commands::Answer::Streamed(Streamed::ShutDown)) => return Ok(()),
            Ok(replication_commands::Answer::Streamed(_)) => complete(client, "START_STREAMING").await?,
            Err(error) if error.severity == "FATAL" => return Err(error),
            Err(error) => client.feed(PgWireBackendMessage::ErrorResponse(error.to_response())).await?,
        }
        client.ready(TransactionStatus::Idle).await?;
    }
}

async fn complete<S: Socket>(client: &mut Client<S>, tag: &str) -> Result<(), PgError> {
    client.feed(PgWireBackendMessage::CommandComplete(CommandComplete::new(tag.to_owned()))).await
}
