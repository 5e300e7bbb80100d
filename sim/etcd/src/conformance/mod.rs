//! What must hold for the model and for real etcd alike: test bodies that use nothing but the real client.
//!
//! Each body runs against a fresh [`TestCluster`]; whoever provides one decides what it is made of. A difference between
//! the model and real etcd is a bug of the model. Bodies panic on the first difference, as tests do.

pub mod cluster;
pub mod kv;
pub mod lease;
pub mod txn;
pub mod watch;

use std::{
    future::Future,
    time::{Duration, Instant},
};

use etcd_client::{Client, Error};
use tonic::Code;

/// A cluster of etcd members that a conformance body can talk to and switch off in parts.
pub trait TestCluster {
    /// How many members it has.
    fn members(&self) -> usize;
    /// A new client that talks to this member only.
    fn client(&self, member: usize) -> impl Future<Output = Client>;
    /// Kills a member; its disk stays.
    fn stop_member(&mut self, member: usize) -> impl Future<Output = ()>;
    /// Starts a member that was killed.
    fn start_member(&mut self, member: usize) -> impl Future<Output = ()>;
    /// Freezes a member: nothing of it runs, its sockets stay.
    fn freeze_member(&mut self, member: usize) -> impl Future<Output = ()>;
    /// Lets a frozen member go on.
    fn thaw_member(&mut self, member: usize) -> impl Future<Output = ()>;
}

/// Calls the macro `$each` with all bodies: path, and how many members it needs.
#[macro_export]
macro_rules! for_each_conformance_body {
    ($each:ident) => {
        $each! {
            kv::each_transaction_takes_one_revision, 1;
            kv::a_range_is_limited_sorted_counted_and_filtered_as_asked, 1;
            kv::a_deletion_returns_what_it_deleted, 1;
            kv::malformed_requests_are_refused_with_etcds_texts, 1;
            kv::history_is_readable_until_it_is_compacted, 1;
            txn::every_comparison_target_and_result_is_evaluated, 1;
            txn::nested_transactions_compare_against_the_state_before_all_writes, 1;
            txn::a_transaction_that_would_write_a_key_twice_is_refused, 1;
            txn::a_put_with_an_unknown_lease_changes_nothing, 1;
            lease::a_short_ttl_is_raised_to_the_minimum, 1;
            lease::revoking_a_lease_deletes_its_keys_in_one_revision, 1;
            lease::an_expired_lease_takes_its_keys_along_and_a_keepalive_answers_ttl_zero, 1;
            lease::a_keepalive_prolongs_a_lease, 1;
            lease::a_restarted_member_knows_its_revisions_and_leases, 1;
            watch::a_watch_from_a_revision_tells_history_and_then_news, 1;
            watch::filters_and_prev_kv_shape_events, 1;
            watch::a_watch_that_starts_in_compacted_history_is_cancelled, 1;
            watch::a_cancelled_watch_tells_nothing_more, 1;
            cluster::every_member_answers_with_the_same_cluster_and_its_own_id, 3;
            cluster::a_write_through_one_member_is_read_through_all, 3;
            cluster::a_keepalive_through_a_follower_reaches_the_leader, 3;
            cluster::without_a_quorum_only_serializable_reads_are_answered, 3;
            cluster::a_restarted_member_finds_its_data_and_catches_up, 3;
            cluster::a_member_that_lags_answers_linearizable_reads_with_the_present, 3;
            cluster::a_new_leader_keeps_leases_alive, 3;
        }
    };
}

/// Asks until it is answered, as clients do around a restart or a change of leaders.
async fn soon<T>(mut ask: impl AsyncFnMut() -> Result<T, Error>) -> T {
    let started = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(started.elapsed() < Duration::from_secs(15), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The gRPC code and text of an error that must have come.
fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> (Code, String) {
    match result {
        Err(Error::GRpcStatus(status)) => (status.code(), status.message().to_owned()),
        other => panic!("a gRPC error was expected, not {other:?}"),
    }
}

/// The revision of a response.
macro_rules! revision {
    ($response:expr) => {
        $response.header().expect("every response has a header").revision()
    };
}
use revision;
