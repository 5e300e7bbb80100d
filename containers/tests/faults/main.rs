//! Every mechanism, done to plain containers and measured: what it does, what its evidence says, and that it is undone.

mod bench;
mod hosts;
mod network;
