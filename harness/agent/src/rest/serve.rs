//! The server's sockets: accepts connections, opens TLS where it is configured, and speaks HTTP/1 on them.
//!
//! Everything that a client can make grow or last has an end: the connections, in all and from one address (`connections`), their
//! heads here, their bodies in `body`, and the time for each.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use pgdrill_net::{Listener, Net, Socket};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
    task::{JoinSet, yield_now},
    time::{Instant, sleep, sleep_until, timeout},
};
use tower::ServiceExt;

use super::{
    access::Peer,
    connections::{Connections, Guest, Visit},
    refusals::Refusals,
    router,
};
use crate::{
    daemon::{Parts, Ports},
    tls::{Acceptor, MaybeTls},
};

/// A client that connects and says nothing is let go: handshake and head of the request together get this long, and reading the
/// answer, with what comes after it, as long again.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked who has been waited for longer than that.
const SWEEP: Duration = Duration::from_secs(5);
/// The head of a request: Python's server takes lines of 64 KiB, and nobody has sent one.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// What a connection buffers of either direction.
const MAX_BUFFER_BYTES: usize = 32 << 10;
/// How long it is waited for a descriptor when the operating system has none left.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

/// The API's listening socket, and what its connections begin with.
pub(crate) struct Server<N: Net> {
    listener: N::Listener,
    acceptor: Option<Arc<Acceptor>>,
}

/// The client's connection, as a request that came over it knows it.
#[derive(Clone)]
pub(super) struct Line {
    /// Whose turn it is.
    pub guest: Arc<Guest>,
    /// Room for larger bodies, in KiB.
    pub bodies: Arc<Semaphore>,
}

impl<N: Net> Server<N> {
    /// Listens, after the certificates were read.
    ///
    /// # Errors
    /// `AddrInUse` when something listens there already; `InvalidInput` for a certificate that is none.
    pub async fn bind<T: Ports<Net = N>>(parts: &Parts<T>) -> io::Result<Self> {
        let config = parts.config();
        let config = &config.restapi;
        let acceptor = config.tls.clone().map(Acceptor::new).transpose()?.map(Arc::new);
        let listen = &config.listen;
        let listener = parts
            .net
            .listen_with_queue(&listen.host, listen.port, config.request_queue_size)
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("restapi.listen: {listen}: {error}")))?;
        Ok(Self { listener, acceptor })
    }

    /// Where it listens.
    #[cfg(test)]
    pub fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for ever. Its connections end with it.
    pub async fn serve<T: Ports<Net = N>>(mut self, parts: Arc<Parts<T>>) {
        let open = Connections::new(parts.config().restapi.connections);
        let router = router(Arc::clone(&parts));
        let mut tasks: JoinSet<Option<String>> = JoinSet::new();
        let mut refusals = Refusals::default();
        let mut next_sweep = Instant::now();
        loop {
            tokio::select! {
                biased;
                // What became of a connection is its client's affair, but for who could not open TLS.
                Some(ended) = tasks.join_next() => {
                    if let Some(text) = ended.ok().flatten().filter(|text| refusals.is_news(text, Instant::now())) {
                        parts.trouble("rest", text);
                    }
                }
                () = sleep_until(next_sweep), if !open.is_empty() => {
                    next_sweep = Instant::now() + SWEEP;
                    open.sweep(PATIENCE + SWEEP);
                }
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        parts.shared.accept(from);
                        let (visit, crowded) = open.enter(from.ip());
                        let line = Line { guest: visit.guest(), bodies: Arc::clone(&open.bodies) };
                        tasks.spawn(connection(stream, self.acceptor.clone(), router.clone(), visit, line));
                        if crowded {
                            let text = format!("too many connections, the latest from {}: those that keep the agent waiting \
                                are closed", from.ip());
                            if refusals.is_news(&text, Instant::now()) {
                                parts.trouble("rest", text);
                            }
                            // Whoever has to go closes his socket before the next one is let in.
                            yield_now().await;
                        }
                    }
                    // The client gave up at once, or there is no descriptor for him: who keeps us waiting gives his.
                    Err(_) => {
                        open.make_room();
                        sleep(NO_DESCRIPTOR).await;
                    }
                },
            }
        }
    }
}

/// Tells why TLS could not be opened, if that is so.
async fn connection<S: Socket>(
    stream: S,
    acceptor: Option<Arc<Acceptor>>,
    router: Router,
    visit: Visit,
    line: Line,
) -> Option<String> {
    let guest = visit.guest();
    tokio::select! {
        biased;
        () = guest.let_go() => None,
        told = converse(stream, acceptor, router, line) => told,
    }
}

async fn converse<S: Socket>(stream: S, acceptor: Option<Arc<Acceptor>>, router: Router, line: Line) -> Option<String> {
    let address = stream.peer_addr().ok()?;
    let (stream, has_certificate) = match acceptor {
        None => (MaybeTls::Left(stream), false),
        Some(acceptor) => match timeout(PATIENCE, acceptor.accept(stream)).await.ok()? {
            Ok(opened) => opened,
            // The client has been told by TLS itself, in a word.
            Err(error) => {
                return acceptor.explained(&error).map(|why| format!("TLS with {}: {why}", address.ip()));
            }
        },
    };
    speak(stream, Peer { address, has_certificate }, router, line).await;
    None
}

async fn speak<S>(stream: S, peer: Peer, router: Router, line: Line)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, line) = (router.clone(), line.clone());
        async move {
            line.guest.answering();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(line.clone());
            let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
            line.guest.waiting();
            Ok::<_, Infallible>(response)
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    http.max_header_size(MAX_HEAD_BYTES).max_buf_size(MAX_BUFFER_BYTES);
    // A connection that broke has nobody left to tell.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}
