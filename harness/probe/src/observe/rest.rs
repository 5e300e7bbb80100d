//! Asks a node's REST API what a load balancer would ask, at a steady pace.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use pgdrill_lab::event::What;
use pgdrill_net::{Net, SocketOptions};
use tokio::time::{Instant, sleep_until, timeout};

use crate::{Endpoint, Journal};

/// What to ask, and how often.
#[derive(Clone, Debug)]
pub struct RestTarget {
    /// The agent.
    pub agent: Endpoint,
    /// Paths asked one after the other, each time.
    pub paths: Vec<String>,
    /// Time between rounds; an answer later than this is no answer.
    pub period: Duration,
}

/// Probes for ever. One connection is kept, as HAProxy's checks do not, to keep observation cheap.
pub async fn probe_rest<N: Net>(net: N, target: RestTarget, phase: Duration, journal: Journal) {
    let mut due = Instant::now() + phase;
    let mut connection = None;
    loop {
        sleep_until(due).await;
        for path in &target.paths {
            let asked_at = journal.now();
            let answer = timeout(target.period, ask(&net, &target.agent, path, &mut connection)).await;
            let status = match answer {
                Ok(Ok(status)) => Some(status),
                _ => {
                    connection = None;
                    None
                }
            };
            // A run may set its clock to zero between question and answer.
            let asked_at = asked_at.min(journal.now());
            let what = What::Rest { path: path.clone(), status, asked_at, body: None };
            journal.record(&target.agent.name, what);
        }
        due = (due + target.period).max(Instant::now());
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Open = SendRequest<Empty<Bytes>>;

async fn ask<N: Net>(net: &N, agent: &Endpoint, path: &str, kept: &mut Option<Open>) -> Result<u16, Failure> {
    let mut sender = match kept.take().filter(|s| !s.is_closed()) {
        Some(sender) => sender,
        None => open(net, agent).await?,
    };
    sender.ready().await?;
    let request = Request::get(path).header(http::header::HOST, &agent.host).body(Empty::new())?;
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    answer.into_body().collect().await?;
    *kept = Some(sender);
    Ok(status)
}

async fn open<N: Net>(net: &N, agent: &Endpoint) -> Result<Open, Failure> {
    let options = SocketOptions::within(Duration::from_secs(1));
    let socket = net.connect(&agent.host, agent.port, &options).await?;
    let (sender, connection) = handshake(TokioIo::new(socket)).await?;
    // The connection's own error shows as the error of the request on it.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}
