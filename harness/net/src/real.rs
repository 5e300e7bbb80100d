//! [`Net`] on the machine's own TCP, and to servers of the same machine over their sockets in the file system.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, UnixStream, lookup_host},
    time::timeout,
};
use tokio_util::either::Either;

use crate::{Listener, Net, Socket, SocketOptions};

/// Connections that wait to be accepted, where nobody says how many: the kernel's own limit is lower or the same.
const QUEUE: u32 = 1024;

/// The operating system's TCP. As in libpq, a host that begins with `/` is the folder of a PostgreSQL server's socket, and of
/// several hosts with commas between them the first that answers is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioNet;

/// The operating system's TCP, with connections that come from one of the machine's addresses.
#[derive(Clone, Copy, Debug)]
pub struct BoundNet {
    source: IpAddr,
}

impl BoundNet {
    /// Connections come from `source`, which must be an address of this machine.
    #[must_use]
    pub const fn new(source: IpAddr) -> Self {
        Self { source }
    }
}

impl Net for BoundNet {
    type Stream = TokioStream;
    type Listener = TokioListener;

    async fn connect(&self, host: &str, port: u16, options: &SocketOptions) -> io::Result<TokioStream> {
        let connecting = async {
            let to = match host.parse::<IpAddr>() {
                Ok(ip) => SocketAddr::new(ip, port),
                Err(_) => resolve(host, port).await?[0],
            };
            let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.bind(SocketAddr::new(self.source, 0))?;
            let stream = socket.connect(to).await?;
            stream.set_nodelay(true)?;
            apply(&stream, options)?;
            Ok(TokioStream::Left(stream))
        };
        timeout(options.connect_timeout, connecting).await.unwrap_or_else(|_| Err(too_late(host, port)))
    }

    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        TokioNet.resolve(host).await
    }

    async fn listen(&self, host: &str, port: u16) -> io::Result<TokioListener> {
        TokioNet.listen(host, port).await
    }

    async fn listen_with_queue(&self, host: &str, port: u16, queue: u32) -> io::Result<TokioListener> {
        TokioNet.listen_with_queue(host, port, queue).await
    }
}

fn too_late(host: &str, port: u16) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("connecting to {host}:{port} timed out"))
}

/// A listener of the operating system.
#[derive(Debug)]
pub struct TokioListener(TcpListener);

impl Net for TokioNet {
    type Stream = TokioStream;
    type Listener = TokioListener;

    async fn connect(&self, host: &str, port: u16, options: &SocketOptions) -> io::Result<TokioStream> {
        let connecting = async {
            let mut failed = None;
            for host in host.split(',').map(str::trim) {
                match connect_to(host, port, options).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => failed = Some(error),
                }
            }
            Err(failed.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
        };
        timeout(options.connect_timeout, connecting).await.unwrap_or_else(|_| Err(too_late(host, port)))
    }

    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        match host.parse() {
            Ok(ip) => Ok(vec![ip]),
            Err(_) => Ok(resolve(host, 0).await?.into_iter().map(|address| address.ip()).collect()),
        }
    }

    async fn listen(&self, host: &str, port: u16) -> io::Result<TokioListener> {
        self.listen_with_queue(host, port, QUEUE).await
    }

    async fn listen_with_queue(&self, host: &str, port: u16, queue: u32) -> io::Result<TokioListener> {
        let ip: IpAddr = match host.parse() {
            Ok(ip) => ip,
            Err(_) => resolve(host, port).await?[0].ip(),
        };
        let socket = if ip.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A port whose old connections are not forgotten yet may be listened on again.
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(ip, port))?;
        Ok(TokioListener(socket.listen(queue)?))
    }
}

async fn connect_to(host: &str, port: u16, options: &SocketOptions) -> io::Result<TokioStream> {
    if host.starts_with('/') {
        return UnixStream::connect(format!("{host}/.s.PGSQL.{port}")).await.map(TokioStream::Right);
    }
    let stream = match host.parse::<IpAddr>() {
        Ok(ip) => TcpStream::connect((ip, port)).await?,
        Err(_) => TcpStream::connect(&*resolve(host, port).await?).await?,
    };
    stream.set_nodelay(true)?;
    apply(&stream, options)?;
    Ok(TokioStream::Left(stream))
}

async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<_> = lookup_host((host, port)).await?.collect();
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("the name {host} has no address")));
    }
    Ok(found)
}

fn apply(stream: &TcpStream, options: &SocketOptions) -> io::Result<()> {
    let socket = SockRef::from(stream);
    if let Some(k) = options.keepalive {
        let keepalive = TcpKeepalive::new().with_time(k.idle).with_interval(k.interval).with_retries(k.count);
        socket.set_tcp_keepalive(&keepalive)?;
    }
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(options.user_timeout)?;
    Ok(())
}

impl Listener for TokioListener {
    type Stream = TokioStream;

    async fn accept(&mut self) -> io::Result<(TokioStream, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        stream.set_nodelay(true)?;
        Ok((TokioStream::Left(stream), peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A connection of the operating system: over TCP, or to a server of this machine over a socket in the file system.
pub type TokioStream = Either<TcpStream, UnixStream>;

impl Socket for TokioStream {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Left(stream) => stream.local_addr(),
            Self::Right(_) => Err(no_address()),
        }
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Left(stream) => stream.peer_addr(),
            Self::Right(_) => Err(no_address()),
        }
    }
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "a socket in the file system has no IP address")
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_folder_is_a_servers_socket_and_the_first_host_that_answers_is_taken() {
        let (none, folder) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let local = tokio::net::UnixListener::bind(folder.path().join(".s.PGSQL.5433")).expect("it is ours");
        let options = SocketOptions::within(std::time::Duration::from_secs(5));
        let hosts = format!("{}, {}", none.path().display(), folder.path().display());
        let mut stream = TokioNet.connect(&hosts, 5433, &options).await.expect("it answers");
        assert!(matches!(stream, TokioStream::Right(_)) && stream.peer_addr().is_err());
        let (mut other, _) = local.accept().await.expect("it was connected");
        stream.write_all(b"hello").await.expect("it is open");
        let mut said = [0; 5];
        other.read_exact(&mut said).await.expect("it is open");
        assert_eq!(&said, b"hello");
        let tcp = TokioNet.listen("127.0.0.1", 0).await.expect("a free port");
        let port = tcp.local_addr().expect("it is bound").port();
        let hosts = format!("{},127.0.0.1", none.path().display());
        let stream = TokioNet.connect(&hosts, port, &options).await.expect("the second one answers");
        assert!(matches!(stream, TokioStream::Left(_)));
        let only = none.path().display().to_string();
        let error = TokioNet.connect(&only, 5433, &options).await.expect_err("nobody is there");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn a_queue_holds_no_more_connections_than_it_was_asked_for() {
        let listener = TokioNet.listen_with_queue("127.0.0.1", 0, 2).await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let options = SocketOptions::within(std::time::Duration::from_millis(300));
        let mut waiting = Vec::new();
        // Linux lets in one more than the queue holds, and leaves the next without an answer.
        while let Ok(stream) = TokioNet.connect("127.0.0.1", port, &options).await {
            waiting.push(stream);
            assert!(waiting.len() < 10, "the queue has no end");
        }
        assert_eq!(waiting.len(), 3);
    }
}
