//! Functions about WAL, recovery and replication slots.

use super::arguments::{lsn, lsn_argument, optional, text_argument};
use crate::{
    Lsn, PgError,
    disk::slots::is_valid_slot_name,
    lsn::walfile_name,
    server::state::Server,
    sql::{
        eval::{Typed, bool_of},
        replication_commands::{add_slot, drop_slot},
        types::{Datum, PgType},
    },
};

/// Positions and what is computed from them.
pub(super) fn information(server: &Server, name: &str, arguments: &[Typed]) -> Result<Option<Typed>, PgError> {
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
pub(super) fn control(server: &Server, name: &str, arguments: &[Typed]) -> Result<Option<Typed>, PgError> {
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
