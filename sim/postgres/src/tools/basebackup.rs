//! `pg_basebackup -X stream`.

use bytes::Bytes;
use pgdrill_net::Net;
use pgwire::messages::PgWireBackendMessage;

use crate::{
    DataDir,
    disk::{Cluster, control::Control, settings::parse_conninfo, wal::Wal},
    replication::{
        backup::{CopiedWal, Snapshot},
        client::{Connection, Conninfo},
    },
};

/// The server to copy from: a libpq connection string, for example `host=10.0.0.1 port=5432 user=replicator`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceServer(Conninfo);

impl SourceServer {
    /// Reads a connection string of `key=value` pairs.
    #[must_use]
    pub fn new(conninfo: &str) -> Self {
        Self(parse_conninfo(conninfo))
    }

    pub(crate) async fn connect<N: Net>(&self, net: &N, program: &str) -> Result<Connection<N>, String> {
        Connection::open(net, &self.0, program).await.map_err(|error| format!("{program}: error: {error}"))
    }
}

/// Copies a running server, primary or standby, into an empty directory. Configuration is copied, slots are not, and
/// `standby.signal` is not written (no `-R`).
///
/// # Errors
/// The directory is not empty, the disk is full, or the connection broke: then the directory is left half written.
pub async fn basebackup<N: Net>(dir: &DataDir, net: &N, source: &SourceServer) -> Result<(), String> {
    if dir.lock().cluster.is_some() {
        return Err("pg_basebackup: error: directory exists but is not empty".to_owned());
    }
    let mut connection = source.connect(net, "pg_basebackup").await?;
    dir.lock().half_written = true;
    let (snapshot, copied) =
        receive(&mut connection, "BASE_BACKUP").await.map_err(|e| format!("pg_basebackup: error: {e}"))?;
    let mut disk = dir.lock();
    if disk.full {
        return Err("pg_basebackup: error: could not write to file: No space left on device".to_owned());
    }
    let mut wal = Wal::starting_at(copied.oldest);
    wal.replace_from(copied.oldest, copied.records);
    disk.cluster = Some(Cluster {
        control: Control {
            min_recovery_point: copied.end,
            min_recovery_tli: copied.end_tli,
            backup_end: Some(copied.end),
            ..snapshot.control
        },
        wal,
        histories: snapshot.histories,
        image: snapshot.image,
        slots: Default::default(),
        configuration: snapshot.configuration,
        standby_signal: false,
    });
    disk.half_written = false;
    Ok(())
}

/// Runs a copy command: the snapshot first, the WAL last, signs of life in between.
pub(super) async fn receive<N: Net>(
    connection: &mut Connection<N>,
    command: &str,
) -> Result<(Snapshot, CopiedWal), String> {
    connection.start(command).await?;
    let mut payloads: Vec<Bytes> = Vec::new();
    loop {
        match connection.next().await? {
            PgWireBackendMessage::CopyData(data) if data.data.len() > 1 => payloads.push(data.data),
            PgWireBackendMessage::ReadyForQuery(_) => break,
            _ => {}
        }
    }
    let [snapshot, wal] = payloads.as_slice() else { return Err("unexpected end of the copy".to_owned()) };
    let wrong = |error: serde_json::Error| error.to_string();
    Ok((serde_json::from_slice(snapshot).map_err(wrong)?, serde_json::from_slice(wal).map_err(wrong)?))
}
