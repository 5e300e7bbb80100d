//! [`Kv`] on a real etcd cluster: `etcd-client` over the [`Net`] port, one member at a time.
//!
//! Patroni's way of trying: the member that answered last is asked first; one that does not answer within
//! `retry_timeout / members` (at least 1 s) is left for the next; all together get `retry_timeout`.

use std::{
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use etcd_client::{Client, DeleteOptions, Error, GetOptions, ResponseHeader, WatchOptions, WatchStream};
use pgdrill_net::Net;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    Kv, KvError, KvWatch, LeaseId, Range, Tries, Txn, TxnOutcome, channel, freshness::Freshness, status, translate,
};
use crate::config::{EtcdConfig, HostPort};

/// Between two passes over the members; doubles up to Patroni's `max_delay`.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How a pass over the members failed.
enum Failed {
    /// Another pass may do better.
    ForNow(KvError),
    /// Asking again changes nothing, or must not be done.
    ForGood(KvError),
}

/// "Unknown" must not be forgotten because a later member could not even be reached.
fn worse(before: Option<KvError>, error: KvError) -> KvError {
    match before {
        Some(unknown @ KvError::Unknown(_)) => unknown,
        _ => error,
    }
}

/// The time limits of the connection to etcd; all follow from Patroni's dynamic configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EtcdTiming {
    /// `ttl`.
    pub ttl: Duration,
    /// `retry_timeout`: how long one operation may take with all its tries.
    pub retry_timeout: Duration,
    /// HTTP/2 ping on a connection that is silent for so long.
    pub ping_interval: Duration,
    /// How many members there are to try.
    pub members: u32,
}

impl EtcdTiming {
    /// From `ttl`, `loop_wait` and `retry_timeout`.
    #[must_use]
    pub fn new(ttl: Duration, loop_wait: Duration, retry_timeout: Duration, members: usize) -> Self {
        let members = u32::try_from(members.max(1)).unwrap_or(u32::MAX);
        Self { ttl, retry_timeout, ping_interval: (loop_wait / 2).max(Duration::from_secs(1)), members }
    }

    /// How long one member gets: an equal share of `retry_timeout`, at least 1 s.
    #[must_use]
    pub fn per_node(&self) -> Duration {
        (self.retry_timeout / self.members).max(Duration::from_secs(1))
    }
}

/// A client of an etcd cluster.
pub struct Etcd<N> {
    net: N,
    hosts: Vec<HostPort>,
    security: channel::Security,
    state: Mutex<State>,
}

struct State {
    timing: EtcdTiming,
    /// Index of the member that answered last.
    current: usize,
    /// A connection per member, made when it is first needed.
    clients: Vec<Option<Client>>,
    freshness: Freshness,
}

impl<N: Net> Etcd<N> {
    /// A client for the members that `config` names; nothing is connected yet.
    #[must_use]
    pub fn new(net: N, config: &EtcdConfig, timing: EtcdTiming) -> Self {
        let hosts = config.hosts.clone();
        let clients = hosts.iter().map(|_| None).collect();
        let state = State { timing, current: 0, clients, freshness: Freshness::default() };
        Self { net, hosts, security: channel::Security::new(config), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change under this lock is a single assignment: a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn client(&self, index: usize, limit: Instant) -> Result<Client, KvError> {
        if let Some(client) = &self.state().clients[index] {
            return Ok(client.clone());
        }
        let (host, timing) = (&self.hosts[index], self.state().timing);
        let client = timeout_at(limit, channel::connect(&self.net, host, &timing, &self.security))
            .await
            .map_err(|_| KvError::NotSent(format!("{host}: connecting timed out")))?
            .map_err(|error| KvError::NotSent(format!("{host}: {error}")))?;
        self.state().clients[index] = Some(client.clone());
        Ok(client)
    }

    /// One request to one member; once more with a new login when etcd does not know the old one any longer.
    async fn attempt<T, F: Future<Output = Result<T, Error>>>(
        &self,
        index: usize,
        limit: Instant,
        call: &impl Fn(Client) -> F,
    ) -> Result<T, KvError> {
        let mut may_log_in = self.security.logs_in();
        loop {
            let client = self.client(index, limit).await?;
            let outcome = match timeout_at(limit, call(client)).await {
                Ok(Ok(value)) => return Ok(value),
                // A new connection begins with a login.
                Ok(Err(error)) if may_log_in && status::is_login_over(&error) => {
                    self.state().clients[index] = None;
                    may_log_in = false;
                    continue;
                }
                Ok(Err(error)) => match self.security.tls_failure(&self.hosts[index], &error) {
                    Some(why) => KvError::Unknown(why.to_string()),
                    None => status::classify(&error),
                },
                Err(_) => KvError::Unknown(format!("{}: no answer in time", self.hosts[index])),
            };
            // After silence or a broken connection a new connection is better than hoping for the old one.
            if !matches!(outcome, KvError::Refused(_)) {
                self.state().clients[index] = None;
            }
            return Err(outcome);
        }
    }

    /// Tries the members in turn, again and again until `retry_timeout` is over: members without a leader answer at once,
    /// and an election takes a second or two (Patroni's `Retry(deadline=retry_timeout, max_delay=1)`).
    async fn call<T, F: Future<Output = Result<T, Error>>>(
        &self,
        tries: Tries,
        admit: impl Fn(&T) -> Result<(), KvError>,
        call: impl Fn(Client) -> F,
    ) -> Result<T, KvError> {
        let deadline = Instant::now() + self.state().timing.retry_timeout;
        let mut pause = FIRST_PAUSE;
        let mut worst = None;
        loop {
            match self.pass(deadline, tries, &admit, &call).await {
                Ok(value) => return Ok(value),
                Err(Failed::ForGood(error)) => return Err(error),
                Err(Failed::ForNow(error)) => worst = Some(worse(worst, error)),
            }
            // Status records are written once a cycle anyhow (Patroni does not retry them either).
            if tries == Tries::Once || Instant::now() + pause >= deadline {
                return Err(worst.unwrap_or_else(|| KvError::NotSent("no etcd member is configured".into())));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Every member once, beginning with the one that answered last.
    async fn pass<T, F: Future<Output = Result<T, Error>>>(
        &self,
        deadline: Instant,
        tries: Tries,
        admit: &impl Fn(&T) -> Result<(), KvError>,
        call: &impl Fn(Client) -> F,
    ) -> Result<T, Failed> {
        let (first, timing) = {
            let state = self.state();
            (state.current, state.timing)
        };
        let (mut worst, mut unreached) = (None, Vec::new());
        for turn in 0..self.hosts.len() {
            let index = (first + turn) % self.hosts.len();
            let limit = deadline.min(Instant::now() + timing.per_node());
            if Instant::now() >= deadline {
                break;
            }
            let error = match self.attempt(index, limit, call).await.and_then(|value| admit(&value).map(|()| value)) {
                Ok(value) => {
                    self.state().current = index;
                    return Ok(value);
                }
                Err(refused @ KvError::Refused(_)) => return Err(Failed::ForGood(refused)),
                Err(error) => error,
            };
            if tries == Tries::Once && matches!(error, KvError::Unknown(_)) {
                // Next time another member is asked first: this one owes us an answer.
                self.state().current = (index + 1) % self.hosts.len();
                return Err(Failed::ForGood(error));
            }
            if let KvError::NotSent(why) = &error {
                unreached.push(why.clone());
            }
            worst = Some(worse(worst, error));
        }
        if matches!(worst, Some(KvError::NotSent(_))) {
            // Every one of them is named: whoever reads it looks for the one that is wrong.
            unreached.sort();
            worst = Some(KvError::NotSent(unreached.join("; ")));
        }
        Err(Failed::ForNow(worst.unwrap_or_else(|| KvError::NotSent("no time was left to ask etcd".into()))))
    }

    /// Rejects a read from a member that is behind what was seen before.
    fn fresh(&self, header: Option<&ResponseHeader>) -> Result<(), KvError> {
        let Some(header) = header else { return Ok(()) };
        self.state()
            .freshness
            .admit(header.cluster_id(), header.raft_term(), header.revision())
            .map_err(KvError::Unknown)
    }
}

impl<N: Net> Kv for Etcd<N> {
    type Watch = EtcdWatch;

    fn set_timing(&self, ttl: Duration, loop_wait: Duration, retry_timeout: Duration) {
        let timing = EtcdTiming::new(ttl, loop_wait, retry_timeout, self.hosts.len());
        let mut state = self.state();
        if state.timing != timing {
            state.timing = timing;
            // Their time-outs follow from it: connections are made anew.
            state.clients.fill(None);
        }
    }

    async fn range(&self, prefix: &str) -> Result<Range, KvError> {
        let response = self
            .call(
                Tries::Repeat,
                |r: &etcd_client::GetResponse| self.fresh(r.header()),
                |mut client| async move { client.get(prefix, Some(GetOptions::new().with_prefix())).await },
            )
            .await?;
        Ok(Range {
            revision: response.header().map_or(0, ResponseHeader::revision),
            raft_term: response.header().map_or(0, ResponseHeader::raft_term),
            cluster_id: response.header().map_or(0, ResponseHeader::cluster_id),
            keys: response.kvs().iter().map(translate::key_value).collect(),
        })
    }

    async fn txn(&self, txn: Txn, tries: Tries) -> Result<TxnOutcome, KvError> {
        let txn = translate::txn(&txn);
        let call = |mut client: Client| {
            let txn = txn.clone();
            async move { client.txn(txn).await }
        };
        Ok(translate::outcome(&self.call(tries, |_| Ok(()), call).await?))
    }

    async fn put(&self, key: &str, value: &str, lease: LeaseId, tries: Tries) -> Result<i64, KvError> {
        let call = |mut client: Client| async move { client.put(key, value, translate::put_options(lease)).await };
        let response = self.call(tries, |_| Ok(()), call).await?;
        Ok(response.header().map_or(0, ResponseHeader::revision))
    }

    async fn delete(&self, key: &str, tries: Tries) -> Result<bool, KvError> {
        let call = |mut client: Client| async move { client.delete(key, Some(DeleteOptions::new())).await };
        Ok(self.call(tries, |_| Ok(()), call).await?.deleted() > 0)
    }

    async fn lease_grant(&self, ttl_s: i64) -> Result<LeaseId, KvError> {
        // A grant whose answer was lost leaves a lease that nobody keeps alive: harmless, so it may be repeated.
        let call = |mut client: Client| async move { client.lease_grant(ttl_s, None).await };
        Ok(self.call(Tries::Repeat, |_| Ok(()), call).await?.id())
    }

    async fn lease_keepalive(&self, lease: LeaseId) -> Result<bool, KvError> {
        let call = |mut client: Client| async move {
            match client.lease_keep_alive(lease).await {
                Ok(_stream) => Ok(true),
                Err(error) if status::is_lease_gone(&error) => Ok(false),
                Err(error) => Err(error),
            }
        };
        self.call(Tries::Repeat, |_| Ok(()), call).await
    }

    async fn lease_time_to_live(&self, lease: LeaseId) -> Result<Option<i64>, KvError> {
        let call = |mut client: Client| async move { client.lease_time_to_live(lease, None).await };
        let left = self.call(Tries::Repeat, |_| Ok(()), call).await?.ttl();
        // etcd says -1 of one that it does not know.
        Ok((left >= 0).then_some(left))
    }

    async fn lease_revoke(&self, lease: LeaseId) -> Result<(), KvError> {
        let call = |mut client: Client| async move { client.lease_revoke(lease).await };
        match self.call(Tries::Repeat, |_| Ok(()), call).await {
            // Already gone is what was wanted.
            Ok(_) | Err(KvError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn watch(&self, prefix: &str) -> Result<EtcdWatch, KvError> {
        let call = |mut client: Client| async move {
            let mut stream = client.watch(prefix, Some(WatchOptions::new().with_prefix())).await?;
            // The first answer says that the watch is in place; without it "no news" would mean nothing.
            match stream.message().await? {
                Some(first) if first.created() && !first.canceled() => Ok(stream),
                _ => Err(Error::WatchError("the watch was not created".into())),
            }
        };
        Ok(EtcdWatch { stream: self.call(Tries::Repeat, |_| Ok(()), call).await? })
    }
}

/// An open watch on an etcd member.
pub struct EtcdWatch {
    stream: WatchStream,
}

impl KvWatch for EtcdWatch {
    async fn changed(&mut self) -> Result<Vec<String>, KvError> {
        loop {
            let message = self.stream.message().await.map_err(|error| status::classify(&error))?;
            let Some(message) = message else { return Err(KvError::Unknown("the watch ended".into())) };
            if message.canceled() {
                return Err(KvError::Refused(format!("the watch was cancelled: {}", message.cancel_reason())));
            }
            let keys: Vec<_> =
                message.events().iter().filter_map(|event| event.kv()).map(|kv| translate::key_value(kv).0).collect();
            if !keys.is_empty() {
                return Ok(keys);
            }
        }
    }
}

#[cfg(test)]
#[path = "etcd_tests.rs"]
mod tests;
