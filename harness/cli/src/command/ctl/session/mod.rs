//! What a command works with: etcd, the members' REST API, and the cluster as it is now.

mod etcd;
mod section;
mod settings;

use std::{io, sync::Arc, time::Duration};

use http::Method;
use pgdrill_agent::{
    clock::Clock,
    dcs::{Dcs, Etcd, EtcdTiming, Kv, Op, Tries, Txn},
    rest::client::{Answer, Client, endpoint},
};
use pgdrill_ha::{
    records::{Key, Keys},
    view::{Cluster, WriteOutcome},
};
use pgdrill_net::TokioNet;
use serde_json::Value;

pub(super) use self::settings::{Settings, read};
use super::{ClusterArg, Stop, failed, usage};

/// How long a member may take: a switchover is answered when it is through.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long etcd may take.
const ETCD_PATIENCE: Duration = Duration::from_secs(10);

/// The adapters of one command.
pub(super) struct Session {
    settings: Settings,
    etcd: Arc<Etcd<TokioNet>>,
    members: Client<TokioNet>,
}

impl Session {
    /// Nothing is connected yet.
    pub fn new(settings: Settings) -> Self {
        let hosts = settings.etcd.hosts.len();
        let timing = EtcdTiming::new(Duration::from_secs(30), ETCD_PATIENCE, ETCD_PATIENCE, hosts);
        let etcd = Arc::new(Etcd::new(TokioNet, &settings.etcd, timing));
        let members = Client::new(TokioNet, None, &settings.ctl);
        Self { settings, etcd, members }
    }

    /// The cluster that is meant.
    pub fn scope(&self, given: &ClusterArg) -> Result<String, Stop> {
        given.cluster_name.clone().or_else(|| self.settings.scope.clone()).ok_or_else(|| {
            usage("which cluster? Name it as the last argument, or give a configuration file with `scope` (-c)")
        })
    }

    fn dcs(&self, scope: &str) -> Dcs<Etcd<TokioNet>> {
        let keys = Keys::new(&self.settings.namespace, scope);
        Dcs::new(Arc::clone(&self.etcd), keys, "pgdrill ctl", Clock::new())
    }

    /// The cluster as etcd has it now.
    pub async fn cluster(&self, scope: &str) -> Result<Cluster, Stop> {
        if self.settings.etcd.hosts.is_empty() {
            return Err(usage(
                "where is etcd? Give a configuration file with `etcd3` (-c), or its address (-d etcd3://HOST:2379)",
            ));
        }
        self.dcs(scope).load().await.map_err(|error| failed(error.to_string()))
    }

    /// Writes a key if it has not changed since it was read at `expected`.
    pub async fn compare_and_set(&self, scope: &str, key: &Key, expected: i64, value: &str) -> Result<bool, Stop> {
        match self.dcs(scope).compare_and_set(key, expected, value).await {
            WriteOutcome::Written { .. } => Ok(true),
            WriteOutcome::Conflict => Ok(false),
            WriteOutcome::Unknown { reason } => {
                Err(failed(format!("it is not known whether {key} was written: {reason}")))
            }
        }
    }

    /// Writes a key whatever it holds.
    pub async fn put(&self, scope: &str, key: &Key, value: &str) -> Result<(), Stop> {
        match self.dcs(scope).put(key, value).await {
            WriteOutcome::Written { .. } => Ok(()),
            WriteOutcome::Conflict => Err(failed(format!("{key} was not written"))),
            WriteOutcome::Unknown { reason } => {
                Err(failed(format!("it is not known whether {key} was written: {reason}")))
            }
        }
    }

    /// Removes every key of a cluster, all at once.
    pub async fn remove(&self, scope: &str) -> Result<usize, Stop> {
        let wrong = |error: pgdrill_agent::dcs::KvError| failed(error.to_string());
        let keys = Keys::new(&self.settings.namespace, scope);
        let found = self.etcd.range(keys.prefix()).await.map_err(wrong)?.keys;
        let count = found.len();
        let success = found.into_keys().map(Op::Delete).collect();
        self.etcd.txn(Txn { success, ..Txn::default() }, Tries::Repeat).await.map_err(wrong)?;
        Ok(count)
    }

    /// Calls a member's REST API. An error means that nobody knows whether it was carried out.
    pub async fn call(&self, api_url: &str, method: Method, name: &str, body: Option<&Value>) -> io::Result<Answer> {
        self.members.request(method, &endpoint(api_url, name), body, PATIENCE).await
    }
}

/// The text of an answer.
pub(super) fn text_of(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).trim().to_owned()
}
