//! One gRPC connection to one etcd member, over the [`Net`] port.

use std::{io, time::Duration};

use etcd_client::{Channel, Client, ConnectOptions};
use hyper_util::rt::TokioIo;
use pgdrill_net::{Keepalive, Net, SocketOptions};
use tonic::transport::Endpoint;
use tower::service_fn;

use super::EtcdTiming;
use crate::config::HostPort;

/// Connects, with all the time-outs that keep a half-dead connection from being trusted:
/// * HTTP/2 pings also while idle, because an open watch says nothing for hours and would never notice a vanished server;
/// * TCP keepalive and user time-out for what lies below, should the pings themselves not be acknowledged.
pub(super) async fn connect<N: Net>(net: &N, host: &HostPort, timing: &EtcdTiming) -> io::Result<Client> {
    let per_node = timing.per_node();
    let options = SocketOptions {
        connect_timeout: per_node,
        keepalive: Some(Keepalive { idle: timing.ttl / 3, interval: per_node.max(Duration::from_secs(1)), count: 3 }),
        user_timeout: Some(timing.retry_timeout),
    };
    let (net, target) = (net.clone(), host.clone());
    let connector = service_fn(move |_: http::Uri| {
        let (net, target) = (net.clone(), target.clone());
        async move { net.connect(&target.host, target.port, &options).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::new(format!("http://{host}"))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?
        .http2_keep_alive_interval(timing.ping_interval)
        .keep_alive_timeout(per_node)
        .keep_alive_while_idle(true);
    let channel = endpoint.connect_with_connector(connector).await.map_err(deepest)?;
    // A watch on a member that lost its leader would go on in silence; this makes the server cancel it instead.
    let options = ConnectOptions::new().with_require_leader(true);
    Client::from_channel(Channel::Tonic(channel), Some(options)).await.map_err(io::Error::other)
}

/// tonic says "transport error"; what happened is at the end of the chain of causes.
fn deepest(error: tonic::transport::Error) -> io::Error {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    io::Error::other(cause.to_string())
}
