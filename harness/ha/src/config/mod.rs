//! The configuration that decisions depend on, how its layers stack, and which values are legal.
//!
//! What is only of use to those who touch PostgreSQL or the network (parameters, `pg_hba`, log settings) is not
//! interpreted here: [`Config::dynamic`] keeps the whole merged document for them.

mod check;
mod layers;
mod remote;
mod settings;
mod slots;
mod tags;
mod timing;

pub use check::{DYNAMIC_POSTGRESQL, Problem, check, not_honoured};
pub use layers::{DYNAMIC_ONLY, merge, merge_patch, resolve};
pub use remote::{remote_follows, remote_primary, standby_section};
pub use settings::{Config, FencingMode, SynchronousMode, WatchdogMode};
pub use slots::{ignores_slot, is_logical_slot, is_usable_slot};
pub use tags::Tags;
pub use timing::{Timing, adjust_timing};
