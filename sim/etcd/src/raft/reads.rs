//! Linearizable reads: ReadIndex, one question at a time for all reads that wait (`EtcdServer.linearizableReadLoop`).

use std::time::Duration;

use tokio::{sync::oneshot, time::Instant};

use crate::error::EtcdError;

/// Without an answer the question is asked again after this time (etcd's `readIndexRetryTime`).
const RETRY: Duration = Duration::from_millis(500);

pub(crate) type ReadDone = oneshot::Sender<Result<(), EtcdError>>;

/// The question that is on its way.
struct Asked {
    /// Ids under which it was asked; an answer to any of them counts.
    ids: Vec<u64>,
    readers: Vec<ReadDone>,
    deadline: Instant,
    retry_at: Instant,
}

/// All reads that wait.
#[derive(Default)]
pub(crate) struct Reads {
    /// Came after the current question was asked, so its answer would be too old for them.
    waiting: Vec<ReadDone>,
    asked: Option<Asked>,
    /// Confirmed, but this member has yet to apply up to the index.
    confirmed: Option<(u64, Vec<ReadDone>)>,
}

fn finish(readers: Vec<ReadDone>, result: &Result<(), EtcdError>) {
    for reader in readers {
        // A reader that has gone does not want to know.
        let _ = reader.send(result.clone());
    }
}

impl Reads {
    pub(crate) fn add(&mut self, reader: ReadDone) {
        self.waiting.push(reader);
    }

    /// Starts a question if one is due; returns whether to ask Raft with `id`.
    pub(crate) fn start(&mut self, id: u64, now: Instant, timeout: Duration) -> bool {
        if self.waiting.is_empty() || self.asked.is_some() || self.confirmed.is_some() {
            return false;
        }
        let readers = std::mem::take(&mut self.waiting);
        self.asked = Some(Asked { ids: vec![id], readers, deadline: now + timeout, retry_at: now + RETRY });
        true
    }

    /// Whether the question has to be asked again, as `id`. Fails it when its time is up.
    pub(crate) fn retry(&mut self, id: u64, now: Instant, at_once: bool) -> bool {
        let Some(asked) = &mut self.asked else { return false };
        if asked.deadline <= now {
            if let Some(asked) = self.asked.take() {
                finish(asked.readers, &Err(EtcdError::Timeout));
            }
            return false;
        }
        if !at_once && asked.retry_at > now {
            return false;
        }
        asked.ids.push(id);
        asked.retry_at = now + RETRY;
        true
    }

    /// The quorum's answer to question `id`.
    pub(crate) fn confirm(&mut self, id: u64, index: u64) {
        if let Some(asked) = self.asked.take_if(|a| a.ids.contains(&id)) {
            self.confirmed = Some((index, asked.readers));
        }
    }

    /// Lets the confirmed readers go once this member has applied enough.
    pub(crate) fn applied(&mut self, applied: u64) {
        if let Some((_, readers)) = self.confirmed.take_if(|(index, _)| *index <= applied) {
            finish(readers, &Ok(()));
        }
    }

    /// A new leader: its predecessor's answer would not be worth anything.
    pub(crate) fn leader_changed(&mut self) {
        if let Some(asked) = self.asked.take() {
            finish(asked.readers, &Err(EtcdError::LeaderChanged));
        }
    }
}
