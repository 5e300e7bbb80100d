//! The player, asked by a world that does what it is told and counts effects as it is told to.

mod ledger;
mod played;
