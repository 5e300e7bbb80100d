//! HTTP to the other members, over the [`Net`] port: one fresh connection a request, so that no pooled half-dead one can cost
//! the answer, and one deadline for everything from the name look-up to the last byte.

use std::{io, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use pgdrill_net::{Net, SocketOptions};
use serde_json::Value;
use tokio::time::timeout;

/// Patroni's limit for asking a member.
pub const PEER_TIMEOUT: Duration = Duration::from_secs(2);
/// More than any answer of a member has; a peer cannot fill our memory.
const MAX_BODY_BYTES: usize = 1 << 20;

/// What a member answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// Sends one request and waits for the whole answer.
///
/// # Errors
/// `TimedOut` after `limit`; whatever connecting reports; `InvalidInput` for a URL that is none. After any of them but the
/// last the request may have been received.
pub async fn request<N: Net>(
    net: &N,
    method: Method,
    url: &str,
    body: Option<&Value>,
    limit: Duration,
) -> io::Result<Answer> {
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
    let uri: Uri = url.parse().map_err(|error| invalid(format!("{url}: {error}")))?;
    let host = uri.host().ok_or_else(|| invalid(format!("{url} names no host")))?.to_owned();
    let port = uri.port_u16().unwrap_or(8008);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, format!("{host}:{port}"))
        .header(header::CONNECTION, "close")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.map(Value::to_string).unwrap_or_default())))
        .map_err(|error| invalid(error.to_string()))?;
    let options = SocketOptions { connect_timeout: limit, keepalive: None, user_timeout: Some(limit) };
    let exchange = async {
        // Brackets belong to the URL, not to the address.
        let stream = net.connect(host.trim_matches(['[', ']']), port, &options).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let speak = async {
            let response = sender.send_request(request).await.map_err(io::Error::other)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(io::Error::other)?.to_bytes();
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        // Driven here rather than in a task: it ends with this call, whatever happens.
        tokio::pin!(speak, connection);
        tokio::select! {
            biased;
            answer = &mut speak => answer,
            ended = &mut connection => match ended {
                Ok(()) => speak.await,
                Err(error) => Err(io::Error::other(error)),
            },
        }
    };
    timeout(limit, exchange).await.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} ms", limit.as_millis())))
    })
}
