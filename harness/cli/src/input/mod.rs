//! What is to be played: scenario files, their names, seeds.

mod files;
mod load;
mod seeds;

pub use files::{ScenarioFile, find};
#[cfg(feature = "command")]
pub(crate) use load::draw;
pub(crate) use load::{Loaded, load, load_text};
pub use seeds::Seeds;
