//! The SQL that can be asked.

use super::operations::{Operations, cluster, error_code, rows, value};

/// What high-availability tools ask.
pub async fn answers<O: Operations>(pg: &O) {
    let client = cluster(pg, 0).await;
    for (sql, expected) in [
        ("SELECT pg_catalog.pg_is_in_recovery()", "f"),
        ("SELECT CASE WHEN pg_is_in_recovery() THEN 0 ELSE 7 END", "7"),
        ("SELECT ('x' || pg_catalog.substr('00000002000000000000000A', 1, 8))::bit(32)::int", "2"),
        ("SELECT pg_wal_lsn_diff('0/20', '0/10')::bigint", "16"),
        ("SELECT COALESCE(pg_last_wal_receive_lsn(), '0/0')::text", "0/0"),
        ("SELECT GREATEST(3, 9, 4)", "9"),
        ("SELECT current_setting('max_connections')", "100"),
        ("SELECT current_setting('no.such', true) IS NULL", "t"),
        ("SELECT setting FROM pg_settings WHERE name = 'wal_level'", "replica"),
        ("SELECT system_identifier > 0 FROM pg_control_system()", "t"),
        ("SELECT '0/3000000'::pg_lsn > '0/2FFFFFF'", "t"),
        ("SELECT max(id) FROM t", ""),
    ] {
        assert_eq!(value(&client, sql).await, expected, "{sql}");
    }
    let version = value(&client, "SHOW server_version_num").await;
    assert!(version.len() == 6 && version.starts_with(&pg.major().to_string()), "{version}");
    // The connection's own address, though the server listens on all: how a client behind a proxy learns whom it talks to.
    let address = value(&client, "SELECT inet_server_addr()::text").await;
    assert!(!address.is_empty() && !address.starts_with("0.0.0.0"), "{address}");
    client.simple_query("CREATE TABLE IF NOT EXISTS k (id int, v text)").await.expect("created");
    client.simple_query("INSERT INTO k (v, id) VALUES ('b', 2), ('a', 1), ('c', 1)").await.expect("inserted");
    assert_eq!(rows(&client, "SELECT v FROM k WHERE id = 1 ORDER BY v DESC").await, [["c"], ["a"]]);
    client.simple_query("BEGIN; INSERT INTO k VALUES (9, 'z'); ROLLBACK").await.expect("rolled back");
    client.simple_query("BEGIN; INSERT INTO k VALUES (3, 'y'); COMMIT").await.expect("committed");
    assert_eq!(value(&client, "SELECT count(*) FROM k").await, "4");
}

/// The extended protocol: types and parameters.
pub async fn prepared<O: Operations>(pg: &O) {
    let client = cluster(pg, 0).await;
    let row = client.query_one("SELECT pg_is_in_recovery(), 1::bigint AS one, 'x'::text", &[]).await.expect("a row");
    assert_eq!((row.get::<_, bool>(0), row.get::<_, i64>("one"), row.get::<_, &str>(2)), (false, 1, "x"));
    let inserted = client.execute("INSERT INTO t (id) VALUES ($1)", &[&42_i64]).await.expect("inserted");
    assert_eq!(inserted, 1);
    let row = client.query_one("SELECT max(id), count(*) FROM t", &[]).await.expect("a row");
    assert_eq!((row.get::<_, Option<i64>>(0), row.get::<_, i64>(1)), (Some(42), 1));
    let error = client.execute("INSERT INTO t VALUES (42)", &[]).await.expect_err("a duplicate");
    assert_eq!(error.code().map(|code| code.code()), Some("23505"));
    assert_eq!(value(&client, "SELECT 1").await, "1", "the connection goes on after an error");
}

/// Errors by SQLSTATE.
pub async fn refused<O: Operations>(pg: &O) {
    let client = cluster(pg, 0).await;
    for (sql, code) in [
        ("SELEKT", "42601"),
        ("SELECT * FROM missing", "42P01"),
        ("SELECT missing FROM t", "42703"),
        ("SELECT no_such_function()", "42883"),
        ("SELECT 'x'::int", "22P02"),
        ("SHOW no_such_parameter", "42704"),
        ("SELECT pg_wal_replay_pause()", "55000"),
    ] {
        assert_eq!(error_code(&client, sql).await, code, "{sql}");
    }
}
