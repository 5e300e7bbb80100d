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
//! | look in | for |
//! |---|---|
//! | [`scenario`], [`Check`], [`Report`] | the library |
//! | [`command`] | the command line, one file per command |
//! | `input` | files, seeds: what is to be played |
//! | `output` | files that a command leaves |
//! | `playing` | worlds, threads: how it is played |

mod check;
#[doc(hidden)]
pub mod command;
mod input;
mod output;
mod playing;
mod report;

pub use check::{Check, CheckError, scenario};
pub use input::{ScenarioFile, Seeds, find};
pub use report::Report;
