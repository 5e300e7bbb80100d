//! Streaming replication.

use super::operations::{Operations, Stop, cluster, error_code, rows, value, wait_for};

/// A standby replays what the primary commits, and both say how far it is.
pub async fn standby_follows<O: Operations>(pg: &O) {
    let primary = cluster(pg, 1).await;
    primary.simple_query("INSERT INTO t VALUES (1), (2)").await.expect("inserted");
    let standby = pg.connect(1).await.expect("hot standby");
    wait_for(&standby, "SELECT count(*) FROM t", "2").await;
    assert_eq!(value(&standby, "SELECT pg_is_in_recovery()").await, "t");
    assert_eq!(value(&standby, "SELECT status FROM pg_stat_wal_receiver").await, "streaming");
    let lsn = value(&primary, "SELECT pg_current_wal_lsn()").await;
    wait_for(&primary, "SELECT replay_lsn FROM pg_stat_replication", &lsn).await;
    assert_eq!(value(&standby, "SELECT pg_last_wal_replay_lsn()").await, lsn);
    assert_eq!(value(&standby, "SELECT pg_last_wal_receive_lsn()").await, lsn);
}

/// A standby refuses writes with 25006.
pub async fn standby_is_read_only<O: Operations>(pg: &O) {
    let primary = cluster(pg, 1).await;
    let standby = pg.connect(1).await.expect("hot standby");
    for sql in ["INSERT INTO t VALUES (1)", "CREATE TABLE u (id int)"] {
        assert_eq!(error_code(&standby, sql).await, "25006", "{sql}");
    }
    assert_eq!(error_code(&standby, "SELECT pg_current_wal_lsn()").await, "55000");
    assert_eq!(value(&standby, "SHOW transaction_read_only").await, "on");
    assert_eq!(value(&primary, "SHOW transaction_read_only").await, "off");
    primary.simple_query("INSERT INTO t VALUES (1)").await.expect("the primary writes");
}

/// A standby serves a standby, also across a promotion.
pub async fn cascade<O: Operations>(pg: &O) {
    let primary = cluster(pg, 1).await;
    pg.basebackup(1, 2).await.expect("a standby can be copied");
    pg.follow(2, 1, "").await;
    pg.start(2).await;
    primary.simple_query("INSERT INTO t VALUES (1)").await.expect("inserted");
    let last = pg.connect(2).await.expect("hot standby");
    wait_for(&last, "SELECT count(*) FROM t", "1").await;
    assert_eq!(value(&primary, "SELECT count(*) FROM pg_stat_replication").await, "1");
    // The standby in the middle is promoted: the one behind it follows to the new timeline.
    pg.stop(0, Stop::Immediate).await;
    pg.promote(1).await;
    let middle = pg.connect(1).await.expect("accepts");
    wait_for(&middle, "SELECT pg_is_in_recovery()", "f").await;
    middle.simple_query("INSERT INTO t VALUES (2)").await.expect("inserted");
    wait_for(&last, "SELECT count(*) FROM t", "2").await;
}

/// A slot keeps the WAL that its standby has not seen.
pub async fn slot_retains_wal<O: Operations>(pg: &O) {
    let primary = cluster(pg, 0).await;
    rows(&primary, "SELECT pg_create_physical_replication_slot('n1', true)").await;
    pg.basebackup(0, 1).await.expect("copied");
    pg.follow(1, 0, "n1").await;
    for id in 0..3 {
        primary.simple_query(&format!("INSERT INTO t VALUES ({id})")).await.expect("inserted");
        rows(&primary, "SELECT pg_switch_wal()").await;
        primary.simple_query("CHECKPOINT").await.expect("checkpoint");
    }
    let status = "SELECT wal_status, active FROM pg_replication_slots WHERE slot_name = 'n1'";
    assert_eq!(rows(&primary, status).await, [["reserved", "f"]]);
    pg.start(1).await;
    let standby = pg.connect(1).await.expect("hot standby");
    wait_for(&standby, "SELECT count(*) FROM t", "3").await;
    assert_eq!(value(&primary, "SELECT active FROM pg_replication_slots").await, "t");
    assert_eq!(error_code(&primary, "SELECT pg_drop_replication_slot('n1')").await, "55006");
    pg.stop(1, Stop::Fast).await;
    rows(&primary, "SELECT pg_drop_replication_slot('n1')").await;
    assert_eq!(value(&primary, "SELECT count(*) FROM pg_replication_slots").await, "0");
}

/// `max_slot_wal_keep_size` bounds what a slot keeps: then its WAL goes, and the slot is of no use any more.
pub async fn slot_lost<O: Operations>(pg: &O) {
    let primary = cluster(pg, 0).await;
    pg.configure(0, &[("max_slot_wal_keep_size", "16MB")]).await;
    pg.reload(0).await;
    wait_for(&primary, "SHOW max_slot_wal_keep_size", "16MB").await;
    rows(&primary, "SELECT pg_create_physical_replication_slot('n1', true)").await;
    for id in 0..4 {
        primary.simple_query(&format!("INSERT INTO t VALUES ({id})")).await.expect("inserted");
        rows(&primary, "SELECT pg_switch_wal()").await;
        primary.simple_query("CHECKPOINT").await.expect("checkpoint");
    }
    wait_for(&primary, "SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'n1'", "lost").await;
    rows(&primary, "SELECT pg_drop_replication_slot('n1')").await;
}

/// Without a slot WAL goes, and the standby cannot go on.
pub async fn removed_wal<O: Operations>(pg: &O) {
    let primary = cluster(pg, 1).await;
    pg.stop(1, Stop::Fast).await;
    for id in 0..3 {
        primary.simple_query(&format!("INSERT INTO t VALUES ({id})")).await.expect("inserted");
        rows(&primary, "SELECT pg_switch_wal()").await;
        primary.simple_query("CHECKPOINT").await.expect("checkpoint");
    }
    pg.start(1).await;
    let standby = pg.connect(1).await.expect("hot standby");
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(value(&standby, "SELECT count(*) FROM t").await, "0");
    assert_eq!(value(&standby, "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'").await, "0");
}

/// A paused standby receives and does not replay.
pub async fn replay_pause<O: Operations>(pg: &O) {
    let primary = cluster(pg, 1).await;
    let standby = pg.connect(1).await.expect("hot standby");
    rows(&standby, "SELECT pg_wal_replay_pause()").await;
    primary.simple_query("INSERT INTO t VALUES (1)").await.expect("inserted");
    let lsn = value(&primary, "SELECT pg_current_wal_lsn()").await;
    wait_for(&standby, "SELECT pg_last_wal_receive_lsn()", &lsn).await;
    assert_eq!(value(&standby, "SELECT count(*) FROM t").await, "0");
    assert_eq!(value(&standby, "SELECT pg_is_wal_replay_paused()").await, "t");
    rows(&standby, "SELECT pg_wal_replay_resume()").await;
    wait_for(&standby, "SELECT count(*) FROM t", "1").await;
}

/// `pg_basebackup` wants an empty directory and a server that answers.
pub async fn backup_refused<O: Operations>(pg: &O) {
    cluster(pg, 0).await;
    pg.basebackup(0, 1).await.expect("an empty directory");
    let occupied = pg.basebackup(0, 1).await.expect_err("occupied");
    assert!(occupied.contains("exists but is not empty"), "{occupied}");
    pg.stop(0, Stop::Fast).await;
    assert!(pg.basebackup(0, 2).await.is_err(), "nobody answers");
}
