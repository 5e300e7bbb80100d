//! The `Net` port: connect and listen, and nothing more.
//!
//! Everything in pgdrill that speaks to the network is generic over [`Net`], so that exactly the same code runs on real
//! sockets ([`TokioNet`]) and on simulated ones. Time-outs belong to the port because they are where HA bugs live: a
//! connection without keepalive and user time-out stays dead for minutes after a partition.

mod real;

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

pub use real::{BoundNet, TokioListener, TokioNet, TokioStream};
use tokio::io::{AsyncRead, AsyncWrite};

/// Opens and accepts TCP connections. Cheap to clone.
pub trait Net: Clone + Send + Sync + 'static {
    /// A connected byte stream.
    type Stream: Socket;
    /// A bound, listening socket.
    type Listener: Listener<Stream = Self::Stream>;

    /// Connects to `host` (a name or an IP address) and `port`.
    ///
    /// # Errors
    /// `TimedOut` after [`SocketOptions::connect_timeout`]; `ConnectionRefused` when the host answers that nobody
    /// listens; `NotFound` when the name does not resolve; whatever else the operating system reports.
    fn connect(
        &self,
        host: &str,
        port: u16,
        options: &SocketOptions,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// The addresses of `host`, which is a name or an address itself.
    ///
    /// # Errors
    /// `NotFound` when the name does not resolve; `TimedOut` when nobody answers.
    fn resolve(&self, host: &str) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send;

    /// Listens on `host` (an address of this machine, or `0.0.0.0`) and `port` (0: any free one).
    ///
    /// # Errors
    /// `AddrInUse` when something listens there already.
    fn listen(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// As [`Net::listen`], with at most `queue` connections that wait to be accepted (the backlog of `listen(2)`); the
    /// operating system may have a lower limit. A network that has no queue of its own takes them all.
    ///
    /// # Errors
    /// As [`Net::listen`].
    fn listen_with_queue(
        &self,
        host: &str,
        port: u16,
        queue: u32,
    ) -> impl Future<Output = io::Result<Self::Listener>> + Send {
        let _ = queue;
        self.listen(host, port)
    }
}

/// A listening socket.
pub trait Listener: Send + Sync + 'static {
    /// What an accepted connection is.
    type Stream: Socket;
    /// Waits for the next connection.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;
    /// The address it is bound to.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A connected socket.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static {
    /// This end's address.
    fn local_addr(&self) -> io::Result<SocketAddr>;
    /// The other end's address.
    fn peer_addr(&self) -> io::Result<SocketAddr>;
}

/// Whether the operating system refused something because this process, or the machine, has no more of a resource: descriptors
/// (EMFILE, ENFILE), memory (ENOMEM, ENOBUFS), processes or threads (EAGAIN). That says nothing about the other end.
#[must_use]
pub fn is_lack(error: &io::Error) -> bool {
    let codes = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS, libc::EAGAIN];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// How a connection gives up. Every field is a decision: there is no "operating system default" here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// How long connecting may take, name resolution included.
    pub connect_timeout: Duration,
    /// Probes on an idle connection; `None`: none, a vanished peer is never noticed while idle.
    pub keepalive: Option<Keepalive>,
    /// Unacknowledged data older than this closes the connection (`TCP_USER_TIMEOUT`); `None`: the kernel's
    /// retransmission limit, about 15 minutes.
    pub user_timeout: Option<Duration>,
}

/// TCP keepalive (`TCP_KEEPIDLE`, `TCP_KEEPINTVL`, `TCP_KEEPCNT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Idle time before the first probe.
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Unanswered probes until the connection is closed.
    pub count: u32,
}

impl SocketOptions {
    /// Gives up connecting after `connect_timeout` and an established connection that is silent for about as long again.
    #[must_use]
    pub fn within(connect_timeout: Duration) -> Self {
        let interval = (connect_timeout / 3).max(Duration::from_secs(1));
        Self {
            connect_timeout,
            keepalive: Some(Keepalive { idle: interval, interval, count: 3 }),
            user_timeout: Some(connect_timeout),
        }
    }
}
