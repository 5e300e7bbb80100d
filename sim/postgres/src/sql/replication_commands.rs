//! Runs the commands of a replication connection.

use std::sync::Arc;

use pgdrill_net::Socket;

use super::{
    output::Rows,
    types::{Datum, PgType},
};
use crate::{
    Lsn, PgError,
    disk::{history::Timeline, slots::Slot},
    replication::{
        backup,
        commands::Command,
        walsender::{self, Streamed},
    },
    server::{backend::Client, state::Server},
};

/// What a command led to.
#[derive(Debug)]
pub(crate) enum Answer {
    Rows(Rows, String),
    Copied,
    Streamed(Streamed),
}

/// Runs one command.
///
/// # Errors
/// What PostgreSQL refuses.
pub(crate) async fn run<S: Socket>(
    server: &Arc<Server>,
    client: &mut Client<S>,
    pid: i32,
    text: &str,
) -> Result<Answer, PgError> {
    match Command::parse(text)? {
        Command::IdentifySystem => Ok(identify_system(server)),
        Command::TimelineHistory(tli) => timeline_history(server, tli),
        Command::Show(name) => {
            let value = server.state().settings.get(&name).to_owned();
            Ok(row("SHOW", &[(&name, PgType::Text)], vec![Datum::Text(value)]))
        }
        Command::CreateSlot { name, reserve_wal } => create_slot(server, name, reserve_wal),
        Command::DropSlot(name) => {
            drop_slot(server, &name)?;
            Ok(Answer::Copied)
        }
        Command::StartReplication(request) => {
            walsender::stream(server, client, pid, request).await.map(Answer::Streamed)
        }
        Command::BaseBackup(what) => {
            if let Some(sender) = server.state().walsenders.get_mut(&pid) {
                sender.state = "backup";
            }
            backup::send(server, client, what).await.map(|()| Answer::Copied)
        }
    }
}

fn row(tag: &str, columns: &[(&str, PgType)], values: Vec<Datum>) -> Answer {
    let columns = columns.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
    Answer::Rows(Rows { columns, rows: vec![values] }, tag.to_owned())
}

fn identify_system(server: &Server) -> Answer {
    let (in_recovery, replayed) = {
        let state = server.state();
        (state.in_recovery, state.replayed)
    };
    let (tli, flushed) = server.sendable();
    let position = if in_recovery { replayed.max(flushed) } else { flushed };
    let system = server.dir.with(|cluster| cluster.control.system_identifier);
    row(
        "IDENTIFY_SYSTEM",
        &[("systemid", PgType::Text), ("timeline", PgType::Int8), ("xlogpos", PgType::Text), ("dbname", PgType::Text)],
        vec![Datum::Text(system.to_string()), Datum::Int(tli.into()), Datum::Text(position.to_string()), Datum::Null],
    )
}

fn timeline_history(server: &Server, tli: u32) -> Result<Answer, PgError> {
    let name = Timeline::file_name(tli);
    let text = server.dir.with(|cluster| cluster.histories.get(&tli).map(Timeline::to_file));
    let text = text.ok_or_else(|| {
        PgError::error("58P01", format!("could not open file \"pg_wal/{name}\": No such file or directory"))
    })?;
    let columns = [("filename", PgType::Text), ("content", PgType::Text)];
    Ok(row("TIMELINE_HISTORY", &columns, vec![Datum::Text(name), Datum::Text(text)]))
}

fn create_slot(server: &Server, name: String, reserve_wal: bool) -> Result<Answer, PgError> {
    let restart = add_slot(server, &name, reserve_wal)?;
    let columns = [
        ("slot_name", PgType::Text),
        ("consistent_point", PgType::Text),
        ("snapshot_name", PgType::Text),
        ("output_plugin", PgType::Text),
    ];
    let point = Datum::Text(restart.unwrap_or(Lsn::INVALID).to_string());
    Ok(row("CREATE_REPLICATION_SLOT", &columns, vec![Datum::Text(name), point, Datum::Null, Datum::Null]))
}

/// Creates a physical slot; with `reserve_wal` it retains WAL from the latest redo position on.
///
/// # Errors
/// 42710 when it exists, 53400 when there are too many.
pub(crate) fn add_slot(server: &Server, name: &str, reserve_wal: bool) -> Result<Option<Lsn>, PgError> {
    let limit = server.state().settings.number("max_replication_slots", 10) as usize;
    server.dir.with(|cluster| {
        if cluster.slots.contains_key(name) {
            return Err(PgError::error("42710", format!("replication slot \"{name}\" already exists")));
        }
        if cluster.slots.len() >= limit {
            return Err(PgError::error("53400", "all replication slots are in use"));
        }
        let restart_lsn = reserve_wal.then_some(cluster.control.checkpoint.redo);
        cluster.slots.insert(name.to_owned(), Slot { restart_lsn, invalidated: false });
        Ok(restart_lsn)
    })
}

/// Drops a slot.
///
/// # Errors
/// 42704 when it does not exist, 55006 when it is in use.
pub(crate) fn drop_slot(server: &Server, name: &str) -> Result<(), PgError> {
    let state = server.state();
    if let Some(pid) = state.active_slots.get(name) {
        return Err(PgError::error("55006", format!("replication slot \"{name}\" is active for PID {pid}")));
    }
    let removed = server.dir.with(|cluster| cluster.slots.remove(name));
    removed.map(|_| ()).ok_or_else(|| PgError::error("42704", format!("replication slot \"{name}\" does not exist")))
}
