//! The sending side of `pg_basebackup` and `pg_rewind`.
//!
//! Both travel as copy data on a replication connection: first a JSON snapshot, then one message per slice of time while
//! the bytes are "copied", last the WAL that was written meanwhile. A connection that breaks in between breaks the copy.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use pgdrill_net::Socket;
use pgwire::messages::{
    PgWireBackendMessage,
    copy::{CopyData, CopyDone, CopyOutResponse},
};
use serde::{Deserialize, Serialize};

use crate::{
    Lsn, PgError,
    disk::{
        control::{ClusterState, Control},
        history::Timeline,
        record::Record,
        tables::Database,
    },
    server::{backend::Client, state::Server},
    timings::{seconds, transfer},
};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BaseBackup {
    /// A whole data directory.
    Full,
    /// What changed since `from`, for `pg_rewind`.
    Rewind {
        /// The last common checkpoint.
        from: Lsn,
    },
}

/// The snapshot a copy begins with.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub control: Control,
    pub image: Database,
    pub histories: BTreeMap<u32, Timeline>,
    pub configuration: BTreeMap<String, String>,
    pub in_recovery: bool,
}

/// The WAL a copy ends with.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CopiedWal {
    pub records: Vec<Arc<Record>>,
    /// Recovery is consistent from here on.
    pub end: Lsn,
    pub end_tli: u32,
    /// Oldest position of the copied WAL.
    pub oldest: Lsn,
}

/// Longest time without a sign of life during a copy.
const SLICE: Duration = Duration::from_secs(1);

/// Sends a copy.
///
/// # Errors
/// The WAL it needs was removed; the connection broke.
pub(crate) async fn send<S: Socket>(
    server: &Arc<Server>,
    client: &mut Client<S>,
    what: BaseBackup,
) -> Result<(), PgError> {
    let in_recovery = server.state().in_recovery;
    if what == BaseBackup::Full && !in_recovery {
        server.checkpoint(true).await;
    }
    let (snapshot, bytes, keep_from) = snapshot(server, what, in_recovery);
    client.send(PgWireBackendMessage::CopyOutResponse(CopyOutResponse::new(0, 0, Vec::new()))).await?;
    send_json(client, &snapshot).await?;
    let fixed = match what {
        BaseBackup::Full => server.timings.basebackup_s,
        BaseBackup::Rewind { .. } => server.timings.rewind_s,
    };
    let mut left = seconds(fixed) + transfer(bytes, server.timings.basebackup_bytes_per_s);
    while !left.is_zero() {
        let slice = left.min(SLICE);
        tokio::time::sleep(slice).await;
        left -= slice;
        client.send(PgWireBackendMessage::CopyData(CopyData::new(Bytes::from_static(b"p")))).await?;
    }
    if what == BaseBackup::Full && !server.state().in_recovery {
        // As `pg_backup_stop`: the backup's last segment is to be archived.
        server.switch_segment();
    }
    let wal = copied_wal(server, keep_from)?;
    send_json(client, &wal).await?;
    client.send(PgWireBackendMessage::CopyDone(CopyDone::new())).await
}

fn snapshot(server: &Server, what: BaseBackup, in_recovery: bool) -> (Snapshot, u64, Lsn) {
    server.dir.with(|cluster| {
        let snapshot = Snapshot {
            control: Control { state: ClusterState::InArchiveRecovery, ..cluster.control.clone() },
            image: cluster.image.clone(),
            histories: cluster.histories.clone(),
            configuration: cluster.configuration.clone(),
            in_recovery,
        };
        let redo = cluster.control.checkpoint.redo;
        let (bytes, from) = match what {
            BaseBackup::Full => (server.timings.empty_cluster_bytes + cluster.image.bytes(), redo),
            BaseBackup::Rewind { from } => (cluster.wal.end().since(from), from.min(redo)),
        };
        (snapshot, bytes, from)
    })
}

fn copied_wal(server: &Server, from: Lsn) -> Result<CopiedWal, PgError> {
    let state = server.state();
    server.dir.with(|cluster| {
        let wal = &cluster.wal;
        if from < wal.oldest() {
            let name = crate::lsn::segment_file_name(state.tli, from.segment());
            return Err(PgError::error("58P01", format!("requested WAL segment {name} has already been removed")));
        }
        // A standby is copied as far as it has replayed; a primary as far as it has flushed.
        let end = if state.in_recovery { state.replayed } else { wal.flushed() };
        let records = wal.from(from).take_while(|record| record.end <= end).cloned().collect();
        Ok(CopiedWal { records, end, end_tli: state.tli, oldest: from })
    })
}

async fn send_json<S: Socket, T: Serialize>(client: &mut Client<S>, value: &T) -> Result<(), PgError> {
    let json = serde_json::to_vec(value).map_err(|error| PgError::error("XX000", error.to_string()))?;
    client.send(PgWireBackendMessage::CopyData(CopyData::new(Bytes::from(json)))).await
}
