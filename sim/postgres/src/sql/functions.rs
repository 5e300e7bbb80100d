//! The functions that can be called.

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};

use super::{
    cast::cast,
    eval::{Scope, Typed, bool_of, compare},
    replication_commands::{add_slot, drop_slot},
    types::{Datum, PgType},
};
use crate::{
    Lsn, PgError,
    disk::{history::Timeline, slots::is_valid_slot_name},
    lsn::walfile_name,
    server::state::{Server, now_us},
};

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

/// Arguments; `None` is `*`.
fn argument_exprs(function: &Function) -> Result<Vec<Option<&Expr>>, PgError> {
    let FunctionArguments::List(list) = &function.args else { return Ok(Vec::new()) };
    list.args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
            | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. } => Ok(Some(expr)),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => Ok(None),
            other => Err(PgError::unsupported(format_args!("the argument {other}"))),
        })
        .collect()
}

fn aggregate(scope: &Scope<'_>, name: &str, arguments: &[Option<&Expr>]) -> Result<Typed, PgError> {
    let group = scope.group.unwrap_or(&[]);
    let argument = arguments.first().copied().flatten();
    if name == "count" && argument.is_none() {
        return Ok(Typed::new(Datum::Int(i64::try_from(group.len()).unwrap_or(i64::MAX)), PgType::Int8));
    }
    let argument = argument.ok_or_else(|| PgError::error("42883", format!("function {name}() does not exist")))?;
    let kind = Scope { describe: true, row: None, group: None, ..*scope }.eval(argument)?.kind;
    let mut values = Vec::new();
    for row in group {
        let value = Scope { row: Some(row), group: None, ..*scope }.eval(argument)?;
        if value.datum != Datum::Null {
            values.push(value);
        }
    }
    match name {
        "count" => Ok(Typed::new(Datum::Int(i64::try_from(values.len()).unwrap_or(i64::MAX)), PgType::Int8)),
        "sum" => {
            let add = |total: i64, value: &Typed| match value.datum {
                Datum::Int(number) => total.checked_add(number),
                _ => None,
            };
            if values.is_empty() {
                return Ok(Typed::null(PgType::Int8));
            }
            let total = values.iter().try_fold(0, add).ok_or_else(|| PgError::error("22003", "bigint out of range"))?;
            Ok(Typed::new(Datum::Int(total), PgType::Int8))
        }
        _ => {
            let mut best: Option<Typed> = None;
            for value in values {
                let better = match &best {
                    Some(best) => {
                        compare(&value, best)?.is_some_and(|o| if name == "max" { o.is_gt() } else { o.is_lt() })
                    }
                    None => true,
                };
                if better {
                    best = Some(value);
                }
            }
            Ok(best.unwrap_or(Typed::null(kind)))
        }
    }
}

fn coalesce(scope: &Scope<'_>, exprs: &[Option<&Expr>]) -> Result<Typed, PgError> {
    let mut kind = PgType::Unknown;
    let mut found = None;
    for expr in exprs.iter().copied().flatten() {
        // Branches behind the answer are only asked for their type.
        let value = if found.is_some() { Scope { describe: true, ..*scope }.eval(expr)? } else { scope.eval(expr)? };
        if kind == PgType::Unknown {
            kind = value.kind;
        }
        if found.is_none() && value.datum != Datum::Null {
            found = Some(value);
        }
    }
    match found {
        Some(value) if value.kind == PgType::Unknown && kind != PgType::Unknown => cast(value, kind),
        Some(value) => Ok(value),
        None => Ok(Typed::null(kind)),
    }
}

fn extreme(scope: &Scope<'_>, exprs: &[Option<&Expr>], greatest: bool) -> Result<Typed, PgError> {
    let mut best: Option<Typed> = None;
    for expr in exprs.iter().copied().flatten() {
        let value = scope.eval(expr)?;
        best = Some(match best {
            None => value,
            // Nulls are ignored.
            Some(best) => match compare(&value, &best)? {
                Some(ordering) if (greatest && ordering.is_gt()) || (!greatest && ordering.is_lt()) => value,
                None if best.datum == Datum::Null => value,
                _ => best,
            },
        });
    }
    best.ok_or_else(|| PgError::error("42601", "syntax error at or near \")\""))
}

fn lsn(lsn: Lsn) -> Typed {
    Typed::new(Datum::Lsn(lsn), PgType::PgLsn)
}

fn optional<T>(value: Option<T>, kind: PgType, datum: impl FnOnce(T) -> Datum) -> Typed {
    Typed::new(value.map_or(Datum::Null, datum), kind)
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
    if let Some(result) = wal_information(scope.server, name, arguments)? {
        return Ok(result);
    }
    control(scope.server, name, arguments)?.ok_or_else(unknown)
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

/// Positions and what is computed from them.
fn wal_information(server: &Server, name: &str, arguments: &[Typed]) -> Result<Option<Typed>, PgError> {
    let state = server.state();
    let not_in_recovery = || {
        if state.in_recovery {
            return Err(PgError::error("55000", "recovery is in progress")
                .detail("WAL control functions cannot be executed during recovery."));
        }
        Ok(())
    };
    Ok(Some(match name {
        "pg_current_wal_lsn" | "pg_current_wal_insert_lsn" => {
            not_in_recovery()?;
            lsn(server.dir.with(|cluster| cluster.wal.end()))
        }
        "pg_current_wal_flush_lsn" => {
            not_in_recovery()?;
            lsn(server.dir.with(|cluster| cluster.wal.flushed()))
        }
        "pg_last_wal_receive_lsn" => optional(state.received, PgType::PgLsn, Datum::Lsn),
        "pg_last_wal_replay_lsn" => optional(state.in_recovery.then_some(state.replayed), PgType::PgLsn, Datum::Lsn),
        "pg_last_xact_replay_timestamp" => optional(state.last_xact_us, PgType::Timestamptz, Datum::Timestamp),
        "pg_is_wal_replay_paused" => bool_of(state.replay_paused),
        "pg_get_wal_replay_pause_state" => Typed::text(if state.replay_paused { "paused" } else { "not paused" }),
        "pg_wal_lsn_diff" => {
            let (left, right) = (lsn_argument(arguments, 0)?, lsn_argument(arguments, 1)?);
            match (left, right) {
                (Some(left), Some(right)) => {
                    let bytes = left.0.cast_signed().wrapping_sub(right.0.cast_signed());
                    Typed::new(Datum::Int(bytes), PgType::Int8)
                }
                _ => Typed::null(PgType::Int8),
            }
        }
        "pg_walfile_name" => {
            not_in_recovery()?;
            optional(lsn_argument(arguments, 0)?, PgType::Text, |lsn| Datum::Text(walfile_name(state.tli, lsn)))
        }
        _ => return Ok(None),
    }))
}

/// Functions that change something.
fn control(server: &Server, name: &str, arguments: &[Typed]) -> Result<Option<Typed>, PgError> {
    Ok(Some(match name {
        "pg_wal_replay_pause" | "pg_wal_replay_resume" => {
            let mut state = server.state();
            if !state.in_recovery {
                return Err(PgError::error("55000", "recovery is not in progress")
                    .detail("Recovery control functions can only be executed during recovery."));
            }
            state.replay_paused = name == "pg_wal_replay_pause";
            drop(state);
            server.recovery_wake.notify_one();
            Typed::new(Datum::Text(String::new()), PgType::Void)
        }
        "pg_promote" => {
            if !server.state().in_recovery {
                return Err(PgError::error("55000", "recovery is not in progress")
                    .detail("Recovery control functions can only be executed during recovery."));
            }
            // The model does not wait for the end of recovery: as with wait => false.
            server.request_promotion();
            bool_of(true)
        }
        "pg_reload_conf" => {
            server.reload();
            bool_of(true)
        }
        "pg_switch_wal" => switch_wal(server)?,
        "pg_create_physical_replication_slot" => {
            let slot = text_argument(arguments, 0)?;
            if !is_valid_slot_name(&slot) {
                let message = format!("replication slot name \"{slot}\" contains invalid character");
                return Err(PgError::error("42602", message));
            }
            let reserve = arguments.get(1).is_some_and(|argument| argument.datum == Datum::Bool(true));
            let restart = add_slot(server, &slot, reserve)?;
            Typed::text(format!("({slot},{})", restart.map(|lsn| lsn.to_string()).unwrap_or_default()))
        }
        "pg_drop_replication_slot" => {
            drop_slot(server, &text_argument(arguments, 0)?)?;
            Typed::new(Datum::Text(String::new()), PgType::Void)
        }
        "pg_replication_slot_advance" => advance_slot(server, arguments)?,
        _ => return Ok(None),
    }))
}

fn switch_wal(server: &Server) -> Result<Typed, PgError> {
    if server.state().in_recovery {
        return Err(PgError::error("55000", "recovery is in progress")
            .detail("WAL control functions cannot be executed during recovery."));
    }
    Ok(lsn(server.switch_segment()))
}

fn advance_slot(server: &Server, arguments: &[Typed]) -> Result<Typed, PgError> {
    let name = text_argument(arguments, 0)?;
    let wanted = lsn_argument(arguments, 1)?.unwrap_or(Lsn::INVALID);
    let state = server.state();
    if let Some(pid) = state.active_slots.get(&name) {
        return Err(PgError::error("55006", format!("replication slot \"{name}\" is active for PID {pid}")));
    }
    let reached = server.dir.with(|cluster| {
        let limit = if state.in_recovery { state.replayed } else { cluster.wal.flushed() };
        let missing = || PgError::error("42704", format!("replication slot \"{name}\" does not exist"));
        let slot = cluster.slots.get_mut(&name).ok_or_else(missing)?;
        let unreserved = || {
            PgError::error("55000", format!("replication slot \"{name}\" cannot be advanced"))
                .detail("This slot has never previously reserved WAL, or it has been invalidated.")
        };
        let from = slot.restart_lsn.filter(|_| !slot.invalidated).ok_or_else(unreserved)?;
        let to = wanted.min(limit);
        if to < from {
            let message = format!("cannot advance replication slot to {wanted}, minimum is {from}");
            return Err(PgError::error("55000", message));
        }
        slot.restart_lsn = Some(to);
        Ok(to)
    })?;
    Ok(Typed::text(format!("({name},{reached})")))
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

/// Only timeline history files can be read.
fn read_file(server: &Server, name: &str, arguments: &[Typed]) -> Result<Typed, PgError> {
    let path = text_argument(arguments, 0)?;
    // (name, missing_ok) or (name, offset, length, missing_ok)
    if arguments.len() == 2 && !server.state().settings.version.reads_files_that_may_be_missing() {
        return Err(PgError::error("42883", format!("function {name}(unknown, boolean) does not exist")));
    }
    let missing_ok = arguments.last().is_some_and(|argument| argument.datum == Datum::Bool(true));
    let tli = path.strip_prefix("pg_wal/").and_then(|file| file.strip_suffix(".history"));
    let tli = tli.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let text = tli.and_then(|tli| server.dir.with(|cluster| cluster.histories.get(&tli).map(Timeline::to_file)));
    match text {
        Some(text) => Ok(Typed::text(text)),
        None if missing_ok => Ok(Typed::null(PgType::Text)),
        None => {
            let message = format!("could not open file \"{path}\" for reading: No such file or directory");
            Err(PgError::error("58P01", message))
        }
    }
}

fn substr(arguments: &[Typed]) -> Result<Typed, PgError> {
    let text = match &arguments.first().map(|argument| &argument.datum) {
        Some(Datum::Null) => return Ok(Typed::null(PgType::Text)),
        _ => text_argument(arguments, 0)?,
    };
    let number = |index: usize| match arguments.get(index).map(|argument| &argument.datum) {
        Some(Datum::Int(number)) => Some(*number),
        _ => None,
    };
    let from = number(1).unwrap_or(1);
    let end = number(2).map_or(i64::MAX, |length| from.saturating_add(length));
    let inside = |(index, _): &(usize, char)| {
        let position = i64::try_from(*index).unwrap_or(i64::MAX) + 1;
        position >= from && position < end
    };
    Ok(Typed::text(text.chars().enumerate().filter(inside).map(|(_, c)| c).collect::<String>()))
}

fn text_argument(arguments: &[Typed], index: usize) -> Result<String, PgError> {
    let argument = arguments.get(index).ok_or_else(|| PgError::error("42883", "too few arguments"))?;
    Ok(argument.datum.to_text(argument.kind).unwrap_or_default())
}

fn lsn_argument(arguments: &[Typed], index: usize) -> Result<Option<Lsn>, PgError> {
    let argument = arguments.get(index).ok_or_else(|| PgError::error("42883", "too few arguments"))?;
    match cast(argument.clone(), PgType::PgLsn)?.datum {
        Datum::Lsn(lsn) => Ok(Some(lsn)),
        _ => Ok(None),
    }
}
