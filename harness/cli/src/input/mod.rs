//! What is to be played: scenario files, their names, seeds.

mod files;
mod load;
mod looks;
mod seeds;

pub(crate) use files::{Found, find_all};
pub use files::{ScenarioFile, find};
pub(crate) use load::{Loaded, draw, load};
pub use seeds::Seeds;
