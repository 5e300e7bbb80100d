//! HAProxy's configuration, as Patroni's own documentation gives it.

use super::Settings;
use crate::cluster::ports;

impl Settings {
    /// `haproxy.cfg`: every 3 s each agent's `/primary` is asked; 3 failures take a server out and close its sessions, 2
    /// successes bring it back.
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
        format!(
            "\
global
    maxconn 1000

defaults
    mode tcp
    retries 2
    timeout client 30m
    timeout connect 4s
    timeout server 30m
    timeout check 5s

listen primary
    bind *:{}
    option httpchk GET /primary
    http-check expect status 200
    default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions
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
