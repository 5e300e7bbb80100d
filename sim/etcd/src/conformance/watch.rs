//! Watches.

use std::time::Duration;

use etcd_client::{
    Event, EventType, PutOptions, Txn, TxnOp, WatchFilterType, WatchOptions, WatchResponse, WatchStream,
};
use tokio::time::timeout;

use super::{TestCluster, revision};

async fn next(watch: &mut WatchStream) -> WatchResponse {
    let message = timeout(Duration::from_secs(5), watch.message()).await.expect("a response within five seconds");
    message.expect("no error").expect("the stream is open")
}

fn short(event: &Event) -> String {
    let kv = event.kv().expect("every event has a key");
    let sign = if event.event_type() == EventType::Put { '+' } else { '-' };
    let prev = event.prev_kv().map_or(String::new(), |kv| format!("({})", kv.value_str().expect("utf-8")));
    format!("{sign}{}={}{prev}", kv.key_str().expect("utf-8"), kv.value_str().expect("utf-8"))
}

fn shorts(response: &WatchResponse) -> Vec<String> {
    response.events().iter().map(short).collect()
}

/// History first, in order, then news; the events of a revision are never torn apart.
pub async fn a_watch_from_a_revision_tells_history_and_then_news(cluster: &mut impl TestCluster) {
    let mut client = cluster.client(0).await;
    let first = revision!(client.put("w/a", "1", None).await.expect("put"));
    client.put("other", "x", None).await.expect("put");
    client.put("w/a", "2", None).await.expect("put");
    client.delete("w/a", None).await.expect("delete");
    let options = WatchOptions::new().with_prefix().with_start_revision(first);
    let mut watch = client.watch("w/", Some(options)).await.expect("watch");
    let created = next(&mut watch).await;
    assert!(created.created() && created.events().is_empty());
    let mut told = Vec::new();
    while told.len() < 3 {
        told.extend(shorts(&next(&mut watch).await));
    }
    assert_eq!(told, ["+w/a=1", "+w/a=2", "-w/a="]);
    let txn = Txn::new().and_then([TxnOp::put("w/c", "1", None), TxnOp::put("w/b", "1", None)]);
    let revision = revision!(client.txn(txn).await.expect("txn"));
    let news = next(&mut watch).await;
    assert_eq!(shorts(&news), ["+w/c=1", "+w/b=1"], "in the order of the transaction");
    assert_eq!(revision!(news), revision);
    assert!(news.events().iter().all(|e| e.kv().expect("kv").mod_revision() == revision));
}

/// `NOPUT`, `NODELETE`, `prev_kv`.
pub async fn filters_and_prev_kv_shape_events(cluster: &mut impl TestCluster) {
    let mut client = cluster.client(0).await;
    let only = |filter| WatchOptions::new().with_prefix().with_filters([filter]);
    let mut puts = client.watch("f/", Some(only(WatchFilterType::NoDelete))).await.expect("watch");
    let mut deletes = client.watch("f/", Some(only(WatchFilterType::NoPut))).await.expect("watch");
    let mut all = client.watch("f/", Some(WatchOptions::new().with_prefix().with_prev_key())).await.expect("watch");
    for watch in [&mut puts, &mut deletes, &mut all] {
        assert!(next(watch).await.created());
    }
    client.put("f/a", "1", None).await.expect("put");
    client.put("f/a", "2", Some(PutOptions::new())).await.expect("put");
    client.delete("f/a", None).await.expect("delete");
    client.put("f/a", "3", None).await.expect("put");
    let mut told = Vec::new();
    for _ in 0..4 {
        told.extend(shorts(&next(&mut all).await));
    }
    assert_eq!(told, ["+f/a=1", "+f/a=2(1)", "-f/a=(2)", "+f/a=3"]);
    assert_eq!(shorts(&next(&mut deletes).await), ["-f/a="]);
    for expected in ["+f/a=1", "+f/a=2", "+f/a=3"] {
        assert_eq!(shorts(&next(&mut puts).await), [expected]);
    }
}

/// The client learns from `compact_revision` where it may start again.
pub async fn a_watch_that_starts_in_compacted_history_is_cancelled(cluster: &mut impl TestCluster) {
    let mut client = cluster.client(0).await;
    let first = revision!(client.put("c", "1", None).await.expect("put"));
    for value in ["2", "3"] {
        client.put("c", value, None).await.expect("put");
    }
    client.compact(first + 2, None).await.expect("compact");
    let from = |revision| Some(WatchOptions::new().with_start_revision(revision));
    let mut late = client.watch("c", from(first)).await.expect("watch");
    assert!(next(&mut late).await.created());
    let end = next(&mut late).await;
    assert!(end.canceled());
    assert_eq!(end.compact_revision(), first + 2);
    let mut fine = client.watch("c", from(first + 2)).await.expect("watch");
    assert!(next(&mut fine).await.created());
    assert_eq!(shorts(&next(&mut fine).await), ["+c=3"]);
}

/// After the answer to the cancellation other watches of the stream go on.
pub async fn a_cancelled_watch_tells_nothing_more(cluster: &mut impl TestCluster) {
    let mut client = cluster.client(0).await;
    let mut stream = client.watch("x", None).await.expect("watch");
    let x = next(&mut stream).await.watch_id();
    stream.watch("y", Some(WatchOptions::new())).await.expect("second watch");
    let y = next(&mut stream).await.watch_id();
    assert_ne!(x, y);
    stream.cancel(x).await.expect("cancel");
    let end = next(&mut stream).await;
    assert_eq!((end.watch_id(), end.canceled()), (x, true));
    client.put("x", "1", None).await.expect("put");
    let put = revision!(client.put("y", "1", None).await.expect("put"));
    let told = next(&mut stream).await;
    assert_eq!((told.watch_id(), shorts(&told)), (y, vec!["+y=1".to_owned()]));
    stream.request_progress().await.expect("request");
    let progress = next(&mut stream).await;
    assert_eq!((progress.watch_id(), revision!(progress), progress.events().len()), (-1, put, 0));
}
