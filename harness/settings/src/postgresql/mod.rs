//! PostgreSQL's parameters: which there are, what their values may be, and what Patroni makes of those that are not
//! (`Config._process_postgresql_parameters`, `ConfigHandler.CMDLINE_OPTIONS`, `patroni/postgresql/validator.py`).
//!
//! | look in | for |
//! |---|---|
//! | `parameters.tsv`, `table` | every parameter of PostgreSQL 13 and later, with kind, range, unit and words |
//! | `controlled` | those that all members share, and those that follow from other settings |
//! | `judge` | what becomes of a value |

mod controlled;
mod judge;
mod table;

pub use controlled::{FROM_DCS_ONLY, cluster_wide, default_of, following, follows, rename, size_of_segments};
pub use judge::{Judgement, Use, check, judge, judge_for, judge_recovery};
pub use table::{exists, is_recovery, removed_in, sections_of};
