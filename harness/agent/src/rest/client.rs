//! HTTP to the other members, over the [`Net`] port: one fresh connection a request, so that no pooled half-dead one can cost
//! the answer, and one deadline for everything from the name look-up to the last byte. With the password that the members
//! share, and with TLS where a member's `api_url` says `https` (Patroni's `PatroniRequest`).

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use pgdrill_net::{Net, SocketOptions};
use serde_json::Value;
use tokio::{io::AsyncRead, io::AsyncWrite, time::timeout};

use super::access::credentials;
use crate::{
    config::{CtlConfig, HostPort, RestapiConfig, User},
    tls::{Checks, ClientFiles, Connectors, MaybeTls, Settings},
};

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

/// Asks members. Clones share what they know.
#[derive(Clone)]
pub struct Client<N> {
    net: N,
    authorization: Arc<Mutex<Option<HeaderValue>>>,
    tls: Arc<Connectors>,
}

impl<N: Net> Client<N> {
    /// By the sections `ctl` and, where that says nothing, `restapi`.
    pub fn new(net: N, restapi: Option<&RestapiConfig>, ctl: &CtlConfig) -> Self {
        let files = ClientFiles {
            cacert: ctl.cacert.clone().or_else(|| restapi?.tls.as_ref()?.cafile.clone()),
            cert: ctl.certfile.clone(),
            key: ctl.keyfile.clone(),
            checks: if ctl.insecure { Checks::Nothing } else { Checks::AuthorityAndName },
            revocation: None,
            settings: Settings {
                cacert: if ctl.cacert.is_some() { "ctl.cacert" } else { "restapi.cafile" },
                cert: "ctl.certfile",
            },
        };
        let tls = Arc::new(Connectors::new(files, "http/1.1"));
        let it = Self { net, authorization: Arc::default(), tls };
        it.set_user(restapi, ctl);
        it
    }

    /// Shows another password from now on, by the sections that [`Client::new`] takes it from.
    pub fn set_user(&self, restapi: Option<&RestapiConfig>, ctl: &CtlConfig) {
        let user = ctl.authentication.as_ref().or_else(|| restapi?.authentication.as_ref());
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = user.and_then(basic);
    }

    /// Sends one request and waits for the whole answer.
    ///
    /// # Errors
    /// `TimedOut` after `limit`; whatever connecting reports; `InvalidInput` for a URL or certificate that is none. After any
    /// of them but the last the request may have been received.
    pub async fn request(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
        limit: Duration,
    ) -> io::Result<Answer> {
        let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
        let uri: Uri = url.parse().map_err(|error| invalid(format!("{url}: {error}")))?;
        let (host, port) = host_and_port(url).ok_or_else(|| invalid(format!("{url} names no host")))?;
        let (is_https, peer) = (uri.scheme_str() == Some("https"), HostPort::new(&host, port));
        let request = self.build(method, &uri, body).map_err(|error| invalid(error.to_string()))?;
        let options = SocketOptions { connect_timeout: limit, keepalive: None, user_timeout: Some(limit) };
        let exchange = async {
            let stream = self.net.connect(&peer.host, peer.port, &options).await?;
            let stream = match is_https {
                true => self.tls.get()?.connect(&peer, stream).await?,
                false => MaybeTls::Left(stream),
            };
            let answer = exchange(stream, request).await;
            answer.map_err(|error| self.tls.files().explained(&peer, &error).unwrap_or(error))
        };
        timeout(limit, exchange).await.unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} ms", limit.as_millis())))
        })
    }

    fn build(&self, method: Method, uri: &Uri, body: Option<&Value>) -> http::Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(method)
            .uri(uri.path_and_query().map_or("/", |path| path.as_str()))
            .header(header::HOST, uri.authority().map_or("", |authority| authority.as_str()))
            .header(header::CONNECTION, "close")
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(authorization) = &*self.authorization.lock().unwrap_or_else(PoisonError::into_inner) {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        request.body(Full::new(Bytes::from(body.map(Value::to_string).unwrap_or_default())))
    }
}

/// The URL of another endpoint of the member with this `api_url`.
#[must_use]
pub fn endpoint(api_url: &str, name: &str) -> String {
    format!("{}/{name}", api_url.trim_end_matches('/').trim_end_matches("/patroni"))
}

/// Where a URL leads; `None`: it is none.
#[must_use]
pub fn host_and_port(url: &str) -> Option<(String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    // Brackets belong to the URL, not to the address.
    Some((uri.host()?.trim_matches(['[', ']']).to_owned(), port))
}

fn basic(user: &User) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(credentials(user)))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
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
}
