//! Whether the server will get the addresses that it is to listen on.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
};

use pgdrill_agent::{
    config::HostPort,
    ports::{PostgresError, PostgresResult},
};

/// Listens for a moment, as PostgreSQL will.
///
/// # Errors
/// Refused when somebody else has one of the addresses. What is no address of this machine is PostgreSQL's to say: with several
/// it does without.
pub(super) fn may(listen: &HostPort) -> PostgresResult<()> {
    let addresses = listen.host.split(',').flat_map(|host| addresses(host.trim(), listen.port));
    match addresses.into_iter().find(is_taken) {
        None => Ok(()),
        Some(address) => Err(PostgresError::Refused(taken(listen, address))),
    }
}

fn taken(listen: &HostPort, address: SocketAddr) -> String {
    let port = address.port();
    format!(
        "postgresql.listen: found {listen}, but another program listens on {address}: end that program (`ss -ltnp 'sport = \
         :{port}'` shows it), or give PostgreSQL another port in postgresql.listen and postgresql.connect_address; the data \
         directory is left as it is"
    )
}

/// What PostgreSQL makes of a host in `listen_addresses`.
fn addresses(host: &str, port: u16) -> Vec<SocketAddr> {
    let hosts = if host == "*" { vec!["0.0.0.0", "::"] } else { vec![host.trim_matches(['[', ']'])] };
    hosts.into_iter().flat_map(|host| (host, port).to_socket_addrs().into_iter().flatten()).collect()
}

fn is_taken(address: &SocketAddr) -> bool {
    TcpListener::bind(address).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_somebody_else_has_is_told_with_what_to_do() {
        let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = other.local_addr().expect("it is bound").port();
        for host in ["127.0.0.1", "*", "0.0.0.0", "192.0.2.1,127.0.0.1", "localhost"] {
            let said = may(&HostPort::new(host, port)).expect_err(host).to_string();
            assert!(said.contains(&format!("postgresql.listen: found {host}:{port}")), "{said}");
            assert!(said.contains(&format!(":{port}: end that program (`ss -ltnp 'sport = :{port}'`")), "{said}");
        }
        drop(other);
        assert_eq!(may(&HostPort::new("127.0.0.1", port)), Ok(()));
        assert_eq!(may(&HostPort::new("192.0.2.1", port)), Ok(()), "an address of another machine is nobody's here");
    }
}
