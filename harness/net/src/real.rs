//! [`Net`] on the machine's own TCP.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, lookup_host},
    time::timeout,
};

use crate::{Listener, Net, Socket, SocketOptions};

/// Connections that wait to be accepted, where nobody says how many: the kernel's own limit is lower or the same.
const QUEUE: u32 = 1024;

/// The operating system's TCP.
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
    type Stream = TcpStream;
    type Listener = TokioListener;

    async fn connect(&self, host: &str, port: u16, options: &SocketOptions) -> io::Result<TcpStream> {
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
            Ok(stream)
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
    type Stream = TcpStream;
    type Listener = TokioListener;

    async fn connect(&self, host: &str, port: u16, options: &SocketOptions) -> io::Result<TcpStream> {
        let connecting = async {
            let stream = match host.parse::<IpAddr>() {
                Ok(ip) => TcpStream::connect((ip, port)).await?,
                Err(_) => TcpStream::connect(&*resolve(host, port).await?).await?,
            };
            stream.set_nodelay(true)?;
            apply(&stream, options)?;
            Ok(stream)
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
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Socket for TcpStream {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpStream::local_addr(self)
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        TcpStream::peer_addr(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
