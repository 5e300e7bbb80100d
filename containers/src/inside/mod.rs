//! What the `pgdrill` binary does inside a container, started there by the lab: `pgdrill internal ...`.

pub mod clients;
pub mod packet_delay;
pub mod processes;
pub mod steer;
pub mod watchdog;
