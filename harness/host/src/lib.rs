//! The agent on a real machine: the adapters behind its ports, its configuration file, and what an operating system expects of
//! a daemon.

pub mod calibrate;
pub mod config;
pub mod daemon;
pub mod deadman;
mod descriptors;
mod lack;
pub mod logging;
mod origin;
mod own_options;
#[cfg(test)]
mod play_program;
pub mod postgres;
pub mod preflight;
mod programs;
mod slot_files;
pub mod systemd;
pub mod watchdog;
