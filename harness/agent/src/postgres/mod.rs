//! SQL: the statements the agent sends ([`statements`]), the one connection it keeps ([`Sql`]), and what it reads from the
//! answers ([`ServerState`]).

mod connection;
mod parameter;
mod server_state;
pub mod statements;

pub use connection::{Reachability, Sql, SqlError};
pub use parameter::Parameter;
pub(crate) use parameter::number;
pub(crate) use server_state::slots;
pub use server_state::{ServerState, StandbyRow, Walreceiver};
