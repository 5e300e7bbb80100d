//! What survives the end of a server, and how it ends.

use std::time::Duration;

use super::{
    operations::{Operations, Stop, cluster, error_code, value, wait_for_ending},
    session::Ending,
};

/// Commits survive a kill, an immediate and a fast shutdown; no timeline is begun by recovery.
pub async fn crash_keeps_commits<O: Operations>(pg: &O) {
    let primary = cluster(pg, 0).await;
    primary.simple_query("INSERT INTO t VALUES (1)").await.expect("inserted");
    for (count, how) in [(1, Stop::Kill), (2, Stop::Immediate), (3, Stop::Fast)] {
        pg.stop(0, how).await;
        pg.start(0).await;
        let again = pg.connect(0).await.expect("accepts");
        assert_eq!(value(&again, "SELECT count(*) FROM t").await, count.to_string(), "after {how:?}");
        assert_eq!(value(&again, "SELECT timeline_id FROM pg_control_checkpoint()").await, "1");
        again.simple_query(&format!("INSERT INTO t VALUES ({})", count + 1)).await.expect("inserted");
    }
}

/// A table's first row needs a page, and there is no space for one.
pub async fn disk_full<O: Operations>(pg: &O) {
    let primary = cluster(pg, 0).await;
    pg.fill_disk(0, true).await;
    assert_eq!(error_code(&primary, "INSERT INTO t VALUES (1)").await, "53100");
    pg.fill_disk(0, false).await;
    primary.simple_query("INSERT INTO t VALUES (1)").await.expect("inserted");
    assert_eq!(value(&primary, "SELECT count(*) FROM t").await, "1");
}

/// From `initdb` over production, recovery and a kill to a clean end; a promotion ends in production.
pub async fn control_states<O: Operations>(pg: &O) {
    let state = |node| pg.controldata(node, "Database cluster state");
    pg.initdb(0).await;
    assert_eq!(state(0).await, "shut down");
    pg.start(0).await;
    assert_eq!(state(0).await, "in production");
    pg.basebackup(0, 1).await.expect("copied");
    pg.follow(1, 0, "").await;
    pg.start(1).await;
    assert_eq!(state(1).await, "in archive recovery");
    pg.stop(1, Stop::Fast).await;
    assert_eq!(state(1).await, "shut down in recovery");
    assert_ne!(pg.controldata(1, "Minimum recovery ending location").await, "0/0");
    assert_eq!(pg.controldata(0, "Minimum recovery ending location").await, "0/0");
    pg.start(1).await;
    pg.stop(1, Stop::Kill).await;
    assert_eq!(state(1).await, "in archive recovery", "a kill changes nothing");
    pg.stop(0, Stop::Kill).await;
    assert_eq!(state(0).await, "in production");
    pg.start(0).await;
    pg.stop(0, Stop::Fast).await;
    assert_eq!(state(0).await, "shut down");
    let location = pg.controldata(0, "Latest checkpoint location").await;
    assert_eq!(location, pg.controldata(0, "Latest checkpoint's REDO location").await);
}

/// Sessions are told 57P01 in a fast shutdown, and after it nobody is there.
pub async fn shutdown_ends_sessions<O: Operations>(pg: &O) {
    cluster(pg, 0).await;
    let session = pg.open(0).await.expect("accepts");
    let (ending, ()) = tokio::join!(session.ending(), pg.stop(0, Stop::Fast));
    assert_eq!(ending, Ending::Code("57P01".into()));
    assert_eq!(pg.connect(0).await.err(), Some(Ending::Refused));
}

/// A smart shutdown waits for those who are there and lets nobody else in: 57P03.
pub async fn closing<O: Operations>(pg: &O) {
    let client = cluster(pg, 0).await;
    let while_it_waits = async {
        // The order may come a moment later.
        while let Ok(other) = pg.connect(0).await {
            drop(other);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        wait_for_ending(pg, 0, &Ending::Code("57P03".into())).await;
        client.simple_query("INSERT INTO t VALUES (1)").await.expect("whoever is there goes on");
        drop(client);
    };
    tokio::join!(pg.stop(0, Stop::Smart), while_it_waits);
    assert_eq!(pg.connect(0).await.err(), Some(Ending::Refused));
    assert_eq!(pg.controldata(0, "Database cluster state").await, "shut down");
}

/// Until a server can be read it says 57P03; a standby without `hot_standby` never can.
pub async fn starting<O: Operations>(pg: &O) {
    cluster(pg, 0).await;
    pg.basebackup(0, 1).await.expect("copied");
    pg.follow(1, 0, "").await;
    assert_eq!(pg.connect(1).await.err(), Some(Ending::Refused));
    pg.configure(1, &[("hot_standby", "off")]).await;
    pg.launch(1).await;
    wait_for_ending(pg, 1, &Ending::Code("57P03".into())).await;
    pg.stop(1, Stop::Fast).await;
    pg.configure(1, &[("hot_standby", "on")]).await;
    pg.start(1).await;
    let standby = pg.connect(1).await.expect("hot standby");
    assert_eq!(value(&standby, "SELECT pg_is_in_recovery()").await, "t");
}

/// An immediate shutdown and a kill end sessions too; whoever waits for an answer learns nothing.
pub async fn immediate_drops<O: Operations>(pg: &O) {
    cluster(pg, 0).await;
    for how in [Stop::Immediate, Stop::Kill] {
        let session = pg.open(0).await.expect("accepts");
        session.client.simple_query("BEGIN; INSERT INTO t VALUES (1)").await.expect("open");
        let (ending, ()) = tokio::join!(session.ending(), pg.stop(0, how));
        // At most a warning says why; a process that outlives its killed postmaster for a moment may still notice it.
        let noticed = matches!(how, Stop::Kill) && ending == Ending::Code("57P01".into());
        assert!(noticed || ending == Ending::Closed, "{how:?}: {ending:?}");
        assert_eq!(pg.connect(0).await.err(), Some(Ending::Refused), "{how:?}");
        pg.start(0).await;
        let again = pg.connect(0).await.expect("accepts");
        assert_eq!(value(&again, "SELECT count(*) FROM t").await, "0", "an open transaction leaves nothing: {how:?}");
    }
}
