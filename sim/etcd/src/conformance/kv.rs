//! Revisions, ranges, deletions, compaction.

use etcd_client::{DeleteOptions, GetOptions, PutOptions, SortOrder, SortTarget, Txn, TxnOp};
use tonic::Code;

use super::{TestCluster, refused, revision};

/// A put is one revision, a transaction of many puts is one too, and one that changes nothing takes none.
pub async fn each_transaction_takes_one_revision(cluster: &mut impl TestCluster) {
    let mut client = cluster.client(0).await;
    let first = revision!(client.put("a", "1", None).await.expect("put"));
    let txn = Txn::new().and_then([TxnOp::put("a", "2", None), TxnOp::put("b", "1", None), TxnOp::delete("c", None)]);
    assert_eq!(revision!(client.txn(txn).await.expect("txn")), first + 1);
    let nothing = client.delete("nobody", None).await.expect("delete");
    assert_eq!((revision!(nothing), nothing.deleted()), (first + 1, 0));
    let got = client.get("a", None).await.expect("get");
    let kv = &got.kvs()[0];
    assert_eq!(revision!(got), first + 1);
    assert_eq!((kv.create_revision(), kv.mod_revision(), kv.version()), (first, first + 1, 2));
    client.delete("a", None).await.expect("delete");
    client.put("a", "3", None).await.expect("put");
    let kv = client.get("a", None).await.expect("get").kvs()[0].clone();
    assert_eq!((kv.create_revision(), kv.mod_revision(), kv.version()), (first + 3, first + 3, 1), "a new life");
}

/// Prefix, limit with `more`, count, keys only, sorting, revision filters.
pub async fn a_range_is_limited_sorted_counted_and_filtered_as_asked(cluster: &mut impl TestCluster) {
    let mut client = cluster.client(0).await;
    let mut revisions = Vec::new();
    for (key, value) in [("r/b", "3"), ("r/a", "1"), ("r/c", "2"), ("s", "x")] {
        revisions.push(revision!(client.put(key, value, None).await.expect("put")));
    }
    let all = || GetOptions::new().with_prefix();
    let keys = async |options: GetOptions| {
        let got = client.clone().get("r/", Some(options)).await.expect("get");
        let keys: Vec<_> = got.kvs().iter().map(|kv| kv.key_str().expect("utf-8").to_owned()).collect();
        (keys.join(" "), got.count(), got.more())
    };
    assert_eq!(keys(all()).await, ("r/a r/b r/c".into(), 3, false));
    assert_eq!(keys(all().with_limit(2)).await, ("r/a r/b".into(), 3, true));
    assert_eq!(keys(all().with_limit(3)).await, ("r/a r/b r/c".into(), 3, false));
    assert_eq!(keys(all().with_count_only()).await, (String::new(), 3, false));
    assert_eq!(keys(all().with_sort(SortTarget::Value, SortOrder::Descend)).await.0, "r/b r/c r/a");
    assert_eq!(keys(all().with_sort(SortTarget::Mod, SortOrder::Ascend)).await.0, "r/b r/a r/c");
    assert_eq!(keys(all().with_sort(SortTarget::Create, SortOrder::Descend).with_limit(1)).await.0, "r/c");
    assert_eq!(keys(all().with_min_mod_revision(revisions[1])).await.0, "r/a r/c");
    assert_eq!(keys(all().with_max_create_revision(revisions[0])).await.0, "r/b");
    assert_eq!(keys(all().with_revision(revisions[1])).await.0, "r/a r/b");
    assert_eq!(keys(GetOptions::new().with_from_key()).await.0, "r/a r/b r/c s");
    assert_eq!(keys(GetOptions::new().with_range("r/b")).await.0, "r/a");
    let bare = client.get("r/a", Some(GetOptions::new().with_keys_only())).await.expect("get");
    assert_eq!((bare.kvs()[0].value(), bare.kvs()[0].mod_revision()), (&b""[..], revisions[1]));
}

/// `prev_kv` of deletions and puts.
pub async fn a_deletion_returns_what_it_deleted(cluster: &mut impl TestCluster) {
    let mut client = cluster.client(0).await;
    client.put("d/1", "one", None).await.expect("put");
    client.put("d/2", "two", None).await.expect("put");
    let put = client.put("d/2", "zwei", Some(PutOptions::new().with_prev_key())).await.expect("put");
    assert_eq!(put.prev_key().expect("it existed").value(), b"two");
    let kept = client.put("d/2", "", Some(PutOptions::new().with_ignore_value())).await.expect("put");
    let options = DeleteOptions::new().with_prefix().with_prev_key();
    let gone = client.delete("d/", Some(options)).await.expect("delete");
    let values: Vec<_> = gone.prev_kvs().iter().map(|kv| kv.value().to_vec()).collect();
    assert_eq!((gone.deleted(), values), (2, vec![b"one".to_vec(), b"zwei".to_vec()]));
    assert_eq!(revision!(gone), revision!(kept) + 1, "both keys in one revision");
    assert_eq!(client.get("d/", Some(GetOptions::new().with_prefix())).await.expect("get").count(), 0);
}

/// Codes and texts of bad requests.
pub async fn malformed_requests_are_refused_with_etcds_texts(cluster: &mut impl TestCluster) {
    let mut client = cluster.client(0).await;
    let empty = (Code::InvalidArgument, "etcdserver: key is not provided".to_owned());
    assert_eq!(refused(client.put("", "v", None).await), empty);
    assert_eq!(refused(client.get("", None).await), empty);
    let ignore = Some(PutOptions::new().with_ignore_value());
    let given = (Code::InvalidArgument, "etcdserver: value is provided".to_owned());
    assert_eq!(refused(client.put("k", "v", ignore.clone()).await), given);
    let missing = (Code::InvalidArgument, "etcdserver: key not found".to_owned());
    assert_eq!(refused(client.put("k", "", ignore).await), missing);
    let lease = Some(PutOptions::new().with_lease(4711));
    let unknown = (Code::NotFound, "etcdserver: requested lease not found".to_owned());
    assert_eq!(refused(client.put("k", "v", lease).await), unknown);
    let future = Some(GetOptions::new().with_revision(1_000_000));
    let text = "etcdserver: mvcc: required revision is a future revision".to_owned();
    assert_eq!(refused(client.get("k", future).await), (Code::OutOfRange, text));
    let many: Vec<_> = (0..129).map(|i| TxnOp::put(format!("k{i}"), "v", None)).collect();
    let text = "etcdserver: too many operations in txn request".to_owned();
    assert_eq!(refused(client.txn(Txn::new().and_then(many)).await), (Code::InvalidArgument, text));
}

/// Compaction forgets what came before the revision, and keeps what is valid at it.
pub async fn history_is_readable_until_it_is_compacted(cluster: &mut impl TestCluster) {
    let mut client = cluster.client(0).await;
    let first = revision!(client.put("h", "1", None).await.expect("put"));
    client.put("h", "2", None).await.expect("put");
    client.put("h", "3", None).await.expect("put");
    let at = |revision| Some(GetOptions::new().with_revision(revision));
    assert_eq!(client.get("h", at(first)).await.expect("get").kvs()[0].value(), b"1");
    client.compact(first + 1, None).await.expect("compact");
    let gone = (Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted".to_owned());
    assert_eq!(refused(client.get("h", at(first)).await), gone);
    assert_eq!(client.get("h", at(first + 1)).await.expect("get").kvs()[0].value(), b"2");
    assert_eq!(client.get("h", None).await.expect("get").kvs()[0].value(), b"3");
    assert_eq!(refused(client.compact(first + 1, None).await), gone, "once is enough");
    let future = (Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision".to_owned());
    assert_eq!(refused(client.compact(first + 100, None).await), future);
}
