//! Promotion, timelines and rewind.

use super::operations::{Operations, Stop, cluster, error_code, value, wait_for};

async fn promoted<O: Operations>(pg: &O, node: usize) -> tokio_postgres::Client {
    pg.promote(node).await;
    let client = pg.connect(node).await.expect("accepts");
    wait_for(&client, "SELECT pg_is_in_recovery()", "f").await;
    client
}

/// A promotion begins a timeline and writes its history file.
pub async fn promote<O: Operations>(pg: &O) {
    let primary = cluster(pg, 1).await;
    primary.simple_query("INSERT INTO t VALUES (1)").await.expect("inserted");
    pg.stop(0, Stop::Fast).await;
    let standby = promoted(pg, 1).await;
    standby.simple_query("INSERT INTO t VALUES (2)").await.expect("the new primary writes");
    assert_eq!(value(&standby, "SELECT count(*) FROM t").await, "2");
    let file = value(&standby, "SELECT pg_walfile_name(pg_current_wal_lsn())").await;
    assert!(file.starts_with("00000002"), "{file}");
    let history = value(&standby, "SELECT pg_read_file('pg_wal/00000002.history', 0, 1000000, true)").await;
    let shorter = "SELECT pg_read_file('pg_wal/00000002.history', true)";
    if pg.major() >= 16 {
        assert_eq!(value(&standby, shorter).await, history);
    } else {
        assert_eq!(error_code(&standby, shorter).await, "42883", "two arguments came with PostgreSQL 16");
    }
    let bytes = "SELECT convert_from(pg_read_binary_file('pg_wal/00000002.history', 0, 1000000, true), 'UTF8')";
    assert_eq!(value(&standby, bytes).await, history);
    assert!(history.starts_with("1\t0/"), "{history}");
    // The checkpoint that follows a promotion brings pg_control to the new timeline.
    wait_for(&standby, "SELECT timeline_id FROM pg_control_checkpoint()", "2").await;
}

/// A standby follows a promoted standby to its timeline.
pub async fn switch<O: Operations>(pg: &O) {
    cluster(pg, 2).await;
    pg.stop(0, Stop::Immediate).await;
    let new_primary = promoted(pg, 1).await;
    pg.follow(2, 1, "").await;
    pg.reload(2).await;
    new_primary.simple_query("INSERT INTO t VALUES (5)").await.expect("inserted");
    let standby = pg.connect(2).await.expect("hot standby");
    wait_for(&standby, "SELECT count(*) FROM t", "1").await;
    assert_eq!(value(&standby, "SELECT received_tli FROM pg_stat_wal_receiver").await, "2");
}

/// A primary that wrote after the fork cannot follow until it is rewound.
pub async fn rewind_needed<O: Operations>(pg: &O) {
    let primary = cluster(pg, 1).await;
    let standby = pg.connect(1).await.expect("hot standby");
    // Checkpoints would remove what the rewind reads, and what recovery reads after it: see `rewind_without_wal`.
    for (node, client) in [(0, &primary), (1, &standby)] {
        pg.configure(node, &[("wal_keep_size", "128MB")]).await;
        pg.reload(node).await;
        wait_for(client, "SHOW wal_keep_size", "128MB").await;
    }
    // Both write after the fork: the old primary's row is one nobody else has.
    pg.promote(1).await;
    wait_for(&standby, "SELECT pg_is_in_recovery()", "f").await;
    primary.simple_query("INSERT INTO t VALUES (100)").await.expect("inserted");
    standby.simple_query("INSERT INTO t VALUES (200)").await.expect("inserted");
    pg.stop(0, Stop::Fast).await;
    pg.follow(0, 1, "").await;
    pg.start(0).await;
    let old = pg.connect(0).await.expect("hot standby on its own timeline");
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(value(&old, "SELECT max(id) FROM t").await, "100", "it cannot follow");
    pg.stop(0, Stop::Fast).await;
    assert_eq!(pg.rewind(1, 0).await, Ok(true));
    pg.follow(0, 1, "").await;
    pg.start(0).await;
    let old = pg.connect(0).await.expect("hot standby");
    wait_for(&old, "SELECT max(id) FROM t", "200").await;
    assert_eq!(value(&old, "SELECT count(*) FROM t").await, "1", "the row of the abandoned timeline is gone");
    standby.simple_query("INSERT INTO t VALUES (201)").await.expect("inserted");
    wait_for(&old, "SELECT max(id) FROM t", "201").await;
}

/// A rewind reads the target's WAL back to the last checkpoint before the fork. The target's own later checkpoints remove it.
pub async fn rewind_without_wal<O: Operations>(pg: &O) {
    let primary = cluster(pg, 1).await;
    let standby = pg.connect(1).await.expect("hot standby");
    pg.promote(1).await;
    wait_for(&standby, "SELECT pg_is_in_recovery()", "f").await;
    standby.simple_query("INSERT INTO t VALUES (200)").await.expect("inserted");
    for row in 100..103 {
        primary.simple_query(&format!("INSERT INTO t VALUES ({row})")).await.expect("inserted");
        primary.simple_query("SELECT pg_switch_wal()").await.expect("switched");
        primary.simple_query("CHECKPOINT").await.expect("written");
    }
    pg.stop(0, Stop::Fast).await;
    let refused = pg.rewind(1, 0).await.expect_err("what it reads is gone");
    assert!(refused.contains("could not find previous WAL record"), "{refused}");
}

/// A primary that stopped cleanly before the fork follows without.
pub async fn rewind_not_needed<O: Operations>(pg: &O) {
    let primary = cluster(pg, 1).await;
    primary.simple_query("INSERT INTO t VALUES (1)").await.expect("inserted");
    drop(primary);
    // A fast shutdown sends everything up to the shutdown checkpoint to the standby.
    pg.stop(0, Stop::Fast).await;
    let new_primary = promoted(pg, 1).await;
    new_primary.simple_query("INSERT INTO t VALUES (2)").await.expect("inserted");
    assert_eq!(pg.rewind(1, 0).await, Ok(false));
    pg.follow(0, 1, "").await;
    pg.start(0).await;
    let old = pg.connect(0).await.expect("hot standby");
    wait_for(&old, "SELECT count(*) FROM t", "2").await;
}

/// A standby that has replayed more than the one that was promoted remembers so when it is shut down, and is rewound.
pub async fn rewind_of_a_standby<O: Operations>(pg: &O) {
    let primary = cluster(pg, 2).await;
    // Whether a checkpoint has removed what the rewind reads is not the question here, on either server.
    for node in [0, 1] {
        pg.configure(node, &[("wal_keep_size", "128MB")]).await;
        pg.reload(node).await;
    }
    primary.simple_query("INSERT INTO t VALUES (1)").await.expect("inserted");
    for node in [1, 2] {
        let standby = pg.connect(node).await.expect("hot standby");
        wait_for(&standby, "SELECT count(*) FROM t", "1").await;
    }
    // Only node 2 gets this row.
    pg.stop(1, Stop::Fast).await;
    primary.simple_query("INSERT INTO t VALUES (100)").await.expect("inserted");
    let ahead = pg.connect(2).await.expect("hot standby");
    wait_for(&ahead, "SELECT max(id) FROM t", "100").await;
    pg.stop(0, Stop::Immediate).await;
    pg.start(1).await;
    let new_primary = promoted(pg, 1).await;
    new_primary.simple_query("INSERT INTO t VALUES (200)").await.expect("inserted");
    new_primary.simple_query("CHECKPOINT").await.expect("written");
    let replayed = value(&ahead, "SELECT pg_last_wal_replay_lsn()").await;
    pg.stop(2, Stop::Fast).await;
    assert_eq!(pg.controldata(2, "Database cluster state").await, "shut down in recovery");
    assert_eq!(pg.controldata(2, "Minimum recovery ending location").await, replayed);
    assert_eq!(pg.rewind(1, 2).await, Ok(true));
    pg.follow(2, 1, "").await;
    pg.start(2).await;
    let again = pg.connect(2).await.expect("hot standby");
    wait_for(&again, "SELECT max(id) FROM t", "200").await;
    assert_eq!(value(&again, "SELECT count(*) FROM t").await, "2", "the row of the abandoned timeline is gone");
}

/// A target that was not shut down cleanly is refused.
pub async fn rewind_refused<O: Operations>(pg: &O) {
    cluster(pg, 1).await;
    pg.stop(0, Stop::Kill).await;
    promoted(pg, 1).await;
    let refused = pg.rewind(1, 0).await.expect_err("not cleanly shut down");
    assert!(refused.contains("target server must be shut down cleanly"), "{refused}");
}
