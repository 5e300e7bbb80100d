//! How HAProxy is configured, in every world: as in the file that Patroni's documentation and its `haproxy.cfg` give.

use std::time::Duration;

/// The settings that decide how long an outage looks to clients behind HAProxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HaproxySettings {
    /// `inter`: time between two checks of a server.
    pub inter: Duration,
    /// `fall`: failed checks in a row until a server is down.
    pub fall: u32,
    /// `rise`: good checks in a row until it is up.
    pub rise: u32,
    /// `timeout check`: how long an answer to a check may take once connected; connecting gets `inter` or
    /// `timeout connect`, whichever is shorter.
    pub timeout_check: Duration,
    /// `timeout connect`: how long connecting to a server for a client may take.
    pub timeout_connect: Duration,
    /// `retries`: how often connecting is tried again, after a second or `timeout connect`, whichever is shorter. The server
    /// stays the same: there is no `option redispatch`.
    pub retries: u32,
}

/// What Patroni's `haproxy.cfg` says.
pub const HAPROXY_SETTINGS: HaproxySettings = HaproxySettings {
    inter: Duration::from_secs(3),
    fall: 3,
    rise: 2,
    timeout_check: Duration::from_secs(5),
    timeout_connect: Duration::from_secs(4),
    retries: 2,
};
