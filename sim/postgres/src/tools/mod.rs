//! PostgreSQL's command line programs, as far as high-availability tools call them.

mod basebackup;
mod controldata;
mod initdb;
mod rewind;
mod single_user;

pub use basebackup::{SourceServer, basebackup};
pub use controldata::controldata;
pub use initdb::{InitDb, initdb};
pub use rewind::rewind;
pub use single_user::single_user_recovery;
