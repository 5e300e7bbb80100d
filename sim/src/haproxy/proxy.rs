//! One client's session: a server that is up, bytes both ways, cut when the server is marked down.

use std::{io, sync::Arc, time::Duration};

use pgdrill_lab::world::HaproxySettings;
use pgdrill_net::{Keepalive, Net, SocketOptions};
use tokio::{io::copy_bidirectional, sync::watch, time::sleep};

use super::Server;

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
    options: HaproxySettings,
    turn: usize,
) {
    let up: Vec<&Backend> = backends.iter().filter(|b| *b.up.borrow()).collect();
    let Some(backend) = up.get(turn % up.len().max(1)) else { return };
    let mut state = backend.up.clone();
    let forward = async {
        let mut server = connect(&net, &backend.server, &options).await?;
        copy_bidirectional(&mut client, &mut server).await
    };
    tokio::select! {
        // Either side's end or error ends the session; the sockets say so to the other side.
        _ = forward => {}
        _ = state.wait_for(|up| !up) => {}
    }
}

/// HAProxy's turn-around before it tries to connect to a server again, unless `timeout connect` is shorter.
const TURN_AROUND: Duration = Duration::from_secs(1);

/// The connection to a server, tried again `retries` times: a client of a server that refuses waits for that, and gives up
/// itself if it has less patience.
async fn connect<N: Net>(net: &N, server: &Server, options: &HaproxySettings) -> io::Result<N::Stream> {
    let mut left = options.retries;
    loop {
        match connect_once(net, server, options).await {
            Err(_) if left > 0 => sleep(TURN_AROUND.min(options.timeout_connect)).await,
            done => return done,
        }
        left -= 1;
    }
}

/// `option srvtcpka` with the kernel's defaults shortened as deployments do, `timeout connect`.
async fn connect_once<N: Net>(net: &N, server: &Server, options: &HaproxySettings) -> io::Result<N::Stream> {
    let ten = Duration::from_secs(10);
    let limits = SocketOptions {
        connect_timeout: options.timeout_connect,
        keepalive: Some(Keepalive { idle: ten, interval: ten, count: 3 }),
        user_timeout: None,
    };
    net.connect(&server.host, server.port, &limits).await
}

#[cfg(test)]
mod tests {
    use pgdrill_lab::world::HAPROXY_SETTINGS;
    use pgdrill_net::{Listener, TokioNet};
    use tokio::{io::AsyncReadExt, time::Instant};

    use super::*;

    const LIMITS: SocketOptions =
        SocketOptions { connect_timeout: Duration::from_secs(60), keepalive: None, user_timeout: None };

    /// HAProxy's manual, `retries`: "a turn-around timer of min("timeout connect", one second) is applied before a retry
    /// occurs". Seen on real nodes as clients that wait two seconds for a dead primary.
    #[tokio::test(start_paused = true)]
    async fn a_client_of_a_server_that_refuses_is_hung_up_on_after_two_retries() {
        let mut listener = TokioNet.listen("127.0.0.1", 0).await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (client, accepted) = tokio::join!(TokioNet.connect("127.0.0.1", port, &LIMITS), listener.accept());
        let (mut client, (accepted, _)) = (client.expect("it listens"), accepted.expect("it comes"));
        let server = Server { name: "pg1".into(), host: "127.0.0.1".into(), port: 1, check_port: 1 };
        let (_up, up) = watch::channel(true);
        let began = Instant::now();
        session(TokioNet, accepted, Arc::new(vec![Backend { server, up }]), HAPROXY_SETTINGS, 1).await;
        assert_eq!(began.elapsed().as_secs(), 2, "{:?}", began.elapsed());
        assert_eq!(client.read(&mut [0]).await.expect("an orderly end"), 0);
    }
}
