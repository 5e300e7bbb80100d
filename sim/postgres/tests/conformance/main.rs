//! The conformance suite on the model, and what only the model can be made to show.

mod model;

use std::time::Duration;

use model::Model;
use pgdrill_sim_postgres::{
    Version,
    conformance::{
        durability,
        operations::{Operations, Stop, cluster, error_code, value},
        sql, streaming, synchronous, timelines,
    },
    for_each_conformance_body,
};

/// Runs each body against the model on loopback.
macro_rules! on_the_model {
    ($($body:path as $name:ident, $nodes:literal;)*) => { $(
        #[tokio::test]
        async fn $name() {
            let limit = Duration::from_secs(60);
            let pg = Model::new($nodes);
            tokio::time::timeout(limit, $body(&pg)).await.expect("ends in time");
        }
    )* };
}

for_each_conformance_body!(on_the_model);

#[tokio::test]
async fn what_differs_between_versions_is_in_the_model() {
    for version in Version::ALL {
        sql::answers(&Model::of(version, 1)).await;
        timelines::promote(&Model::of(version, 2)).await;
    }
}

#[tokio::test]
async fn unsynced_wal_is_lost_with_the_power() {
    let pg = &Model::new(1);
    let primary = cluster(pg, 0).await;
    primary.simple_query("INSERT INTO t VALUES (1)").await.expect("acknowledged");
    pg.dir(0).set_fsync_delay(Duration::from_secs(60));
    let unacknowledged = primary.simple_query("INSERT INTO t VALUES (2)");
    assert!(tokio::time::timeout(Duration::from_millis(200), unacknowledged).await.is_err(), "it waits for its fsync");
    pg.dir(0).power_loss();
    pg.stop(0, Stop::Kill).await;
    pg.dir(0).set_fsync_delay(Duration::ZERO);
    pg.start(0).await;
    let again = pg.connect(0).await.expect("accepts");
    assert_eq!(value(&again, "SELECT count(*) FROM t").await, "1");
}

/// The model finds conflicts of open transactions at their commit, where PostgreSQL lets the second one wait for the
/// first: what another session did meanwhile is not overwritten by a transaction block.
#[tokio::test]
async fn a_conflict_is_found_at_commit() {
    let pg = &Model::new(1);
    let client = cluster(pg, 0).await;
    client.simple_query("CREATE TABLE k (id int, v text)").await.expect("created");
    let other = pg.connect(0).await.expect("accepts");
    client.simple_query("BEGIN; INSERT INTO t VALUES (1); INSERT INTO k VALUES (5, 'x')").await.expect("open");
    other.simple_query("INSERT INTO t VALUES (1)").await.expect("first");
    assert_eq!(error_code(&client, "COMMIT").await, "23505");
    client.simple_query("BEGIN; INSERT INTO k VALUES (6, 'x')").await.expect("open");
    other.simple_query("DROP TABLE k").await.expect("dropped");
    assert_eq!(error_code(&client, "COMMIT").await, "42P01");
}

/// What is not understood is refused by name, never answered wrongly.
#[tokio::test]
async fn sql_that_the_model_does_not_know_is_refused() {
    let pg = &Model::new(1);
    let client = cluster(pg, 0).await;
    for sql in ["SELECT * FROM t JOIN t u ON true", "UPDATE t SET id = 1"] {
        assert_eq!(error_code(&client, sql).await, "0A000", "{sql}");
    }
}
