//! The conformance suite against the model, over the machine's own sockets and in real time.

mod cluster;
mod faults;

use cluster::LoopbackCluster;
use pgdrill_sim_etcd::conformance;

/// Runs a conformance body against a fresh cluster of `members`.
fn run(members: usize, body: impl AsyncFnOnce(&mut LoopbackCluster)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(async {
        let mut cluster = LoopbackCluster::start(members).await;
        body(&mut cluster).await;
    });
}

macro_rules! conforms {
    ($members:expr; $($module:ident::$body:ident),+ $(,)?) => {
        $(#[test]
        fn $body() {
            run($members, conformance::$module::$body);
        })+
    };
}

conforms! { 1;
    kv::each_transaction_takes_one_revision,
    kv::a_range_is_limited_sorted_counted_and_filtered_as_asked,
    kv::a_deletion_returns_what_it_deleted,
    kv::malformed_requests_are_refused_with_etcds_texts,
    kv::history_is_readable_until_it_is_compacted,
    txn::every_comparison_target_and_result_is_evaluated,
    txn::nested_transactions_compare_against_the_state_before_all_writes,
    txn::a_transaction_that_would_write_a_key_twice_is_refused,
    txn::a_put_with_an_unknown_lease_changes_nothing,
    lease::a_short_ttl_is_raised_to_the_minimum,
    lease::revoking_a_lease_deletes_its_keys_in_one_revision,
    lease::an_expired_lease_takes_its_keys_along_and_a_keepalive_answers_ttl_zero,
    lease::a_keepalive_prolongs_a_lease,
    watch::a_watch_from_a_revision_tells_history_and_then_news,
    watch::filters_and_prev_kv_shape_events,
    watch::a_watch_that_starts_in_compacted_history_is_cancelled,
    watch::a_cancelled_watch_tells_nothing_more,
}

conforms! { 3;
    cluster::every_member_answers_with_the_same_cluster_and_its_own_id,
    cluster::a_write_through_one_member_is_read_through_all,
    cluster::a_keepalive_through_a_follower_reaches_the_leader,
    cluster::without_a_quorum_only_serializable_reads_are_answered,
    cluster::a_restarted_member_finds_its_data_and_catches_up,
    cluster::a_new_leader_keeps_leases_alive,
}
