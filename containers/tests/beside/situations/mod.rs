//! The situations, by theme. Each plays itself with whichever agent the stage has, and records what is to be alike.

mod bootstrap;
mod configuration;
mod failover;
mod members;
mod pause;
mod replication;
mod rest;
mod security;
mod standby_cluster;

use serde_json::Value;

use crate::stage::Stage;

/// A situation.
#[derive(Clone, Copy)]
pub(crate) struct Situation {
    /// Its name, a sentence about what is done.
    pub(crate) name: &'static str,
    pub(crate) play: fn(&mut Stage),
    /// Whether PostgreSQL must be built with TLS.
    pub(crate) needs_tls: bool,
    /// Whether it is one of the few that show most, for who has no time for all.
    pub(crate) is_short: bool,
}

impl Situation {
    const fn new(name: &'static str, play: fn(&mut Stage)) -> Self {
        Self { name, play, needs_tls: false, is_short: false }
    }

    const fn with_tls(name: &'static str, play: fn(&mut Stage)) -> Self {
        Self { name, play, needs_tls: true, is_short: false }
    }

    /// One of the few.
    const fn short(self) -> Self {
        Self { is_short: true, ..self }
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Situation> {
    [
        &bootstrap::SITUATIONS[..],
        &configuration::SITUATIONS,
        &failover::SITUATIONS,
        &members::SITUATIONS,
        &pause::SITUATIONS,
        &replication::SITUATIONS,
        &rest::SITUATIONS,
        &security::SITUATIONS,
        &standby_cluster::SITUATIONS,
    ]
    .concat()
}

/// Sets a field of a file by its path (`bootstrap.dcs.ttl`); mappings on the way are made.
fn set(file: &mut Value, path: &str, value: Value) {
    let mut place = file;
    for name in path.split('.') {
        if !place.is_object() {
            *place = Value::Object(serde_json::Map::new());
        }
        place = &mut place[name];
    }
    *place = value;
}
