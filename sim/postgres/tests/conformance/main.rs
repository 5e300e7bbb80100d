//! Behaviours of PostgreSQL 16, checked through `tokio-postgres` and the operations of an operating system only.

mod durability;
mod model;
mod operations;
mod sql;
mod streaming;
mod synchronous;
mod timelines;

use model::Model;

/// Runs each body against the model on loopback.
macro_rules! conformance {
    ($($body:path as $name:ident, $nodes:literal nodes;)*) => { $(
        #[tokio::test]
        async fn $name() {
            let limit = std::time::Duration::from_secs(25);
            let pg = Model::new($nodes);
            tokio::time::timeout(limit, $body(&pg)).await.expect("ends in time");
        }
    )* };
}

conformance! {
    streaming::standby_follows as a_standby_replays_what_the_primary_commits, 2 nodes;
    streaming::standby_is_read_only as a_standby_refuses_writes_with_25006, 2 nodes;
    streaming::cascade as a_standby_serves_a_standby, 3 nodes;
    streaming::slot_retains_wal as a_slot_keeps_the_wal_that_its_standby_has_not_seen, 2 nodes;
    streaming::removed_wal as a_standby_without_a_slot_misses_removed_wal, 2 nodes;
    streaming::replay_pause as a_paused_standby_receives_but_does_not_replay, 2 nodes;
    timelines::promote as a_promotion_begins_a_timeline, 2 nodes;
    timelines::switch as a_standby_follows_a_promoted_standby_to_its_timeline, 3 nodes;
    timelines::rewind_needed as a_primary_that_wrote_after_the_fork_needs_a_rewind, 2 nodes;
    timelines::rewind_not_needed as a_cleanly_stopped_primary_follows_its_standby_without_rewind, 2 nodes;
    timelines::rewind_refused as a_crashed_target_is_not_rewound, 2 nodes;
    durability::crash_keeps_commits as acknowledged_commits_survive_a_kill, 1 nodes;
    durability::control_states as pg_control_names_the_state_of_the_cluster, 2 nodes;
    durability::shutdown_refuses as connections_end_with_57p01_in_a_fast_shutdown, 1 nodes;
    synchronous::commit_waits as a_commit_waits_for_its_synchronous_standby, 2 nodes;
    synchronous::states as sync_states_follow_the_configured_names, 4 nodes;
    synchronous::quorum as a_quorum_commit_needs_any_of_the_standbys, 3 nodes;
    synchronous::shutdown_while_waiting as a_waiting_commit_is_not_acknowledged_by_a_shutdown, 2 nodes;
    sql::answers as the_questions_of_high_availability_tools_are_answered, 1 nodes;
    sql::prepared as prepared_statements_return_typed_columns, 1 nodes;
    sql::refused as what_is_not_understood_is_refused_by_name, 1 nodes;
}

#[tokio::test]
async fn unsynced_wal_is_lost_with_the_power() {
    let pg = Model::new(1);
    durability::power_loss(&pg, |node| pg.dir(node).power_loss(), |node, delay| pg.dir(node).set_fsync_delay(delay))
        .await;
}

#[tokio::test]
async fn a_full_disk_refuses_rows_with_53100() {
    let pg = Model::new(1);
    durability::disk_full(&pg, |node, full| pg.dir(node).set_full(full)).await;
}
