//! Comparisons, branches, nesting.

use etcd_client::{Compare, CompareOp, PutOptions, Txn, TxnOp, TxnOpResponse};
use tonic::Code;

use super::{TestCluster, refused, revision};

/// All targets with all results, on existing and missing keys, and over a range.
pub async fn every_comparison_target_and_result_is_evaluated(cluster: &mut impl TestCluster) {
    use CompareOp::{Equal, Greater, Less, NotEqual};
    let mut client = cluster.client(0).await;
    let lease = client.lease_grant(60, None).await.expect("grant").id();
    let created = revision!(client.put("k", "a", None).await.expect("put"));
    let modified = revision!(client.put("k", "b", Some(PutOptions::new().with_lease(lease))).await.expect("put"));
    let table = [
        (Compare::version("k", Equal, 2), true),
        (Compare::version("k", Greater, 2), false),
        (Compare::version("k", Less, 3), true),
        (Compare::version("k", NotEqual, 2), false),
        (Compare::create_revision("k", Equal, created), true),
        (Compare::create_revision("k", Greater, created - 1), true),
        (Compare::mod_revision("k", Equal, modified), true),
        (Compare::mod_revision("k", Less, modified), false),
        (Compare::value("k", Equal, "b"), true),
        (Compare::value("k", Less, "c"), true),
        (Compare::value("k", Greater, "b"), false),
        (Compare::value("k", NotEqual, "a"), true),
        (Compare::lease("k", Equal, lease), true),
        (Compare::lease("k", NotEqual, 0), true),
        (Compare::create_revision("none", Equal, 0), true),
        (Compare::version("none", Equal, 0), true),
        (Compare::version("none", Greater, 0), false),
        // A missing key has no value that could be compared, not even for being different.
        (Compare::value("none", NotEqual, "x"), false),
        (Compare::value("none", Equal, ""), false),
        (Compare::create_revision("k", Greater, 0).with_prefix(), true),
        (Compare::value("k", Equal, "x").with_prefix(), false),
    ];
    for (i, (compare, holds)) in table.into_iter().enumerate() {
        let txn = Txn::new().when([compare]).and_then([TxnOp::get("k", None)]);
        let response = client.txn(txn).await.expect("txn");
        assert_eq!(response.succeeded(), holds, "row {i}");
        assert_eq!(response.op_responses().len(), usize::from(holds), "row {i}: the other branch is empty");
    }
}

/// Patroni's renewal of a foreign lease is such a transaction: `value == me` then put, else `create_revision == 0` then put.
pub async fn nested_transactions_compare_against_the_state_before_all_writes(cluster: &mut impl TestCluster) {
    let mut client = cluster.client(0).await;
    let take = |me: &str| {
        let create = Txn::new()
            .when([Compare::create_revision("leader", CompareOp::Equal, 0)])
            .and_then([TxnOp::put("leader", me, None)]);
        Txn::new()
            .when([Compare::value("leader", CompareOp::Equal, me)])
            .and_then([TxnOp::put("leader", me, None)])
            .or_else([TxnOp::txn(create)])
    };
    let inner = |response: &etcd_client::TxnResponse| match response.op_responses().pop() {
        Some(TxnOpResponse::Txn(inner)) => Some(inner.succeeded()),
        _ => None,
    };
    let created = client.txn(take("a")).await.expect("txn");
    assert_eq!((created.succeeded(), inner(&created)), (false, Some(true)));
    let kept = client.txn(take("a")).await.expect("txn");
    assert_eq!((kept.succeeded(), inner(&kept)), (true, None));
    let lost = client.txn(take("b")).await.expect("txn");
    assert_eq!((lost.succeeded(), inner(&lost)), (false, Some(false)));
    assert_eq!(client.get("leader", None).await.expect("get").kvs()[0].value(), b"a");
    assert_eq!(revision!(lost), revision!(kept), "nothing was written");

    let before = Txn::new().when([Compare::version("leader", CompareOp::Equal, 2)]).and_then([TxnOp::get("x", None)]);
    let both = Txn::new().and_then([TxnOp::put("x", "1", None), TxnOp::txn(before)]);
    let response = client.txn(both).await.expect("txn");
    assert_eq!(inner(&response), Some(true));
    let Some(TxnOpResponse::Txn(read)) = response.op_responses().pop() else { panic!("the nested answer") };
    let Some(TxnOpResponse::Get(got)) = read.op_responses().pop() else { panic!("its range") };
    assert_eq!(got.kvs()[0].value(), b"1", "reads see the writes before them");
}

/// Two puts, or a put inside a deleted range; both branches of a nested transaction may write the same key.
pub async fn a_transaction_that_would_write_a_key_twice_is_refused(cluster: &mut impl TestCluster) {
    let mut client = cluster.client(0).await;
    let put = || TxnOp::put("k", "v", None);
    let twice = (Code::InvalidArgument, "etcdserver: duplicate key given in txn request".to_owned());
    assert_eq!(refused(client.txn(Txn::new().and_then([put(), put()])).await), twice);
    assert_eq!(refused(client.txn(Txn::new().or_else([TxnOp::delete("k", None), put()])).await), twice);
    let nested = TxnOp::txn(Txn::new().and_then([put()]));
    assert_eq!(refused(client.txn(Txn::new().and_then([nested, put()])).await), twice);
    let either = Txn::new().and_then([put()]).or_else([put()]);
    client.txn(Txn::new().and_then([TxnOp::txn(either)])).await.expect("only one branch runs");
}

/// The lease of every put in the chosen branch is checked before anything is written.
pub async fn a_put_with_an_unknown_lease_changes_nothing(cluster: &mut impl TestCluster) {
    let mut client = cluster.client(0).await;
    let bad = || TxnOp::put("b", "2", Some(PutOptions::new().with_lease(999)));
    let txn = Txn::new().and_then([TxnOp::put("a", "1", None), bad()]);
    let unknown = (Code::NotFound, "etcdserver: requested lease not found".to_owned());
    assert_eq!(refused(client.txn(txn).await), unknown);
    assert_eq!(client.get("a", None).await.expect("get").count(), 0);
    let unchosen = Txn::new().and_then([TxnOp::put("a", "1", None)]).or_else([bad()]);
    assert!(client.txn(unchosen).await.expect("the other branch does not matter").succeeded());
}
