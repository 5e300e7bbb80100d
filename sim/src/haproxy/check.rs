//! The health check of one server: `OPTIONS /primary`, a new connection each time, as HAProxy does it.

use std::{io, sync::Arc, time::Duration};

use pgdrill_lab::world::HaproxySettings;
use pgdrill_net::{Net, SocketOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::Server;

pub(super) async fn run<N: Net>(
    net: N,
    server: Server,
    options: HaproxySettings,
    phase: Duration,
    up: watch::Sender<bool>,
    changed: Arc<impl Fn(&str, bool)>,
) {
    let mut due = Instant::now() + phase;
    let mut streak = 0;
    loop {
        sleep_until(due).await;
        let good = matches!(ask(&net, &server, &options).await, Ok(200));
        let is_up = *up.borrow();
        streak = if good == is_up { 0 } else { streak + 1 };
        if streak >= if is_up { options.fall } else { options.rise } {
            streak = 0;
            up.send_replace(good);
            changed(&server.name, good);
        }
        due = (due + options.inter).max(Instant::now());
    }
}

/// The status of the answer.
async fn ask<N: Net>(net: &N, server: &Server, options: &HaproxySettings) -> io::Result<u16> {
    let connect_timeout = options.inter.min(options.timeout_connect);
    let limits = SocketOptions { connect_timeout, keepalive: None, user_timeout: None };
    let mut socket = net.connect(&server.host, server.check_port, &limits).await?;
    let mut line = [0; 12];
    let answer = async {
        socket.write_all(b"OPTIONS /primary HTTP/1.0\r\n\r\n").await?;
        socket.read_exact(&mut line).await
    };
    timeout(options.timeout_check, answer).await??;
    let status = line.strip_prefix(b"HTTP/1.").and_then(|rest| std::str::from_utf8(&rest[2..]).ok());
    status
        .and_then(|s| s.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the check's answer is not HTTP"))
}
