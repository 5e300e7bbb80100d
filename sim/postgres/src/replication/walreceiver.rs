//! The walreceiver: fetches WAL from another server, makes it durable, and reports how far it is.

use std::sync::Arc;

use pgdrill_net::Net;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage, copy::CopyDone};
use tokio::time::{Instant, sleep_until};

use super::{
    client::{Connection, Conninfo},
    protocol::{FromSender, StatusUpdate},
};
use crate::{
    Lsn, PgError,
    disk::{history::Timeline, record::Record},
    server::state::{Server, now_us},
};

/// Why a walreceiver ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The primary has no more WAL on the requested timeline.
    EndOfTimeline,
    /// Anything else, in PostgreSQL's words.
    Failed(String),
}

/// Where to start.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub conninfo: Conninfo,
    pub slot: String,
    pub start: Lsn,
    pub tli: u32,
}

struct Receiver<N: Net> {
    server: Arc<Server>,
    connection: Connection<N>,
    /// What was reported last.
    reported: (Lsn, Lsn),
}

/// Runs until the stream ends, for whatever reason.
pub(crate) async fn run<N: Net>(server: Arc<Server>, net: N, request: Request) -> Ended {
    match receive(server, net, request).await {
        Ok(()) => Ended::EndOfTimeline,
        Err(message) => Ended::Failed(message),
    }
}

async fn receive<N: Net>(server: Arc<Server>, net: N, request: Request) -> Result<(), String> {
    let default_name = match server.state().settings.get("cluster_name") {
        "" => "walreceiver".to_owned(),
        name => name.to_owned(),
    };
    let mut connection = Connection::<N>::open(&net, &request.conninfo, &default_name).await?;
    let (theirs, primary_tli, _) = connection.identify_system().await?;
    let ours = server.dir.with(|cluster| cluster.control.system_identifier);
    if ours != theirs {
        let detail = format!("The primary's identifier is {theirs}, the standby's identifier is {ours}.");
        return Err(format!("database system identifier differs between the primary and standby: {detail}"));
    }
    if primary_tli < request.tli {
        let tli = request.tli;
        return Err(format!("highest timeline {primary_tli} of the primary is behind recovery timeline {tli}"));
    }
    fetch_histories(&server, &mut connection, request.tli, primary_tli).await?;
    let slot = Some(&request.slot).filter(|s| !s.is_empty()).map(|s| format!("SLOT \"{s}\" ")).unwrap_or_default();
    connection.start(&format!("START_REPLICATION {slot}{} TIMELINE {}", request.start, request.tli)).await?;
    loop {
        match connection.next().await? {
            PgWireBackendMessage::CopyBothResponse(_) => break,
            // Nothing left on that timeline: an empty answer without copy mode.
            PgWireBackendMessage::CommandComplete(_) => return Ok(()),
            _ => {}
        }
    }
    server.log(format_args!("started streaming WAL from primary at {} on timeline {}", request.start, request.tli));
    if let Some(receiver) = &mut server.state().walreceiver {
        receiver.status = "streaming";
    }
    Receiver { server, connection, reported: (Lsn::INVALID, Lsn::INVALID) }.stream().await
}

/// Fetches the history files between the two timelines that are not there yet.
async fn fetch_histories<N: Net>(
    server: &Server,
    connection: &mut Connection<N>,
    from: u32,
    to: u32,
) -> Result<(), String> {
    // Timeline 1 has no history file.
    for tli in from.max(2)..=to {
        if server.dir.with(|cluster| cluster.histories.contains_key(&tli)) {
            continue;
        }
        server.log(format_args!("fetching timeline history file for timeline {tli} from primary server"));
        let timeline: Timeline = connection.timeline_history(tli).await?;
        server.dir.with(|cluster| cluster.histories.insert(tli, timeline));
    }
    Ok(())
}

impl<N: Net> Receiver<N> {
    async fn stream(mut self) -> Result<(), String> {
        let mut heard = Instant::now();
        let mut pinged = false;
        let mut next_status = Instant::now();
        self.report(false).await?;
        loop {
            let (timeout, status) = {
                let state = self.server.state();
                (state.settings.wal_receiver_timeout, state.settings.wal_receiver_status_interval)
            };
            // Half of the time-out passes in silence before the primary is asked for a sign of life.
            let silence = timeout.map(|t| heard + if pinged { t } else { t / 2 });
            let wake = silence.into_iter().chain(status.map(|_| next_status)).min();
            let server = Arc::clone(&self.server);
            tokio::select! {
                biased;
                message = self.connection.next() => {
                    heard = Instant::now();
                    pinged = false;
                    match message? {
                        PgWireBackendMessage::CopyData(data) => self.handle(FromSender::decode(data.data)?).await?,
                        PgWireBackendMessage::CopyDone(_) => return self.finish().await,
                        PgWireBackendMessage::CommandComplete(_) => {
                            return Err("replication terminated by primary server".to_owned());
                        }
                        _ => {}
                    }
                }
                () = server.applied.notified() => {
                    if self.server.state().replayed != self.reported.1 {
                        self.report(false).await?;
                    }
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                    let now = Instant::now();
                    if timeout.is_some_and(|t| now >= heard + t) {
                        return Err("terminating walreceiver due to timeout".to_owned());
                    }
                    let ask = !pinged && timeout.is_some_and(|t| now >= heard + t / 2);
                    pinged |= ask;
                    self.report(ask).await?;
                    next_status = now + status.unwrap_or_default();
                }
            }
        }
    }

    async fn finish(&mut self) -> Result<(), String> {
        self.server.log("replication terminated by primary server");
        // The primary may be gone already: the stream has ended either way.
        let _ = self.connection.send(PgWireFrontendMessage::CopyDone(CopyDone::new())).await;
        Ok(())
    }

    async fn handle(&mut self, message: FromSender) -> Result<(), String> {
        let (FromSender::Wal { end, .. } | FromSender::Keepalive { end, .. }) = &message;
        if let Some(receiver) = &mut self.server.state().walreceiver {
            receiver.latest_end = *end;
        }
        match message {
            FromSender::Wal { records, .. } => {
                self.write(records)?;
                self.flush().await;
                // The startup process gets the chance to replay before the report: one message instead of two.
                tokio::task::yield_now().await;
                self.report(false).await
            }
            FromSender::Keepalive { reply_requested: true, .. } => self.report(false).await,
            FromSender::Keepalive { .. } => Ok(()),
        }
    }

    fn write(&self, records: Vec<Arc<Record>>) -> Result<(), String> {
        let mut disk = self.server.dir.lock();
        let full = disk.full;
        let wal = &mut disk.cluster.as_mut().expect("a running server has its data directory").wal;
        for record in records {
            if full && wal.needs_segment_for(record.end.since(record.start)) {
                let message = "could not write to file \"pg_wal/xlogtemp\": No space left on device";
                // The postmaster outlives its walreceiver.
                let _ = self.server.crash.send(PgError::panic("53100", message));
                return Err(message.to_owned());
            }
            wal.receive(record)?;
        }
        Ok(())
    }

    async fn flush(&self) {
        let end = self.server.dir.with(|cluster| cluster.wal.end());
        self.server.flush_wal(end).await;
        self.server.state().received = Some(end);
        self.server.recovery_wake.notify_one();
    }

    async fn report(&mut self, reply_requested: bool) -> Result<(), String> {
        let (write, flush) = self.server.dir.with(|cluster| (cluster.wal.end(), cluster.wal.flushed()));
        let apply = self.server.state().replayed;
        self.reported = (flush, apply);
        let update = StatusUpdate { write, flush, apply, reply_requested };
        self.connection.send(PgWireFrontendMessage::CopyData(update.encode(now_us()))).await
    }
}
