//! How it is played: worlds, one run, many runs over threads.

mod interrupt;
mod one;
mod pool;
mod progress;
mod task;
pub(crate) mod worlds;

pub(crate) use interrupt::{INTERRUPTED, Interrupt};
pub(crate) use one::play;
pub(crate) use pool::{Told, play_all};
pub(crate) use progress::Progress;
pub(crate) use task::{Conditions, Task, cores, tasks};
