//! System views and set-returning functions one can select from.

use std::collections::BTreeMap;

use super::{
    output::Rows,
    types::{Datum, PgType},
};
use crate::{
    Lsn,
    disk::{
        settings::POSTMASTER_PARAMETERS,
        tables::{Row, Value},
    },
    lsn::{SEGMENT_BYTES, walfile_name},
    server::state::{Server, State},
};

fn text(value: impl Into<String>) -> Datum {
    Datum::Text(value.into())
}

fn int(value: impl Into<i64>) -> Datum {
    Datum::Int(value.into())
}

/// An LSN that is null while it is invalid.
fn valid(lsn: Lsn) -> Datum {
    if lsn == Lsn::INVALID { Datum::Null } else { Datum::Lsn(lsn) }
}

fn relation(columns: &[(&str, PgType)], rows: Vec<Vec<Datum>>) -> Rows {
    let columns = columns.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
    Rows { columns, rows }
}

/// The relation of that name; `None` when it is none of the system's.
pub(crate) fn relation_named(server: &Server, session: &BTreeMap<String, String>, name: &str) -> Option<Rows> {
    Some(match name {
        "pg_stat_replication" => stat_replication(server),
        "pg_stat_wal_receiver" => stat_wal_receiver(server),
        "pg_stat_activity" => stat_activity(server),
        "pg_replication_slots" => replication_slots(server),
        "pg_settings" => settings(server, session),
        "pg_control_checkpoint" => control_checkpoint(server),
        "pg_control_system" => control_system(server),
        "pg_roles" | "pg_user" => roles(server),
        _ => return None,
    })
}

fn stat_replication(server: &Server) -> Rows {
    let state = server.state();
    let row = |(pid, priority, sync_state): (i32, usize, &'static str)| {
        let sender = &state.walsenders[&pid];
        vec![
            int(pid),
            text(&sender.user),
            text(&sender.application_name),
            text(sender.client.ip().to_string()),
            int(sender.client.port()),
            Datum::Timestamp(sender.started_us),
            text(sender.state),
            valid(sender.sent),
            valid(sender.write),
            valid(sender.flush),
            valid(sender.apply),
            int(i32::try_from(priority).unwrap_or(i32::MAX)),
            text(sync_state),
            sender.reply_us.map_or(Datum::Null, Datum::Timestamp),
        ]
    };
    let rows = state.sync_states().into_iter().map(row).collect();
    relation(
        &[
            ("pid", PgType::Int4),
            ("usename", PgType::Text),
            ("application_name", PgType::Text),
            ("client_addr", PgType::Inet),
            ("client_port", PgType::Int4),
            ("backend_start", PgType::Timestamptz),
            ("state", PgType::Text),
            ("sent_lsn", PgType::PgLsn),
            ("write_lsn", PgType::PgLsn),
            ("flush_lsn", PgType::PgLsn),
            ("replay_lsn", PgType::PgLsn),
            ("sync_priority", PgType::Int4),
            ("sync_state", PgType::Text),
            ("reply_time", PgType::Timestamptz),
        ],
        rows,
    )
}

fn stat_wal_receiver(server: &Server) -> Rows {
    let state = server.state();
    let row = state.walreceiver.as_ref().map(|receiver| {
        let received = state.received.map_or(Datum::Null, Datum::Lsn);
        vec![
            int(receiver.pid),
            text(receiver.status),
            Datum::Lsn(receiver.start_lsn),
            int(receiver.start_tli),
            received.clone(),
            received,
            int(receiver.start_tli),
            Datum::Lsn(receiver.latest_end),
            text(&receiver.slot),
            text(&receiver.host),
            int(receiver.port),
            text(&receiver.conninfo),
        ]
    });
    relation(
        &[
            ("pid", PgType::Int4),
            ("status", PgType::Text),
            ("receive_start_lsn", PgType::PgLsn),
            ("receive_start_tli", PgType::Int4),
            ("written_lsn", PgType::PgLsn),
            ("flushed_lsn", PgType::PgLsn),
            ("received_tli", PgType::Int4),
            ("latest_end_lsn", PgType::PgLsn),
            ("slot_name", PgType::Text),
            ("sender_host", PgType::Text),
            ("sender_port", PgType::Int4),
            ("conninfo", PgType::Text),
        ],
        row.into_iter().collect(),
    )
}

fn stat_activity(server: &Server) -> Rows {
    let state = server.state();
    let backends = state.backends.iter().map(|(pid, backend)| {
        vec![
            int(*pid),
            text(&backend.user),
            text(&backend.database),
            text(&backend.application_name),
            text(backend.state),
            text("client backend"),
            Datum::Timestamp(backend.started_us),
        ]
    });
    let walsenders = state.walsenders.iter().map(|(pid, sender)| {
        let name = text(&sender.application_name);
        let started = Datum::Timestamp(sender.started_us);
        vec![int(*pid), text(&sender.user), Datum::Null, name, text("active"), text("walsender"), started]
    });
    relation(
        &[
            ("pid", PgType::Int4),
            ("usename", PgType::Text),
            ("datname", PgType::Text),
            ("application_name", PgType::Text),
            ("state", PgType::Text),
            ("backend_type", PgType::Text),
            ("backend_start", PgType::Timestamptz),
        ],
        backends.chain(walsenders).collect(),
    )
}

fn replication_slots(server: &Server) -> Rows {
    let state = server.state();
    let rows = server.dir.with(|cluster| {
        let wal = &cluster.wal;
        // WAL that max_wal_size (1 GB by default) keeps in any case.
        let wanted = Lsn(wal.end().0.saturating_sub(64 * SEGMENT_BYTES));
        let row = |(name, slot): (&String, &crate::disk::slots::Slot)| {
            let user = state.active_slots.get(name);
            vec![
                text(name),
                Datum::Null,
                text("physical"),
                Datum::Null,
                Datum::Bool(false),
                Datum::Bool(user.is_some()),
                user.map_or(Datum::Null, |pid| int(*pid)),
                Datum::Null,
                Datum::Null,
                slot.restart_lsn.filter(|_| !slot.invalidated).map_or(Datum::Null, Datum::Lsn),
                Datum::Null,
                slot.wal_status(wal.oldest(), wanted).map_or(Datum::Null, text),
            ]
        };
        cluster.slots.iter().map(row).collect()
    });
    relation(
        &[
            ("slot_name", PgType::Text),
            ("plugin", PgType::Text),
            ("slot_type", PgType::Text),
            ("database", PgType::Text),
            ("temporary", PgType::Bool),
            ("active", PgType::Bool),
            ("active_pid", PgType::Int4),
            ("xmin", PgType::Text),
            ("catalog_xmin", PgType::Text),
            ("restart_lsn", PgType::PgLsn),
            ("confirmed_flush_lsn", PgType::PgLsn),
            ("wal_status", PgType::Text),
        ],
        rows,
    )
}

fn settings(server: &Server, session: &BTreeMap<String, String>) -> Rows {
    let state = server.state();
    let file = server.dir.with(|cluster| cluster.configuration.clone());
    let row = |(name, value): (&String, &String)| {
        let restart_only = POSTMASTER_PARAMETERS.contains(&name.as_str());
        let pending = restart_only && file.get(name).is_some_and(|wanted| wanted != value);
        let value = session.get(name).unwrap_or(value);
        vec![
            text(name),
            text(value),
            Datum::Null,
            text(vartype(value)),
            text(if restart_only { "postmaster" } else { "sighup" }),
            text(if file.contains_key(name) { "configuration file" } else { "default" }),
            Datum::Bool(pending),
        ]
    };
    let rows = state.settings.values.iter().map(row).collect();
    relation(
        &[
            ("name", PgType::Text),
            ("setting", PgType::Text),
            ("unit", PgType::Text),
            ("vartype", PgType::Text),
            ("context", PgType::Text),
            ("source", PgType::Text),
            ("pending_restart", PgType::Bool),
        ],
        rows,
    )
}

/// A parameter's type as far as its value gives it away: the model keeps values as they were written.
fn vartype(value: &str) -> &'static str {
    match value {
        "on" | "off" => "bool",
        number if number.parse::<i64>().is_ok() => "integer",
        _ => "string",
    }
}

fn control_checkpoint(server: &Server) -> Rows {
    let checkpoint = server.dir.with(|cluster| cluster.control.checkpoint);
    relation(
        &[
            ("checkpoint_lsn", PgType::PgLsn),
            ("redo_lsn", PgType::PgLsn),
            ("redo_wal_file", PgType::Text),
            ("timeline_id", PgType::Int4),
            ("prev_timeline_id", PgType::Int4),
            ("checkpoint_time", PgType::Timestamptz),
        ],
        vec![vec![
            Datum::Lsn(checkpoint.location),
            Datum::Lsn(checkpoint.redo),
            text(walfile_name(checkpoint.tli, checkpoint.redo)),
            int(checkpoint.tli),
            int(checkpoint.previous_tli),
            Datum::Timestamp(checkpoint.time_s * 1_000_000),
        ]],
    )
}

fn control_system(server: &Server) -> Rows {
    let control = server.dir.with(|cluster| cluster.control.clone());
    relation(
        &[
            ("pg_control_version", PgType::Int4),
            ("catalog_version_no", PgType::Int4),
            ("system_identifier", PgType::Int8),
        ],
        vec![vec![int(1300), int(202_307_071), Datum::Int(control.system_identifier.cast_signed())]],
    )
}

fn roles(server: &Server) -> Rows {
    let state = server.state();
    let rows = state.db.roles.keys().map(|name| vec![text(name), text(name)]).collect();
    relation(&[("rolname", PgType::Text), ("usename", PgType::Text)], rows)
}

/// A table's columns and the rows one may see. With `equality` rows may be left out whose column is another integer or null.
pub(crate) fn table(state: &State, name: &str, equality: Option<(String, i64)>) -> Option<Rows> {
    let table = state.db.tables.get(name)?;
    let columns = table.columns.iter().map(|column| (column.name.clone(), PgType::of_column(column.kind))).collect();
    let wanted = equality.and_then(|(column, number)| {
        Some((table.columns.iter().position(|candidate| candidate.name == column)?, number))
    });
    let differs = |row: &Row| match wanted.map(|(index, number)| (&row.values[index], number)) {
        Some((Value::Int(value), number)) => *value != number,
        Some((Value::Null, _)) => true,
        _ => false,
    };
    let visible = |row: &Row| state.invisible.is_empty() || !state.invisible.contains(&row.written);
    let rows = table.rows.iter().filter(|row| !differs(row) && visible(row));
    let rows = rows.map(|row| row.values.iter().map(Datum::of_value).collect()).collect();
    Some(Rows { columns, rows })
}

/// A parameter as `SHOW` prints it.
pub(crate) fn setting(server: &Server, session: &BTreeMap<String, String>, name: &str) -> Option<String> {
    let state = server.state();
    match name {
        "transaction_read_only" if state.in_recovery => return Some("on".to_owned()),
        "in_hot_standby" => return Some(if state.in_recovery { "on" } else { "off" }.to_owned()),
        "data_checksums" => {
            let on = server.dir.with(|cluster| cluster.control.data_checksums);
            return Some(if on { "on" } else { "off" }.to_owned());
        }
        _ => {}
    }
    let name = if name == "transaction_read_only" { "default_transaction_read_only" } else { name };
    session.get(name).or_else(|| state.settings.values.get(name)).cloned()
}
