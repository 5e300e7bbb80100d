//! HAProxy as Patroni's documentation configures it for the primary ([`pgdrill_lab::world::HAPROXY_SETTINGS`] has the numbers):
//!
//! ```text
//! listen primary
//!     bind *:5000
//!     option httpchk OPTIONS /primary
//!     http-check expect status 200
//!     default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions
//! ```
//!
//! Every server is checked by itself; sessions go to the first server that is up, round robin when several are (two that
//! answer 200 at once is exactly what the lab looks for, so it is not hidden here). A server marked down loses its
//! sessions at once.

mod check;
mod proxy;

use std::sync::Arc;

use pgdrill_lab::world::HaproxySettings;
use pgdrill_net::{Listener, Net};
use tokio::sync::watch;

/// A server behind the proxy.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name: `pg1`.
    pub name: String,
    /// Host of both ports.
    pub host: String,
    /// PostgreSQL's port.
    pub port: u16,
    /// The agent's REST port, which is checked.
    pub check_port: u16,
}

/// Serves for ever on `port`; `changed` hears of every server marked up or down.
///
/// # Errors
/// When the port cannot be bound.
pub async fn serve<N: Net>(
    net: N,
    port: u16,
    servers: Vec<Server>,
    options: HaproxySettings,
    changed: impl Fn(&str, bool) + Send + Sync + 'static,
) -> std::io::Result<()> {
    let mut listener = net.listen("0.0.0.0", port).await?;
    let changed = Arc::new(changed);
    let mut backends = vec![];
    for (i, server) in servers.into_iter().enumerate() {
        let (up, seen) = watch::channel(false);
        backends.push(proxy::Backend { server: server.clone(), up: seen });
        // HAProxy spreads the first checks over the interval.
        let phase = options.inter.mul_f64(i as f64 / 3.0 % 1.0);
        tokio::spawn(check::run(net.clone(), server, options, phase, up, changed.clone()));
    }
    let backends = Arc::new(backends);
    let mut turn = 0;
    loop {
        let (client, _) = listener.accept().await?;
        turn += 1;
        tokio::spawn(proxy::session(net.clone(), client, backends.clone(), options, turn));
    }
}
