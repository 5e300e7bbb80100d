//! How it is played: worlds, one run, many runs over threads.

#[cfg(feature = "command")]
mod because;
mod interrupt;
mod one;
mod pool;
#[cfg(feature = "command")]
mod progress;
mod task;
#[cfg(feature = "command")]
pub(crate) mod worlds;

#[cfg(feature = "command")]
pub(crate) use because::because_of_the_file;
#[cfg(feature = "command")]
pub(crate) use interrupt::INTERRUPTED;
pub(crate) use interrupt::Interrupt;
pub(crate) use one::play;
pub(crate) use pool::{Told, play_all};
#[cfg(feature = "command")]
pub(crate) use progress::Progress;
pub(crate) use task::{Conditions, Task, cores, tasks};
