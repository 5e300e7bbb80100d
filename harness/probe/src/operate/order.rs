//! Orders to agents and their PostgreSQL: what an operator does with `patronictl`, through the same REST API and SQL.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use pgdrill_lab::player::Order;
use pgdrill_net::{Net, SocketOptions};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{Connection, Endpoint, Login};

/// `patronictl` waits this long for a switchover.
const PATIENCE: Duration = Duration::from_secs(60);

/// Gives the order to one agent (or its PostgreSQL).
///
/// # Errors
/// The refusal in the agent's words, or why there was no answer: the order may then have been carried out or not.
pub async fn order<N: Net>(
    net: &N,
    rest: &Endpoint,
    sql: &Endpoint,
    login: &Login,
    order: &Order,
) -> Result<String, String> {
    let (method, path, body) = match order {
        Order::Switchover { leader, candidate, after } => {
            let mut body = json!({ "leader": leader });
            if let Some(candidate) = candidate {
                body["candidate"] = json!(candidate);
            }
            if let Some(after) = after {
                body["scheduled_at"] = json!(iso8601(SystemTime::now() + *after));
            }
            (Method::POST, "/switchover", body)
        }
        Order::Failover { candidate } => (Method::POST, "/failover", json!({ "candidate": candidate })),
        Order::Restart => (Method::POST, "/restart", json!({})),
        Order::Reinitialize => (Method::POST, "/reinitialize", json!({})),
        Order::EditConfig(change) => (Method::PATCH, "/config", change.clone()),
        Order::ReplayPause => return statement(net, sql, login, "SELECT pg_wal_replay_pause()").await,
        Order::ReplayResume => return statement(net, sql, login, "SELECT pg_wal_replay_resume()").await,
    };
    let answer = timeout(PATIENCE, call(net, rest, method, path, &body)).await;
    let (status, text) =
        answer.map_err(|_| format!("{} did not answer in time", rest.name))?.map_err(|e| e.to_string())?;
    let text = text.trim();
    if (200..300).contains(&status) { Ok(format!("{status} {text}")) } else { Err(format!("{status} {text}")) }
}

async fn statement<N: Net>(net: &N, to: &Endpoint, login: &Login, sql: &str) -> Result<String, String> {
    let limit = Duration::from_secs(5);
    let connection = Connection::open(net, to, login, "pgdrill-operator", limit).await.map_err(|e| e.to_string())?;
    match connection.query(sql, limit).await {
        Some(Ok(_)) => Ok(format!("{}: {sql}", to.name)),
        Some(Err(e)) => Err(crate::sql::describe(&e)),
        None => Err(format!("{} did not answer in time", to.name)),
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn call<N: Net>(
    net: &N,
    to: &Endpoint,
    method: Method,
    path: &str,
    body: &Value,
) -> Result<(u16, String), Failure> {
    let socket = net.connect(&to.host, to.port, &SocketOptions::within(Duration::from_secs(5))).await?;
    let (mut sender, connection) = handshake(TokioIo::new(socket)).await?;
    // The connection's own error shows as the error of the request on it.
    tokio::spawn(async move { drop(connection.await) });
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, &to.host)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_string())))?;
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    let text = answer.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&text).into_owned()))
}

/// `2026-01-31T12:00:00.123456+00:00`, with the time zone that Patroni insists on.
fn iso8601(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at).map(|t| t.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheduled_times_carry_a_time_zone() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250);
        assert_eq!(iso8601(at), "2023-11-14T22:13:20.250000+00:00");
    }
}
