//! One client's session: a server that is up, bytes both ways, cut when the server is marked down.

use std::{io, sync::Arc, time::Duration};

use pgdrill_net::{Keepalive, Net, SocketOptions};
use tokio::{io::copy_bidirectional, sync::watch};

use super::{Options, Server};

pub(super) struct Backend {
    pub(super) server: Server,
    pub(super) up: watch::Receiver<bool>,
}

/// Forwards until either side ends or the server is marked down. With no server up the client is hung up on, which is
/// what it sees of HAProxy's 503 in TCP mode.
pub(super) async fn session<N: Net>(
    net: N,
    mut client: N::Stream,
    backends: Arc<Vec<Backend>>,
    options: Options,
    turn: usize,
) {
    let up: Vec<&Backend> = backends.iter().filter(|b| *b.up.borrow()).collect();
    let Some(backend) = up.get(turn % up.len().max(1)) else { return };
    let Ok(mut server) = connect(&net, &backend.server, &options).await else { return };
    let mut state = backend.up.clone();
    tokio::select! {
        // Either side's end or error ends the session; the sockets say so to the other side.
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = state.wait_for(|up| !up) => {}
    }
}

/// `option srvtcpka` with the kernel's defaults shortened as deployments do, `timeout connect`.
async fn connect<N: Net>(net: &N, server: &Server, options: &Options) -> io::Result<N::Stream> {
    let ten = Duration::from_secs(10);
    let limits = SocketOptions {
        connect_timeout: options.timeout_connect,
        keepalive: Some(Keepalive { idle: ten, interval: ten, count: 3 }),
        user_timeout: None,
    };
    net.connect(&server.host, server.port, &limits).await
}
