//! One gRPC connection to one etcd member, over the [`Net`] port.

use std::{io, sync::Arc, time::Duration};

use etcd_client::{Channel, Client, ConnectOptions};
use hyper_util::rt::TokioIo;
use pgdrill_net::{Keepalive, Net, SocketOptions};
use tonic::transport::Endpoint;
use tower::service_fn;

use super::{EtcdTiming, status};
use crate::{
    config::{EtcdConfig, HostPort, User},
    tls::{Checks, ClientFiles, Connector, Connectors, MaybeTls, Settings},
};

/// How etcd is to be sure of us and we of it.
pub(super) struct Security {
    /// `None` without TLS.
    tls: Option<Arc<Connectors>>,
    user: Option<User>,
}

impl Security {
    pub fn new(config: &EtcdConfig) -> Self {
        let files = config.tls.as_ref().map(|tls| ClientFiles {
            cacert: tls.cacert.clone(),
            cert: tls.cert.clone(),
            key: tls.key.clone(),
            checks: Checks::AuthorityAndName,
            revocation: None,
            settings: Settings { cacert: "etcd3.cacert", cert: "etcd3.cert" },
        });
        let tls = files.map(|files| Arc::new(Connectors::new(files, "h2")));
        Self { tls, user: config.user.clone() }
    }

    /// Whether a user is configured.
    pub const fn logs_in(&self) -> bool {
        self.user.is_some()
    }

    /// What TLS has to say of an error: etcd's verdict on our certificate comes after the handshake.
    pub fn tls_failure(&self, host: &HostPort, error: &(dyn std::error::Error + 'static)) -> Option<io::Error> {
        self.tls.as_ref().and_then(|tls| tls.files().explained(host, error))
    }

    /// What TLS has to say, or what is at the end of the chain of causes: tonic says "transport error".
    fn explained(&self, host: &HostPort, error: &(dyn std::error::Error + 'static)) -> io::Error {
        self.tls_failure(host, error).unwrap_or_else(|| io::Error::other(deepest(error)))
    }
}

/// Connects, with all the time-outs that keep a half-dead connection from being trusted:
/// * HTTP/2 pings also while idle, because an open watch says nothing for hours and would never notice a vanished server;
/// * TCP keepalive and user time-out for what lies below, should the pings themselves not be acknowledged.
///
/// With TLS and as a user where these are configured.
pub(super) async fn connect<N: Net>(
    net: &N,
    host: &HostPort,
    timing: &EtcdTiming,
    security: &Security,
) -> io::Result<Client> {
    let per_node = timing.per_node();
    let options = SocketOptions {
        connect_timeout: per_node,
        keepalive: Some(Keepalive { idle: timing.ttl / 3, interval: per_node.max(Duration::from_secs(1)), count: 3 }),
        user_timeout: Some(timing.retry_timeout),
    };
    let tls: Option<Connector> = security.tls.as_ref().map(|tls| tls.get()).transpose()?;
    let (net, target) = (net.clone(), host.clone());
    let connector = service_fn(move |_: http::Uri| {
        let (net, target, tls) = (net.clone(), target.clone(), tls.clone());
        async move {
            let stream = net.connect(&target.host, target.port, &options).await?;
            let stream = match tls {
                Some(connector) => connector.connect(&target, stream).await?,
                None => MaybeTls::Left(stream),
            };
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    // tonic must not know of TLS, which is ours: to it every member is plain.
    let endpoint = Endpoint::new(format!("http://{host}"))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?
        .http2_keep_alive_interval(timing.ping_interval)
        .keep_alive_timeout(per_node)
        .keep_alive_while_idle(true);
    let channel = endpoint.connect_with_connector(connector).await.map_err(|error| security.explained(host, &error))?;
    // A watch on a member that lost its leader would go on in silence; this makes the server cancel it instead.
    let anonymous = ConnectOptions::new().with_require_leader(true);
    if let Some(user) = &security.user {
        let password = user.password.as_ref().map_or("", |password| password.reveal());
        let options = anonymous.clone().with_user(&user.username, password).with_auto_token_refresh(true);
        match Client::from_channel(Channel::Tonic(channel.clone()), Some(options)).await {
            // As in Patroni: users may be configured here before etcd is told to ask for them.
            Err(error) if status::is_auth_disabled(&error) => {}
            outcome => return outcome.map_err(|error| security.explained(host, &error)),
        }
    }
    Client::from_channel(Channel::Tonic(channel), Some(anonymous)).await.map_err(io::Error::other)
}

fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
