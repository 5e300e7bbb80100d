//! The walsender: streams WAL to one standby (`walsender.c`).

use std::sync::Arc;

use futures::StreamExt;
use pgdrill_net::Socket;
use pgwire::messages::{
    PgWireBackendMessage, PgWireFrontendMessage,
    copy::{CopyBothResponse, CopyDone},
    response::CommandComplete,
};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::protocol::{FromSender, StatusUpdate};
use crate::{
    Lsn, PgError,
    disk::record::Record,
    lsn::segment_file_name,
    server::{
        backend::Client,
        state::{Server, Stop, now_us},
    },
};

/// `START_REPLICATION`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StartReplication {
    pub slot: Option<String>,
    pub start: Lsn,
    pub tli: Option<u32>,
}

/// How a stream ended when nothing went wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Streamed {
    /// The timeline ended: its child, and where that begins.
    EndOfTimeline(u32, Lsn),
    /// The standby ended the copy.
    Stopped,
    /// The server is shutting down and everything was confirmed; the connection ends.
    ShutDown,
}

/// Most WAL sent in one message, in records.
const BATCH_RECORDS: usize = 256;

pub(crate) struct WalSenderTask<'a, S: Socket> {
    pub server: &'a Arc<Server>,
    pub client: &'a mut Client<S>,
    pub pid: i32,
    tli: u32,
    sent: Lsn,
    slot: Option<String>,
    heard: Instant,
    pinged: bool,
}

/// Answers `START_REPLICATION`.
///
/// # Errors
/// PostgreSQL's refusals; a broken connection as `08006`.
pub(crate) async fn stream<S: Socket>(
    server: &Arc<Server>,
    client: &mut Client<S>,
    pid: i32,
    request: StartReplication,
) -> Result<Streamed, PgError> {
    let tli = check_start(server, &request)?;
    if let Some(slot) = &request.slot {
        acquire_slot(server, slot, pid)?;
    }
    let result = async {
        client.send(PgWireBackendMessage::CopyBothResponse(CopyBothResponse::new(0, 0, Vec::new()))).await?;
        let (sent, slot) = (request.start, request.slot.clone());
        let mut task = WalSenderTask { server, client, pid, tli, sent, slot, heard: Instant::now(), pinged: false };
        task.set_state("catchup");
        task.run().await
    }
    .await;
    if let Some(slot) = &request.slot {
        server.state().active_slots.remove(slot);
    }
    result
}

/// The checks of `StartReplication()`, returning the timeline to send.
fn check_start(server: &Server, request: &StartReplication) -> Result<u32, PgError> {
    let (current, flushed) = server.sendable();
    let tli = request.tli.unwrap_or(current);
    let start = request.start;
    server.dir.with(|cluster| {
        let history = cluster.timeline(current);
        match history.end_of(tli) {
            None => {
                let message = format!("requested timeline {tli} is not in this server's history");
                return Err(PgError::error("XX000", message));
            }
            Some(Some(fork)) if fork < start => {
                let message =
                    format!("requested starting point {start} on timeline {tli} is not in this server's history");
                let detail = format!("This server's history forked from timeline {tli} at {fork}.");
                return Err(PgError::error("XX000", message).detail(detail));
            }
            Some(Some(_)) => {}
            Some(None) if flushed < start => {
                let message = format!(
                    "requested starting point {start} is ahead of the WAL flush position of this server {flushed}"
                );
                return Err(PgError::error("XX000", message));
            }
            Some(None) => {}
        }
        Ok(tli)
    })
}

fn acquire_slot(server: &Server, slot: &str, pid: i32) -> Result<(), PgError> {
    let mut state = server.state();
    let invalidated = server.dir.with(|cluster| cluster.slots.get(slot).map(|slot| slot.invalidated));
    match (invalidated, state.active_slots.get(slot)) {
        (None, _) => return Err(PgError::error("42704", format!("replication slot \"{slot}\" does not exist"))),
        (_, Some(owner)) => {
            return Err(PgError::error("55006", format!("replication slot \"{slot}\" is active for PID {owner}")));
        }
        (Some(true), None) => {
            let message = format!("can no longer get changes from replication slot \"{slot}\"");
            let detail = "This slot has been invalidated because it exceeded the maximum reserved size.";
            return Err(PgError::error("55000", message).detail(detail));
        }
        (Some(false), None) => {}
    }
    state.active_slots.insert(slot.to_owned(), pid);
    if let Some(sender) = state.walsenders.get_mut(&pid) {
        sender.slot = Some(slot.to_owned());
    }
    Ok(())
}

impl<S: Socket> WalSenderTask<'_, S> {
    fn set_state(&self, value: &'static str) {
        let mut state = self.server.state();
        if let Some(sender) = state.walsenders.get_mut(&self.pid)
            && sender.state != value
        {
            sender.state = value;
            state.release_waiters();
        }
    }

    async fn run(&mut self) -> Result<Streamed, PgError> {
        let server = Arc::clone(self.server);
        let mut stop = server.stop.subscribe();
        loop {
            // Created before looking, so that WAL flushed in between is not missed.
            let ready = server.wal_ready.notified();
            let (records, fork) = self.next_batch()?;
            if !records.is_empty() {
                self.send_wal(records).await?;
                continue;
            }
            if let Some((next, fork)) = fork {
                self.client.send(PgWireBackendMessage::CopyDone(CopyDone::new())).await?;
                self.await_copy_done().await?;
                return Ok(Streamed::EndOfTimeline(next, fork));
            }
            self.set_state("streaming");
            let draining = *stop.borrow_and_update() == Stop::WalSenders;
            if draining && self.is_confirmed() {
                let done = CommandComplete::new("COPY 0".to_owned());
                self.client.send(PgWireBackendMessage::CommandComplete(done)).await?;
                return Ok(Streamed::ShutDown);
            }
            if draining && !self.pinged {
                self.ping().await?;
            }
            tokio::select! {
                biased;
                message = self.client.framed.next() => {
                    if self.hear(message)? {
                        return Ok(Streamed::Stopped);
                    }
                }
                () = ready => {}
                _ = stop.changed() => {}
                result = Self::silence(&server, self.heard, self.pinged) => {
                    result?;
                    self.ping().await?;
                }
            }
        }
    }

    /// Ends when the standby should be asked for a sign of life, with an error when it gave none.
    async fn silence(server: &Server, heard: Instant, pinged: bool) -> Result<(), PgError> {
        let timeout = server.state().settings.wal_sender_timeout;
        match timeout {
            None => std::future::pending().await,
            Some(timeout) if pinged => {
                sleep_until(heard + timeout).await;
                Err(timed_out(server))
            }
            Some(timeout) => {
                sleep_until(heard + timeout / 2).await;
                Ok(())
            }
        }
    }

    /// WAL to send now, and where this timeline ends once it is historic and sent completely.
    #[expect(clippy::type_complexity, reason = "two answers from under one lock")]
    fn next_batch(&self) -> Result<(Vec<Arc<Record>>, Option<(u32, Lsn)>), PgError> {
        let (current, flushed) = self.server.sendable();
        self.server.dir.with(|cluster| {
            let fork = if current == self.tli { None } else { cluster.timeline(current).child_of(self.tli) };
            let limit = fork.map_or(flushed, |(_, fork)| fork.min(flushed));
            if self.sent < cluster.wal.oldest() {
                let name = segment_file_name(self.tli, self.sent.segment());
                let message = format!("requested WAL segment {name} has already been removed");
                return Err(PgError::error("58P01", message));
            }
            let records = cluster.wal.from(self.sent).take_while(|record| record.end <= limit);
            Ok((records.take(BATCH_RECORDS).cloned().collect(), fork))
        })
    }

    async fn send_wal(&mut self, records: Vec<Arc<Record>>) -> Result<(), PgError> {
        let end = records.last().expect("only called with records").end;
        let data = FromSender::Wal { records, end }.encode(now_us()).map_err(|error| PgError::error("XX000", error))?;
        self.send(PgWireBackendMessage::CopyData(data)).await?;
        self.sent = end;
        if let Some(sender) = self.server.state().walsenders.get_mut(&self.pid) {
            sender.sent = end;
        }
        Ok(())
    }

    /// Sends, but not longer than `wal_sender_timeout` allows.
    async fn send(&mut self, message: PgWireBackendMessage) -> Result<(), PgError> {
        let timeout = self.server.state().settings.wal_sender_timeout;
        match timeout {
            None => self.client.send(message).await,
            Some(timeout) => {
                match timeout_at(self.heard.max(Instant::now()) + timeout, self.client.send(message)).await {
                    Ok(sent) => sent,
                    Err(_) => Err(timed_out(self.server)),
                }
            }
        }
    }

    async fn ping(&mut self) -> Result<(), PgError> {
        self.pinged = true;
        let keepalive = FromSender::Keepalive { end: self.sent, reply_requested: true };
        let data = keepalive.encode(now_us()).map_err(|error| PgError::error("XX000", error))?;
        self.send(PgWireBackendMessage::CopyData(data)).await
    }

    fn is_confirmed(&self) -> bool {
        let state = self.server.state();
        state.walsenders.get(&self.pid).is_none_or(|sender| sender.flush.max(sender.write) >= self.sent)
    }

    /// Returns whether the standby ended the copy.
    fn hear(
        &mut self,
        message: Option<Result<PgWireFrontendMessage, pgwire::error::PgWireError>>,
    ) -> Result<bool, PgError> {
        match message {
            Some(Ok(PgWireFrontendMessage::CopyData(data))) => {
                self.heard = Instant::now();
                self.pinged = false;
                if let Some(update) = StatusUpdate::decode(data.data) {
                    self.confirm(update);
                }
                Ok(false)
            }
            Some(Ok(PgWireFrontendMessage::CopyDone(_))) => Ok(true),
            _ => Err(PgError::fatal("08006", "unexpected EOF on standby connection")),
        }
    }

    async fn await_copy_done(&mut self) -> Result<(), PgError> {
        loop {
            let message = self.client.framed.next().await;
            if self.hear(message)? {
                return Ok(());
            }
        }
    }

    fn confirm(&self, update: StatusUpdate) {
        let mut state = self.server.state();
        if let Some(sender) = state.walsenders.get_mut(&self.pid) {
            (sender.write, sender.flush, sender.apply) = (update.write, update.flush, update.apply);
            sender.reply_us = Some(now_us());
        }
        if let Some(slot) = &self.slot {
            self.server.dir.with(|cluster| {
                if let Some(slot) = cluster.slots.get_mut(slot) {
                    slot.restart_lsn = Some(update.flush);
                }
            });
        }
        state.release_waiters();
    }
}

fn timed_out(server: &Server) -> PgError {
    server.log("terminating walsender process due to replication timeout");
    PgError::fatal("08006", "terminating walsender process due to replication timeout")
}
