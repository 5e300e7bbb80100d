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
    time::{sleep, timeout},
};
use tower::ServiceExt;

use super::{access::Peer, router};
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
        let router = router(parts);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                // What became of a connection is its client's affair.
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(connection(stream, self.acceptor.clone(), router.clone()));
                    }
                    // Out of file descriptors, or the client gave up at once: the next may be luckier.
                    Err(_) => sleep(Duration::from_secs(1)).await,
                },
            }
        }
    }
}

async fn connection<S: Socket>(stream: S, acceptor: Option<Arc<Acceptor>>, router: Router) {
    let Ok(address) = stream.peer_addr() else { return };
    let opened = match acceptor {
        None => Ok((MaybeTls::Left(stream), false)),
        Some(acceptor) => match timeout(PATIENCE, acceptor.accept(stream)).await {
            Ok(opened) => opened,
            Err(_) => return,
        },
    };
    // A client that speaks no TLS, or shows no certificate, has been told so by TLS itself.
    let Ok((stream, has_certificate)) = opened else { return };
    speak(stream, Peer { address, has_certificate }, router).await;
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
