//! The real worlds: etcd, PostgreSQL 16 and HAProxy in containers, with pgdrill's agent or with the real Patroni.
//!
//! | folder | what it holds |
//! |---|---|
//! | `docker` | the daemon: its client, commands in containers, labels, leftovers |
//! | `cluster` | all hosts of a scenario, as containers on a network of their own, and handles to them |
//! | `images` | the images, built from what is reachable |
//! | `config` | what agents, etcd and HAProxy are told |
//! | `inside` | what pgdrill does inside the containers: the clients, and looking at processes |
//! | `shim` | what is preloaded into processes: a wrong clock, a slow disk, a watchdog device |
//! | `machine` | one container as a machine: commands in it, its state, its clock and fsync through the shim |
//! | `acts` | what a scenario asks for, done to all that, with evidence |
//! | `paths`, `ports` | where everything is on a host |
//! | `play` | a run from bring-up to the reading of the end state |
//!
//! The daemon is asked through its API (`bollard`, by way of testcontainers): the module [`docker`] says why nothing more of
//! testcontainers is used.

pub mod acts;
mod clock;
pub mod cluster;
mod config;
pub mod docker;
pub mod images;
pub mod inside;
mod interrupt;
pub mod machine;
pub mod paths;
mod play;
pub mod ports;
mod runtime;
pub mod shim;
mod world;

pub use cluster::Agent;
pub use interrupt::give_up;
pub use world::{RealWorld, Tell};
