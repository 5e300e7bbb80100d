//! Follows the scope's keys in etcd and records every change of them.
//!
//! The keys are read once and then watched from the next revision, so that nothing between is missed. When the watch
//! breaks, the next member is asked, and what changed meanwhile is recorded as it is found.

use std::{collections::BTreeMap, time::Duration};

use etcd_client::{Client, ConnectOptions, EventType, GetOptions, KeyValue, WatchOptions};
use http::Uri;
use hyper_util::rt::TokioIo;
use pgdrill_lab::event::What;
use pgdrill_net::{Net, SocketOptions};
use tokio::time::{sleep, timeout};
use tonic::transport::Endpoint as Grpc;

use crate::{Endpoint, Journal};

const PATIENCE: Duration = Duration::from_secs(2);

/// Where to look.
#[derive(Clone, Debug)]
pub struct DcsTarget {
    /// etcd's members.
    pub members: Vec<Endpoint>,
    /// `/namespace/scope/`, with the slash at the end.
    pub prefix: String,
}

/// Records changes for ever.
pub async fn watch_scope<N: Net>(net: N, target: DcsTarget, journal: Journal) {
    let mut known = BTreeMap::new();
    for member in target.members.iter().cycle() {
        // An error means only that this member cannot be followed now: the next one is asked.
        let _ = follow(&net, member, &target.prefix, &mut known, &journal).await;
        sleep(Duration::from_millis(200)).await;
    }
}

type Known = BTreeMap<String, (String, i64)>;

async fn follow<N: Net>(
    net: &N,
    member: &Endpoint,
    prefix: &str,
    known: &mut Known,
    journal: &Journal,
) -> Result<(), etcd_client::Error> {
    let mut client = connect(net, member).await?;
    let options = GetOptions::new().with_prefix();
    let Ok(found) = timeout(PATIENCE, client.get(prefix, Some(options))).await else { return Ok(()) };
    let found = found?;
    let revision = found.header().map_or(0, etcd_client::ResponseHeader::revision);
    catch_up(&member.name, prefix, found.kvs(), revision, known, journal);

    let options = WatchOptions::new().with_prefix().with_start_revision(revision + 1);
    let Ok(watch) = timeout(PATIENCE, client.watch(prefix, Some(options))).await else { return Ok(()) };
    let mut watch = watch?;
    while let Some(answer) = watch.message().await? {
        if answer.canceled() {
            return Ok(());
        }
        for event in answer.events() {
            let Some(kv) = event.kv() else { continue };
            let Some(key) = name_of(kv, prefix) else { continue };
            let value = (event.event_type() == EventType::Put).then(|| text(kv.value()));
            note(&member.name, key, value, kv.mod_revision(), kv.lease(), known, journal);
        }
    }
    Ok(())
}

/// Records what differs from what was known before the watch broke.
fn catch_up(node: &str, prefix: &str, kvs: &[KeyValue], revision: i64, known: &mut Known, journal: &Journal) {
    let now: BTreeMap<String, &KeyValue> = kvs.iter().filter_map(|kv| Some((name_of(kv, prefix)?, kv))).collect();
    let gone: Vec<String> = known.keys().filter(|k| !now.contains_key(*k)).cloned().collect();
    for key in gone {
        note(node, key, None, revision, 0, known, journal);
    }
    for (key, kv) in now {
        if known.get(&key).is_none_or(|(_, seen)| *seen != kv.mod_revision()) {
            note(node, key, Some(text(kv.value())), kv.mod_revision(), kv.lease(), known, journal);
        }
    }
}

fn note(
    node: &str,
    key: String,
    value: Option<String>,
    mod_revision: i64,
    lease: i64,
    known: &mut Known,
    journal: &Journal,
) {
    match &value {
        Some(v) => known.insert(key.clone(), (v.clone(), mod_revision)),
        None => known.remove(&key),
    };
    journal.record(node, What::Dcs { key, value, mod_revision, lease });
}

fn name_of(kv: &KeyValue, prefix: &str) -> Option<String> {
    text(kv.key()).strip_prefix(prefix).map(str::to_owned)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A client of one member, with the keepalive without which a dead member is never noticed.
pub(crate) async fn connect<N: Net>(net: &N, member: &Endpoint) -> Result<Client, etcd_client::Error> {
    let (net, host, port) = (net.clone(), member.host.clone(), member.port);
    let connector = tower::service_fn(move |_: Uri| {
        let (net, host) = (net.clone(), host.clone());
        async move { net.connect(&host, port, &SocketOptions::within(PATIENCE)).await.map(TokioIo::new) }
    });
    let channel = Grpc::from_shared(format!("http://{}:{}", member.host, member.port))?
        .connect_timeout(PATIENCE)
        .http2_keep_alive_interval(PATIENCE)
        .keep_alive_timeout(PATIENCE)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await?;
    // A member without a leader must say so rather than keep a watch open that hears nothing.
    let options = ConnectOptions::new().with_require_leader(true);
    Client::from_channel(etcd_client::Channel::Tonic(channel), Some(options)).await
}
