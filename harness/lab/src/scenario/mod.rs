//! Scenarios: one YAML file each, the same file in every world.
//!
//! | look in | for |
//! |---|---|
//! | `cluster`, `patroni` | what it is played on |
//! | `workload` | what the clients do |
//! | `timeline`, `selector` | what is done to it, when, and to whom |
//! | `expect` | what must be seen |
//! | `quantity` | times, sizes, rates and their units |
//! | `read`, `check` | from a file to a scenario, or to everything that is wrong with it |

mod check;
mod cluster;
mod expect;
mod limits;
mod load;
pub mod patroni;
mod quantity;
mod read;
mod schema;
mod selector;
mod text;
mod timeline;
mod workload;
mod write;

use std::{path::PathBuf, time::Duration};

pub use check::HostKind;
pub use cluster::{
    Cluster, Devices, Etcd, EtcdHosts, Fencing, Need, Network, PostgresqlMajor, Process, Router, Watchdog,
};
pub use expect::{Bounds, End, Expect, SHOWABLE};
pub use load::{
    Loaded, WithFile, change_patroni, load, load_all, load_text, load_text_with, load_with, load_with_warnings,
    path_by_name, use_patroni_file,
};
pub use patroni::{Account, Difference, Fate, Patroni, Postgresql, SynchronousMode, Tags, WatchdogMode, differences};
pub use pgdrill_yaml::{Problem, Severity};
pub use quantity::{ClockRate, Latency, Rate, Shift, Size, Span, Throughput};
pub use schema::json_schema;
use schemars::JsonSchema;
pub use selector::{Facts, Pick, Selector, resolve};
use serde::{Deserialize, Serialize};
pub use timeline::{
    Action, BandwidthSpec, ClusterWord, DelaySpec, Direction, EtcdWord, FreezeSpec, HealSpec, Link, LossSpec,
    OnProcess, Repeat, Route, StartSpec, Step, SwitchoverSpec,
};
pub use workload::Workload;

/// A scenario: what a cluster is put through, and what is expected to be seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name: that of its file without `.yaml`. Lower-case letters, digits and `-`.
    #[schemars(schema_with = "crate::scenario::schema::name")]
    pub name: String,
    /// One sentence: what it shows.
    #[schemars(schema_with = "crate::scenario::schema::sentence")]
    pub about: String,
    /// The cluster.
    #[serde(default)]
    pub cluster: Cluster,
    /// The clients.
    #[serde(default)]
    pub workload: Workload,
    /// What is done, in the order of time.
    #[serde(default)]
    pub timeline: Vec<Step>,
    /// What must be seen.
    #[serde(default)]
    pub expect: Expect,
    /// How long it is, counted as [`Step::at`]; then the cluster settles and is judged.
    #[schemars(schema_with = "crate::scenario::schema::positive")]
    pub duration: Span,
    /// The file it was read from, for messages.
    #[serde(skip)]
    pub source: PathBuf,
}

impl Scenario {
    /// How long it is with the time in which operations that are under way at its end may still be answered.
    #[must_use]
    pub fn until_all_is_answered(&self) -> Span {
        let Workload { connect_timeout, statement_timeout, .. } = &self.workload;
        Span(self.duration.0 + connect_timeout.0 * 2 + statement_timeout.0 + Duration::from_secs(1))
    }

    /// The most operations that its clients can send in all.
    #[must_use]
    pub fn most_operations(&self) -> f64 {
        let Workload { writers, rate, readers, read_rate, .. } = &self.workload;
        let sent = |clients: u16, rate: &Rate| if clients == 0 { 0.0 } else { rate.per_second };
        (sent(*writers, rate) + sent(*readers, read_rate)) * self.duration.0.as_secs_f64()
    }
}
