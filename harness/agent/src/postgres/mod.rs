//! SQL: the statements the agent sends ([`statements`]), the one connection it keeps ([`Sql`]), and what it reads from the
//! answers ([`ServerState`]); and how connections are written down for others ([`Conninfo`]).

mod connection;
mod conninfo;
mod parameter;
mod server_state;
mod ssl;
pub mod statements;

pub use connection::{NO_PASSWORD, Reachability, Sql, SqlError, with_causes};
pub use conninfo::{Conninfo, SSL};
pub use parameter::Parameter;
pub(crate) use parameter::number;
pub(crate) use server_state::slots;
pub use server_state::{ServerState, StandbyRow, Walreceiver};
pub use ssl::Ssl;
