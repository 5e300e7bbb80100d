//! A connected socket.

use std::{
    cell::RefCell,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use pgdrill_net::{Socket, SocketOptions};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil_net::shim::tokio::net::TcpStream;

use crate::{
    network::FlowKey,
    world::{self, Request, SharedStream, SocketEntry},
};

thread_local! {
    /// Where what is read lands first: as large as the largest read so far, and cleared once.
    static LANDING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Reads as the stack does. Given a reader's own buffer, the stack would clear all of it before every look: kilobytes for the
/// few bytes, or none, that have come.
fn read_landing(stream: Pin<&mut TcpStream>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    LANDING.with_borrow_mut(|landing| {
        let room = buf.remaining();
        landing.resize(landing.len().max(room), 0);
        let mut landed = ReadBuf::new(&mut landing[..room]);
        let read = stream.poll_read(cx, &mut landed);
        buf.put_slice(landed.filled());
        read
    })
}

/// A connected, simulated TCP socket.
#[derive(Debug)]
pub struct SimStream {
    stream: SharedStream,
    key: FlowKey,
    local: SocketAddr,
    peer: SocketAddr,
    saw_end: bool,
    failed: bool,
    /// When it was last written to, in collections of outgoing packets.
    written_at: Option<u64>,
}

impl SimStream {
    pub(super) fn new(stream: TcpStream, options: Option<SocketOptions>) -> io::Result<Self> {
        let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
        let stream = Arc::new(Mutex::new(stream));
        let key = world::with(|world| {
            let owner = world.current.expect("sockets are opened inside a process");
            let here = world.current_host();
            let there = world.host_by_ip(peer.ip(), here).expect("a connected peer is a host of the simulation");
            let key = FlowKey::new(here, local.port(), there, peer.port());
            world.sockets.insert(key, SocketEntry::new(owner, options, Arc::clone(&stream)));
            world.requests.push(Request::Connected(key));
            key
        });
        Ok(Self { stream, key, local, peer, saw_end: false, failed: false, written_at: None })
    }

    /// Uncontended: the engine looks at it only while no process runs.
    fn with_stream<R>(&self, use_it: impl FnOnce(Pin<&mut TcpStream>) -> R) -> R {
        use_it(Pin::new(&mut *self.stream.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Bytes that had arrived before the connection was reset.
    fn take_saved(&self, room: usize) -> Option<Vec<u8>> {
        world::with(|world| {
            let saved = &mut world.sockets.get_mut(&self.key)?.saved;
            let count = room.min(saved.len());
            (count > 0).then(|| saved.drain(..count).collect())
        })
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
        let read = ready!(this.with_stream(|stream| read_landing(stream, cx, buf)));
        if read.is_err()
            && let Some(saved) = this.take_saved(room)
        {
            buf.put_slice(&saved);
            return Poll::Ready(Ok(()));
        }
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
        let written = ready!(this.with_stream(|stream| stream.poll_write(cx, buf)));
        this.written_at = world::with(|world| {
            world.sockets_used = true;
            // Between hosts the engine sees the data arrive and resets; within a host nobody but us can know.
            let peer = || world.sockets.get(&this.key.reversed()).is_some_and(|entry| entry.orphan);
            if this.key.from() == this.key.to() && written.is_ok() && peer() {
                world.requests.push(Request::WroteToOrphan(this.key));
            }
            Some(world.collections)
        });
        Poll::Ready(written.map_err(|e| this.explain(e, true)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = ready!(this.with_stream(|stream| stream.poll_shutdown(cx)));
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
        // The kernel closes it when the last reference goes, which is the one in `self` unless it must wait.
        drop(world::with(|world| {
            world.sockets_used = true;
            world.narrow_windows.remove(&self.key);
            let entry = world.sockets.get_mut(&self.key)?;
            entry.orphan = true;
            entry.saved = Vec::new();
            let stream = entry.stream.take()?;
            if self.written_at != Some(world.collections) {
                return Some(stream);
            }
            // Linux sends on write; the socket stack sends later, and a close that resets would forget the bytes.
            world.closing.push((self.key.from(), stream));
            None
        }));
    }
}
