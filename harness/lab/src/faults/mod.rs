//! What every world keeps of a scenario's faults, however it does them.
//!
//! | look in | for |
//! |---|---|
//! | `ledger` | what is wrong at present, labels, and the draws of `any replica` |
//! | `overlap` | what several faults of one kind amount to on one link or host |
//! | `pending` | what shows its effect only later |
//! | `standing` | kinds of lasting faults |
//! | `words` | how evidence is put |
//!
//! Mechanisms belong to the worlds. That they pick the same hosts from the same [facts](crate::world::facts), end the same
//! faults with the same line, and say the same of them is decided here.

mod ledger;
mod overlap;
mod pending;
mod standing;
#[cfg(test)]
mod tests;
mod words;

pub use ledger::{Ledger, Line};
pub use pending::Pending;
pub use standing::{Kind, Lateness, Standing};
pub use words::{conclusion, done_on, healed, hosts_of};
