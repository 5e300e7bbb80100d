//! What looks at a cluster from outside and asks things of it: the workload's clients and the observers.
//!
//! Everything here speaks the public protocols (SQL, REST, etcd's API) over the `Net` port, so that the simulator and
//! the real worlds are loaded and observed by the same code, and the oracles cannot see more in one than in the other.

pub mod observe;
pub mod operate;
mod sql;
pub mod workload;

use std::sync::Arc;

use pgdrill_lab::event::{At, Recorder, What};
pub use sql::{ConnectError, Connection};

/// Where events go and what time it is: the world's true time, whatever the hosts' own clocks say.
#[derive(Clone)]
pub struct Journal {
    recorder: Recorder,
    now: Arc<dyn Fn() -> At + Send + Sync>,
}

impl Journal {
    /// A journal over the run's event stream and the world's clock.
    pub fn new(recorder: Recorder, now: impl Fn() -> At + Send + Sync + 'static) -> Self {
        Self { recorder, now: Arc::new(now) }
    }

    /// True time since the start of the scenario.
    #[must_use]
    pub fn now(&self) -> At {
        (self.now)()
    }

    /// Records an event that happens now.
    pub fn record(&self, node: &str, what: What) {
        self.recorder.record_now(|| self.now(), node, what);
    }
}

/// A PostgreSQL server, or a proxy in front of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The name that events use: `pg1`, `haproxy`.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// How to log in.
#[derive(Clone)]
pub struct Login {
    /// PostgreSQL user.
    pub user: String,
    /// Its password, where one is asked for.
    pub password: Option<String>,
    /// Database.
    pub dbname: String,
}

impl std::fmt::Debug for Login {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).field("dbname", &self.dbname).finish_non_exhaustive()
    }
}
