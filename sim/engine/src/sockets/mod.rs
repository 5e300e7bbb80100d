//! [`SimNet`]: the `Net` port on simulated sockets.
//!
//! The socket stack is `turmoil-net`'s. What it lacks of Linux is added around it: time-outs and keepalive, the errors a
//! broken connection reports, rebinding a port at once, names.

mod listener;
mod resolver;
mod stream;

use std::{io, net::IpAddr, time::Duration};

pub use listener::SimListener;
use pgdrill_net::{Net, SocketOptions};
pub use stream::SimStream;
use tokio::time::timeout;
use turmoil_net::shim::tokio::net::TcpStream;

use crate::world;

/// `tcp_syn_retries` = 6: a connect without an answer fails after 1 + 2 + 4 + ... + 64 seconds.
const SYN_GIVE_UP: Duration = Duration::from_secs(127);

/// Connects and listens on the host of the process that calls it.
///
/// It holds nothing: whichever process uses it speaks from its own host. Using it outside a simulated process panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimNet;

impl Net for SimNet {
    type Stream = SimStream;
    type Listener = SimListener;

    async fn connect(&self, host: &str, port: u16, options: &SocketOptions) -> io::Result<SimStream> {
        let connecting = async {
            let ip = resolver::resolve(host).await?;
            world::with(|world| {
                world.sockets_used = true;
                // Connections within a host never pass the engine, which answers for closed ports.
                match world.is_own_closed_port(ip, port) {
                    true => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
                    false => {
                        world.dial(ip, port);
                        Ok(())
                    }
                }
            })?;
            let stream = TcpStream::connect((ip, port)).await?;
            SimStream::new(stream, Some(*options))
        };
        match timeout(options.connect_timeout.min(SYN_GIVE_UP), connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("connecting to {host}:{port} timed out"))),
        }
    }

    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![resolver::resolve(host).await?])
    }

    async fn listen(&self, host: &str, port: u16) -> io::Result<SimListener> {
        let ip = resolver::resolve(host).await?;
        SimListener::bind(ip, port).await
    }
}
