//! The Watch service (`api/v3rpc/watch.go`): one gRPC stream carries many watches.

use std::{collections::BTreeMap, pin::Pin, sync::Arc};

use etcd_client::proto::{PbWatchRequest, PbWatchRequestUnion, PbWatchResponse, PbWatchService};
use futures::{Stream, StreamExt as _};
use pgdrill_net::Net;
use tokio::{sync::mpsc, task::AbortHandle, time::interval_at};
use tonic::{Request, Response, Status, Streaming};

use super::{Server, lease::unless_leaderless, requires_leader};
use crate::{
    member::Member,
    watch::{NO_WATCH, STREAM_BUFFER, StreamSender, Told, WatchSpec},
};

/// What was asked on one stream.
struct WatchStream {
    member: Arc<Member>,
    stream: u64,
    to: StreamSender,
    next_id: i64,
    /// Watches that want to hear of progress; `true`: nothing was told since the last time.
    progress: BTreeMap<i64, bool>,
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        self.member.machine().watches.close_stream(self.stream);
    }
}

#[tonic::async_trait]
impl<N: Net> PbWatchService for Server<N> {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<PbWatchResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<Streaming<PbWatchRequest>>) -> Result<Response<Self::WatchStream>, Status> {
        self.admit(request.metadata())?;
        let strict = requires_leader(request.metadata());
        let (to, told) = mpsc::channel(STREAM_BUFFER);
        let (end, ended) = mpsc::channel(1);
        let member = self.member.clone();
        let stream = WatchStream {
            stream: member.next_stream_id(),
            member: member.clone(),
            to,
            next_id: 0,
            progress: BTreeMap::new(),
        };
        let reading = tokio::spawn(async move {
            let result = stream.run(request.into_inner(), strict).await;
            // Nobody hears it when the client has gone.
            let _ = end.send(result).await;
        });
        let guard = AbortOnDrop(reading.abort_handle());
        Ok(Response::new(Box::pin(answers(member, told, ended, guard))))
    }
}

/// Ends the reading half when the client drops the answers.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Everything told until the stream ends, then how it ended.
fn answers(
    member: Arc<Member>,
    told: mpsc::Receiver<Told>,
    ended: mpsc::Receiver<Result<(), Status>>,
    guard: AbortOnDrop,
) -> impl Stream<Item = Result<PbWatchResponse, Status>> {
    let state = Some((member, told, ended, guard));
    futures::stream::unfold(state, |state| async move {
        let (member, mut told, mut ended, guard) = state?;
        tokio::select! {
            biased;
            end = ended.recv() => match end {
                Some(Err(status)) => Some((Err(status), None)),
                _ => None,
            },
            Some(told_now) = told.recv() => {
                let response = response(&member, told_now);
                Some((Ok(response), Some((member, told, ended, guard))))
            }
        }
    })
}

fn response(member: &Member, told: Told) -> PbWatchResponse {
    let with = |revision, watch_id| PbWatchResponse {
        header: member.header(revision),
        watch_id,
        ..PbWatchResponse::default()
    };
    match told {
        Told::Created { id, revision } => PbWatchResponse { created: true, ..with(revision, id) },
        Told::Refused { revision, reason } => PbWatchResponse {
            created: true,
            canceled: true,
            cancel_reason: reason.to_owned(),
            ..with(revision, NO_WATCH)
        },
        Told::Canceled { id, revision } => PbWatchResponse { canceled: true, ..with(revision, id) },
        Told::Events { id, revision, events } => PbWatchResponse { events, ..with(revision, id) },
        Told::Compacted { id, compact_revision } => {
            // etcd leaves the header's revision at 0 here.
            let mut response = PbWatchResponse { canceled: true, compact_revision, ..with(1, id) };
            if let Some(header) = &mut response.header {
                header.revision = 0;
            }
            response
        }
    }
}

impl WatchStream {
    async fn run(mut self, mut requests: Streaming<PbWatchRequest>, strict: bool) -> Result<(), Status> {
        let mut cancelled = self.member.no_leader.subscribe();
        let period = self.member.config.progress_notify_interval;
        let mut progress = interval_at(tokio::time::Instant::now() + period, period);
        loop {
            let next = async {
                tokio::select! {
                    biased;
                    request = requests.next() => Some(request),
                    // Only a stream with such watches has a timer at all.
                    _ = progress.tick(), if !self.progress.is_empty() => None,
                }
            };
            match unless_leaderless(strict, &mut cancelled, next).await? {
                Some(Some(request)) => {
                    let Some(request) = request?.request_union else { continue };
                    if !self.take(request).await {
                        return Ok(());
                    }
                }
                Some(None) => return Ok(()),
                None => self.notify_progress(),
            }
        }
    }

    /// Carries out one request; false when nobody listens any more.
    async fn take(&mut self, request: PbWatchRequestUnion) -> bool {
        // A place in the queue first: then the answer and the watch's first event cannot be told in the wrong order.
        let to = self.to.clone();
        let Ok(place) = to.reserve().await else { return false };
        let member = self.member.clone();
        let mut machine = member.machine();
        let revision = machine.store.revision();
        match request {
            PbWatchRequestUnion::CreateRequest(create) => {
                let spec = WatchSpec {
                    // The smallest key is \0.
                    key: if create.key.is_empty() { vec![0] } else { create.key },
                    range_end: create.range_end,
                    start_revision: create.start_revision,
                    prev_kv: create.prev_kv,
                    no_put: create.filters.contains(&0),
                    no_delete: create.filters.contains(&1),
                };
                match self.pick_id(create.watch_id, &spec, &machine.watches) {
                    Ok(id) => {
                        place.send(Told::Created { id, revision });
                        let machine = &mut *machine;
                        machine.watches.add((self.stream, id), spec, self.to.clone(), &machine.store);
                        if machine.watches.has_unsynced() {
                            member.unsynced_watchers.notify_one();
                        }
                        if create.progress_notify {
                            self.progress.insert(id, true);
                        }
                    }
                    Err(reason) => place.send(Told::Refused { revision, reason }),
                }
            }
            PbWatchRequestUnion::CancelRequest(cancel) => {
                let id = cancel.watch_id;
                if machine.watches.cancel((self.stream, id)) {
                    place.send(Told::Canceled { id, revision });
                    self.progress.remove(&id);
                }
            }
            PbWatchRequestUnion::ProgressRequest(_) => {
                drop(place);
                machine.watches.progress(self.stream, NO_WATCH, revision);
            }
        }
        true
    }

    fn pick_id(&mut self, wanted: i64, spec: &WatchSpec, hub: &crate::watch::WatchHub) -> Result<i64, &'static str> {
        if spec.start_revision < 0 {
            return Err("etcdserver: mvcc: required revision has been compacted");
        }
        let open_end = spec.range_end == [0];
        if !spec.range_end.is_empty() && !open_end && spec.key >= spec.range_end {
            return Err("mvcc: watcher range is empty");
        }
        if wanted != 0 {
            return if hub.has((self.stream, wanted)) {
                Err("mvcc: duplicate watch ID provided on the WatchStream")
            } else {
                Ok(wanted)
            };
        }
        while hub.has((self.stream, self.next_id)) {
            self.next_id += 1;
        }
        self.next_id += 1;
        Ok(self.next_id - 1)
    }

    fn notify_progress(&mut self) {
        let machine = self.member.machine();
        let revision = machine.store.revision();
        for id in self.progress.keys() {
            machine.watches.progress(self.stream, *id, revision);
        }
    }
}

/// Feeds the watchers that are behind (`watchableStore.syncWatchersLoop`); sleeps while there are none.
pub(crate) async fn sync_watchers(member: Arc<Member>) {
    // A slow client's queue is tried again after this time (`syncVictimsLoop`).
    const AGAIN: std::time::Duration = std::time::Duration::from_millis(10);
    loop {
        member.unsynced_watchers.notified().await;
        loop {
            {
                let mut machine = member.machine();
                let machine = &mut *machine;
                machine.watches.sync(&machine.store);
                if !machine.watches.has_unsynced() {
                    break;
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}
