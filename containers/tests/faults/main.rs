//! Every mechanism, done to plain containers and measured: what it does, what its evidence says, and that it is undone.

#[macro_use]
#[path = "../asked/mod.rs"]
mod asked;
mod bench;
mod hosts;
mod network;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let mut trials = hosts::trials();
    trials.extend(network::trials());
    asked::play(&Arguments::from_args(), trials)
}
