//! A connected socket.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pgdrill_net::{Socket, SocketOptions};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil_net::shim::tokio::net::TcpStream;

use crate::{
    network::FlowKey,
    world::{self, Request, SocketEntry},
};

/// A connected, simulated TCP socket.
#[derive(Debug)]
pub struct SimStream {
    /// `None` only while it is dropped.
    stream: Option<TcpStream>,
    key: FlowKey,
    local: SocketAddr,
    peer: SocketAddr,
    saw_end: bool,
    failed: bool,
}

impl SimStream {
    pub(super) fn new(stream: TcpStream, options: Option<SocketOptions>) -> io::Result<Self> {
        let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
        let key = world::with(|world| {
            let owner = world.current.expect("sockets are opened inside a process");
            let here = world.current_host();
            let there = world.host_by_ip(peer.ip(), here).expect("a connected peer is a host of the simulation");
            let key = FlowKey::new(here, local.port(), there, peer.port());
            let entry = SocketEntry { owner, options, error: None, peer_finished: false, orphan: false };
            world.sockets.insert(key, entry);
            world.requests.push(Request::Connected(key));
            key
        });
        Ok(Self { stream: Some(stream), key, local, peer, saw_end: false, failed: false })
    }

    fn inner(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.stream.as_mut().expect("taken by drop alone"))
    }

    /// Linux reports why a connection broke once; afterwards reads end and writes find a broken pipe.
    fn explain(&mut self, error: io::Error, writing: bool) -> io::Error {
        if error.kind() != io::ErrorKind::ConnectionReset {
            return error;
        }
        let told_before = std::mem::replace(&mut self.failed, true);
        let (cause, peer_finished) = world::with(|world| {
            let entry = world.sockets.get(&self.key);
            entry.map_or((None, false), |entry| (entry.error, entry.peer_finished))
        });
        // tcp_reset() sets EPIPE instead of ECONNRESET on a socket whose peer had finished (CLOSE_WAIT).
        if writing && (told_before || peer_finished || self.saw_end) {
            return io::ErrorKind::BrokenPipe.into();
        }
        cause.map_or(error, io::Error::from)
    }
}

impl AsyncRead for SimStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.failed || this.saw_end {
            return Poll::Ready(Ok(()));
        }
        let (filled, room) = (buf.filled().len(), buf.remaining());
        let read = ready!(this.inner().poll_read(cx, buf));
        let count = buf.filled().len() - filled;
        this.saw_end = read.is_ok() && count == 0 && room > 0;
        world::with(|world| {
            world.sockets_used = true;
            // The stack announces a larger window only after reading half of the buffer at once: do it for small reads.
            if world.narrow_windows.remove(&this.key) {
                world.requests.push(Request::WindowOpened(this.key));
            }
        });
        Poll::Ready(read.map_err(|e| this.explain(e, false)))
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.failed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let written = ready!(this.inner().poll_write(cx, buf));
        world::with(|world| {
            world.sockets_used = true;
            // Between hosts the engine sees the data arrive and resets; within a host nobody but us can know.
            let peer = || world.sockets.get(&this.key.reversed()).is_some_and(|entry| entry.orphan);
            if this.key.from() == this.key.to() && written.is_ok() && peer() {
                world.requests.push(Request::WroteToOrphan(this.key));
            }
        });
        Poll::Ready(written.map_err(|e| this.explain(e, true)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = ready!(this.inner().poll_shutdown(cx));
        world::with(|world| world.sockets_used = true);
        Poll::Ready(match shut {
            // shutdown(2) on a socket that is gone already.
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Err(io::ErrorKind::NotConnected.into()),
            other => other,
        })
    }
}

impl Socket for SimStream {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        drop(self.stream.take());
        world::with(|world| {
            world.sockets_used = true;
            world.narrow_windows.remove(&self.key);
            if let Some(entry) = world.sockets.get_mut(&self.key) {
                entry.orphan = true;
            }
        });
    }
}
