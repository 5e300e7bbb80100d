//! A listening socket.

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    task::{Context, Poll, Waker},
};

use pgdrill_net::Listener;
use tokio::io::ReadBuf;
use turmoil_net::shim::tokio::net::{TcpListener, TcpStream};

use super::stream::SimStream;
use crate::{
    id::HostId,
    world::{self, ListenerEntry, Request},
};

/// A listening, simulated TCP socket.
#[derive(Debug)]
pub struct SimListener {
    /// `None` only while it is dropped.
    listener: Option<TcpListener>,
    host: HostId,
    local: SocketAddr,
}

impl SimListener {
    pub(super) async fn bind(ip: IpAddr, port: u16) -> io::Result<Self> {
        let (host, owner, parked) = world::with(|world| {
            let host = world.current_host();
            let owner = world.current.expect("current_host() has checked it");
            let open = |entry: &&mut ListenerEntry| entry.parked.is_none();
            match world.listeners.get_mut(&(host, port)) {
                Some(entry) if open(&entry) => Err(io::Error::from(io::ErrorKind::AddrInUse)),
                // A parked listener of another address does not help: the bind below may find lingering connections.
                Some(entry) => Ok((host, owner, entry.parked.take().filter(|_| entry.ip == ip))),
                None => Ok((host, owner, None)),
            }
        })?;
        let listener = match parked {
            Some(listener) => listener,
            None => TcpListener::bind((ip, port)).await?,
        };
        let local = listener.local_addr()?;
        let entry = ListenerEntry { ip, owner, parked: None };
        world::with(|world| world.listeners.insert((host, local.port()), entry));
        Ok(Self { listener: Some(listener), host, local })
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        loop {
            let accepted = self.listener.as_ref().expect("taken by drop alone").poll_accept(cx);
            match accepted {
                Poll::Ready(Ok((stream, _))) if is_reset(&stream) => {}
                other => return other,
            }
        }
    }
}

/// A connection whose client gave up during the handshake: Linux never shows it to the application.
fn is_reset(stream: &TcpStream) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    let mut byte = [0];
    let peeked = stream.poll_peek(&mut cx, &mut ReadBuf::new(&mut byte));
    matches!(peeked, Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::ConnectionReset)
}

impl Listener for SimListener {
    type Stream = SimStream;

    async fn accept(&mut self) -> io::Result<(SimStream, SocketAddr)> {
        let (stream, peer) = poll_fn(|cx| self.poll_accept(cx)).await?;
        Ok((SimStream::new(stream, None)?, peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        world::with(|world| {
            let key = (self.host, self.local.port());
            if let Some(entry) = world.listeners.get_mut(&key) {
                entry.parked = self.listener.take();
                world.requests.push(Request::PortClosed(key.0, key.1));
            }
        });
    }
}
