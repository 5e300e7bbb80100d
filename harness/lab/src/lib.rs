//! What a scenario is and how a run of it is judged, whatever world it was played in.
//!
//! A [`scenario`] file is read and checked here; a [`world`] plays it and writes [`event`]s; the [`oracle`]s judge those
//! events and nothing else, so that they can judge pgdrill's own agent and the real Patroni alike.

pub mod event;
pub mod figures;
pub mod history;
pub mod oracle;
pub mod phases;
pub mod player;
pub mod rules;
pub mod scenario;
pub mod verdict;
pub mod world;
