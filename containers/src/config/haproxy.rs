//! HAProxy's configuration, as Patroni's own documentation gives it.

use pgdrill_lab::world::{HAPROXY_SETTINGS, HaproxySettings};

use super::Settings;
use crate::ports;

impl Settings {
    /// `haproxy.cfg`, with the numbers of [`HAPROXY_SETTINGS`].
    pub(crate) fn haproxy_cfg(&self) -> String {
        let servers: String = self
            .scenario
            .cluster
            .node_names()
            .iter()
            .map(|node| {
                let (address, port, check) = (self.address(node), ports::POSTGRESQL, ports::REST);
                format!("    server {node} {address}:{port} maxconn 200 check port {check}\n")
            })
            .collect();
        let HaproxySettings { inter, fall, rise, timeout_check, timeout_connect, retries } = HAPROXY_SETTINGS;
        format!(
            "\
global
    maxconn 1000

defaults
    mode tcp
    retries {retries}
    timeout client 30m
    timeout connect {timeout_connect:?}
    timeout server 30m
    timeout check {timeout_check:?}

listen primary
    bind *:{}
    option httpchk OPTIONS /primary
    http-check expect status 200
    default-server inter {inter:?} fall {fall} rise {rise} on-marked-down shutdown-sessions
{servers}
listen statistics
    bind *:{}
    mode http
    stats enable
    stats uri /
",
            ports::PRIMARY,
            ports::STATISTICS
        )
    }
}
