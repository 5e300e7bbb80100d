//! The decision table, row by row, the bug zoo, and what must hold for all inputs.

mod cluster_walk;
mod fixture;
mod properties;
mod sync_order;
mod table_failsafe;
mod table_fencing;
mod table_healthy;
mod table_manual;
mod table_pause;
mod table_race;
mod table_recover;
mod table_shortage;
mod table_slots;
mod table_standby;
mod table_stood_still;
mod table_sync;
mod walk;
mod zoo;
