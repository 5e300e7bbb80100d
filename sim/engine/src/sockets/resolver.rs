//! Names, as `getaddrinfo` answers them.

use std::{io, net::IpAddr, time::Duration};

use tokio::time::sleep;

use crate::world::{self, Dns};

/// resolv.conf's defaults: two attempts of five seconds each.
const RESOLVER_GIVES_UP: Duration = Duration::from_secs(10);

/// The address of `host`: an address itself, `localhost`, or the name of a host of the simulation.
pub(super) async fn resolve(host: &str) -> io::Result<IpAddr> {
    if let Ok(ip) = host.parse() {
        return Ok(ip);
    }
    // /etc/hosts knows localhost: no server is asked.
    if host == "localhost" {
        return Ok(IpAddr::from([127, 0, 0, 1]));
    }
    let dns = world::with(|world| world.hosts[world.current_host().0].dns);
    match dns {
        Dns::Answers => world::with(|world| world.host_by_name(host).map(|found| world.hosts[found.0].ip))
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("the name {host} has no address"))),
        Dns::Silent => {
            sleep(RESOLVER_GIVES_UP).await;
            Err(temporary_failure(host))
        }
        Dns::Fails => Err(temporary_failure(host)),
    }
}

/// `EAI_AGAIN`, which std reports without a kind of its own.
fn temporary_failure(host: &str) -> io::Error {
    io::Error::other(format!("failed to look up {host}: Temporary failure in name resolution"))
}
