//! What is to be played: scenario files, their names, seeds.

mod files;
mod load;
mod looks;
mod seeds;

#[cfg(feature = "command")]
pub(crate) use files::{Found, find_all};
pub use files::{ScenarioFile, find};
#[cfg(feature = "command")]
pub(crate) use load::draw;
pub(crate) use load::{Loaded, load, load_text};
pub use seeds::Seeds;
