//! The `pgdrill` command and the library for `cargo test`: does this PostgreSQL cluster survive these faults?
//!
//! ```no_run
//! #[test]
//! fn our_settings_survive_a_leader_that_loses_etcd() {
//!     pgdrill::scenario("scenarios/partition/leader-cut-from-etcd.yaml")
//!         .patroni_file("deploy/patroni.yml")
//!         .seeds(0..50)
//!         .check();
//! }
//! ```
//!
//! With `default-features = false` this is the library alone, without the `pgdrill` program and what only the program needs.
//!
//! | look in | for |
//! |---|---|
//! | [`scenario`], [`scenario_text`], [`Check`] | what is to be played, and how |
//! | [`Report`], [`Run`], [`Verdict`] | what came of it |
//! | `command` | the command line, one file per command (feature `command`) |
//! | `input` | files, seeds: what is to be played |
//! | `output` | files that a command leaves |
//! | `playing` | worlds, threads: how it is played |

mod check;
#[cfg(feature = "command")]
#[doc(hidden)]
pub mod command;
mod input;
#[cfg(feature = "command")]
mod output;
mod playing;
mod report;

pub use check::{Check, CheckError, scenario, scenario_text};
pub use input::{ScenarioFile, Seeds, find};
pub use pgdrill_lab::{
    event::{At, Event, What},
    figures::{Measured, Outage},
    oracle::Violation,
    verdict::{ExitCode, Judgement, Verdict},
};
pub use pgdrill_reports::{Ending, Reproduce, Run};
pub use report::Report;
pub use serde_json::Value;
