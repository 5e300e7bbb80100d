//! The engine: the same seed does the same, and every fault looks from inside as it would on real machines.

mod determinism;
mod hosts;
mod keyed;
mod links;
mod peers;
mod processes;
mod speed;
mod timeouts;
