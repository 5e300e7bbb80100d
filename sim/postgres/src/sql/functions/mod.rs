//! The functions that can be called.

mod arguments;
mod special;
mod text;
mod wal;

use arguments::{argument_exprs, text_argument};
use special::{aggregate, coalesce, extreme};
use sqlparser::ast::Function;
use text::{read_file, substr};

use super::{
    eval::{Scope, Typed, bool_of},
    types::{Datum, PgType},
};
use crate::{PgError, server::state::now_us};

/// Result types, by name: what a description answers without calling anything.
const RESULT_TYPES: &[(&str, PgType)] = &[
    ("convert_from", PgType::Text),
    ("current_database", PgType::Text),
    ("current_setting", PgType::Text),
    ("current_user", PgType::Text),
    ("inet_server_addr", PgType::Inet),
    ("inet_server_port", PgType::Int4),
    ("now", PgType::Timestamptz),
    ("clock_timestamp", PgType::Timestamptz),
    ("current_timestamp", PgType::Timestamptz),
    ("pg_backend_pid", PgType::Int4),
    ("pg_conf_load_time", PgType::Timestamptz),
    ("pg_create_physical_replication_slot", PgType::Text),
    ("pg_current_wal_flush_lsn", PgType::PgLsn),
    ("pg_current_wal_insert_lsn", PgType::PgLsn),
    ("pg_current_wal_lsn", PgType::PgLsn),
    ("pg_drop_replication_slot", PgType::Void),
    ("pg_is_in_recovery", PgType::Bool),
    ("pg_is_wal_replay_paused", PgType::Bool),
    ("pg_last_wal_receive_lsn", PgType::PgLsn),
    ("pg_last_wal_replay_lsn", PgType::PgLsn),
    ("pg_last_xact_replay_timestamp", PgType::Timestamptz),
    ("pg_postmaster_start_time", PgType::Timestamptz),
    ("pg_promote", PgType::Bool),
    ("pg_read_binary_file", PgType::Text),
    ("pg_read_file", PgType::Text),
    ("pg_reload_conf", PgType::Bool),
    ("pg_replication_slot_advance", PgType::Text),
    ("pg_switch_wal", PgType::PgLsn),
    ("pg_wal_lsn_diff", PgType::Int8),
    ("pg_wal_replay_pause", PgType::Void),
    ("pg_wal_replay_resume", PgType::Void),
    ("pg_get_wal_replay_pause_state", PgType::Text),
    ("pg_walfile_name", PgType::Text),
    ("set_config", PgType::Text),
    ("substr", PgType::Text),
    ("substring", PgType::Text),
    ("version", PgType::Text),
    ("lower", PgType::Text),
    ("upper", PgType::Text),
    ("length", PgType::Int4),
];

/// Evaluates a call.
pub(super) fn eval(scope: &Scope<'_>, function: &Function) -> Result<Typed, PgError> {
    let name = super::parse::plain_name(&function.name)?;
    let exprs = argument_exprs(function)?;
    match name.as_str() {
        "count" | "max" | "min" | "sum" => return aggregate(scope, &name, &exprs),
        "coalesce" => return coalesce(scope, &exprs),
        "greatest" | "least" => return extreme(scope, &exprs, name == "greatest"),
        _ => {}
    }
    let arguments: Vec<Typed> = exprs
        .iter()
        .map(|expr| expr.map_or_else(|| Err(PgError::unsupported("* as an argument")), |expr| scope.eval(expr)))
        .collect::<Result<_, _>>()?;
    call(scope, &name, &arguments)
}

/// Calls a function with evaluated arguments.
pub(super) fn call(scope: &Scope<'_>, name: &str, arguments: &[Typed]) -> Result<Typed, PgError> {
    let unknown = || PgError::error("42883", format!("function {name}() does not exist in the PostgreSQL model"));
    let kind = RESULT_TYPES.iter().find(|(known, _)| *known == name).ok_or_else(unknown)?.1;
    if scope.describe {
        return Ok(Typed::null(kind));
    }
    if let Some(result) = information(scope, name, arguments)? {
        return Ok(result);
    }
    if let Some(result) = wal::information(scope.server, name, arguments)? {
        return Ok(result);
    }
    wal::control(scope.server, name, arguments)?.ok_or_else(unknown)
}

/// Functions that do not look at the WAL.
fn information(scope: &Scope<'_>, name: &str, arguments: &[Typed]) -> Result<Option<Typed>, PgError> {
    let server = scope.server;
    Ok(Some(match name {
        "current_setting" => setting(scope, arguments)?,
        "current_database" | "current_user" => Typed::text("postgres"),
        "version" => {
            let version = server.state().settings.version.server_version();
            Typed::text(format!("PostgreSQL {version} (pgdrill model) on x86_64-pc-linux-gnu"))
        }
        "inet_server_addr" => Typed::new(Datum::Text(scope.local.ip().to_string()), PgType::Inet),
        "inet_server_port" => Typed::new(Datum::Int(scope.local.port().into()), PgType::Int4),
        "now" | "clock_timestamp" | "current_timestamp" => Typed::new(Datum::Timestamp(now_us()), PgType::Timestamptz),
        "pg_postmaster_start_time" => Typed::new(Datum::Timestamp(server.state().started_us), PgType::Timestamptz),
        "pg_conf_load_time" => Typed::new(Datum::Timestamp(server.state().reloaded_us), PgType::Timestamptz),
        "pg_is_in_recovery" => bool_of(server.state().in_recovery),
        "pg_read_file" | "pg_read_binary_file" => read_file(server, name, arguments)?,
        // Bytes are kept as the text that they are in UTF8.
        "convert_from" => arguments.first().cloned().unwrap_or_else(|| Typed::null(PgType::Text)),
        "substr" | "substring" => substr(arguments)?,
        "lower" => Typed::text(text_argument(arguments, 0)?.to_lowercase()),
        "upper" => Typed::text(text_argument(arguments, 0)?.to_uppercase()),
        "length" => {
            let length = text_argument(arguments, 0)?.chars().count();
            Typed::new(Datum::Int(i64::try_from(length).unwrap_or(i64::MAX)), PgType::Int4)
        }
        _ => return Ok(None),
    }))
}

fn setting(scope: &Scope<'_>, arguments: &[Typed]) -> Result<Typed, PgError> {
    let name = text_argument(arguments, 0)?.to_ascii_lowercase();
    let missing_ok = arguments.get(1).is_some_and(|argument| argument.datum == Datum::Bool(true));
    match super::catalog::setting(scope.server, scope.session, &name) {
        Some(value) => Ok(Typed::text(value)),
        None if missing_ok => Ok(Typed::null(PgType::Text)),
        None => Err(PgError::error("42704", format!("unrecognized configuration parameter \"{name}\""))),
    }
}
