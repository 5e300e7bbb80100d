//! The server's sockets: accepts connections, opens TLS where it is configured, and speaks HTTP/1 on them.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use pgdrill_net::{Listener, Net, Socket};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower::ServiceExt;

use super::{access::Peer, refusals::Refusals, router};
use crate::{
    daemon::{Parts, Ports},
    tls::{Acceptor, MaybeTls},
};

/// A client that connects and says nothing is let go: handshake and head of the request together get this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// The API's listening socket, and what its connections begin with.
pub(crate) struct Server<N: Net> {
    listener: N::Listener,
    acceptor: Option<Arc<Acceptor>>,
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
        let router = router(Arc::clone(&parts));
        let mut connections: JoinSet<Option<String>> = JoinSet::new();
        let mut refusals = Refusals::default();
        loop {
            tokio::select! {
                biased;
                // What became of a connection is its client's affair, but for who could not open TLS.
                Some(ended) = connections.join_next() => {
                    if let Some(text) = ended.ok().flatten().filter(|text| refusals.is_news(text, Instant::now())) {
                        parts.trouble("rest", text);
                    }
                }
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        parts.shared.accept(from);
                        connections.spawn(connection(stream, self.acceptor.clone(), router.clone()));
                    }
                    // Out of file descriptors, or the client gave up at once: the next may be luckier.
                    Err(_) => sleep(Duration::from_secs(1)).await,
                },
            }
        }
    }
}

/// Tells why TLS could not be opened, if that is so.
async fn connection<S: Socket>(stream: S, acceptor: Option<Arc<Acceptor>>, router: Router) -> Option<String> {
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
    speak(stream, Peer { address, has_certificate }, router).await;
    None
}

async fn speak<S>(stream: S, peer: Peer, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {}))
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    // A connection that broke has nobody left to tell.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}
