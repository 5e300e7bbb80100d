//! What must hold for the model and for real PostgreSQL 16 alike: bodies that use nothing but `tokio-postgres` and the
//! operations of an operating system.
//!
//! Each body runs on fresh [`Operations`](operations::Operations); whoever provides them decides what the servers are made of. A
//! difference between the model and a real server is a bug of the model. Bodies panic on the first difference.

pub mod durability;
pub mod operations;
pub mod session;
pub mod sql;
pub mod streaming;
pub mod synchronous;
pub mod timelines;

/// Calls the macro `$each` with all bodies: path, name as a sentence, how many servers it needs.
#[macro_export]
macro_rules! for_each_conformance_body {
    ($each:ident) => {
        $each! {
            streaming::standby_follows as a_standby_replays_what_the_primary_commits, 2;
            streaming::standby_is_read_only as a_standby_refuses_writes_with_25006, 2;
            streaming::cascade as a_standby_serves_a_standby, 3;
            streaming::slot_retains_wal as a_slot_keeps_the_wal_that_its_standby_has_not_seen, 2;
            streaming::slot_lost as a_slot_that_would_keep_too_much_is_lost, 1;
            streaming::removed_wal as a_standby_without_a_slot_misses_removed_wal, 2;
            streaming::replay_pause as a_paused_standby_receives_but_does_not_replay, 2;
            streaming::backup_refused as a_base_backup_wants_an_empty_directory_and_a_server, 3;
            timelines::promote as a_promotion_begins_a_timeline, 2;
            timelines::switch as a_standby_follows_a_promoted_standby_to_its_timeline, 3;
            timelines::rewind_needed as a_primary_that_wrote_after_the_fork_needs_a_rewind, 2;
            timelines::rewind_without_wal as a_rewind_needs_the_targets_wal_since_the_last_common_checkpoint, 2;
            timelines::rewind_not_needed as a_cleanly_stopped_primary_follows_its_standby_without_rewind, 2;
            timelines::rewind_of_a_standby as a_standby_that_replayed_beyond_the_fork_needs_a_rewind, 3;
            timelines::rewind_refused as a_crashed_target_is_not_rewound, 2;
            durability::crash_keeps_commits as acknowledged_commits_survive_a_kill, 1;
            durability::control_states as pg_control_names_the_state_of_the_cluster, 2;
            durability::shutdown_ends_sessions as connections_end_with_57p01_in_a_fast_shutdown, 1;
            durability::closing as nobody_is_let_in_with_57p03_while_a_smart_shutdown_waits, 1;
            durability::starting as nobody_is_let_in_with_57p03_before_a_server_is_ready, 2;
            durability::immediate_drops as an_open_transaction_leaves_nothing_behind_a_crash, 1;
            durability::disk_full as a_full_disk_refuses_rows_with_53100, 1;
            synchronous::commit_waits as a_commit_waits_for_its_synchronous_standby, 2;
            synchronous::states as sync_states_follow_the_configured_names, 4;
            synchronous::quorum as a_quorum_commit_needs_any_of_the_standbys, 3;
            synchronous::shutdown_while_waiting as a_waiting_commit_is_not_acknowledged_by_a_shutdown, 2;
            sql::answers as the_questions_of_high_availability_tools_are_answered, 1;
            sql::prepared as prepared_statements_return_typed_columns, 1;
            sql::refused as errors_have_the_code_that_postgresql_gives_them, 1;
        }
    };
}
