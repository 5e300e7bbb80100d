//! The configuration that decisions depend on, and how its layers stack. How values are spelled and which are legal is said by
//! `pgdrill_settings`.
//!
//! What is only of use to those who touch PostgreSQL or the network (parameters, `pg_hba`, log settings) is not
//! interpreted here: [`Config::dynamic`] keeps the whole merged document for them.

mod layers;
mod remote;
mod settings;
mod slots;
mod tags;

pub use layers::{merge, merge_patch, resolve};
pub use pgdrill_settings::{
    SynchronousMode, remote_primary,
    slots::{is_logical_slot, is_usable_slot},
};
pub use remote::{remote_follows, standby_section};
pub use settings::{Config, FencingMode, WatchdogMode};
pub use slots::ignores_slot;
pub use tags::Tags;
