//! A user's own `patroni.yml`: taken as Patroni takes it, with a warning for every wart.

use std::path::{Path, PathBuf};

use pgdrill_lab::scenario::{Fencing, SynchronousMode, WatchdogMode, load_text, use_patroni_file};

use super::HEAD;

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/patroni.yml")
}

fn scenario_with(patroni: &str) -> pgdrill_lab::scenario::Loaded {
    let path = fixture().with_file_name("drill.yaml");
    load_text(&path, &format!("{HEAD}cluster: {{ patroni: {patroni} }}\nduration: 100s\n")).expect("warnings only")
}

#[test]
fn every_wart_is_a_warning_with_its_reason() {
    let loaded = scenario_with("{ file: patroni.yml }");
    let lines: Vec<String> = loaded
        .warnings
        .iter()
        .map(|warning| {
            warning.to_string().replace(&format!("{}/", fixture().parent().expect("a folder").display()), "")
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn no_password_is_shown() {
    for warning in scenario_with("{ file: patroni.yml }").warnings {
        let shown = format!("{warning} {} {:?}", warning.excerpt, warning.report());
        assert!(!shown.contains("not-a-real-one"), "{shown}");
    }
}

#[test]
fn settings_of_the_file_are_taken_and_inline_ones_are_over_them() {
    let settings = scenario_with("{ file: patroni.yml, ttl: 60, synchronous_mode: quorum }").scenario.cluster.patroni;
    assert_eq!((settings.ttl, settings.loop_wait, settings.scope.as_str()), (60, 10, "orders"));
    assert_eq!(settings.synchronous_mode, SynchronousMode::Quorum);
    assert_eq!(settings.namespace, "prod");
    assert!(!settings.data_checksums && settings.postgresql.use_pg_rewind);
    let parameters = &settings.postgresql.parameters;
    assert!(!parameters.contains_key("max_connections"), "it comes from the DCS only");
    assert!(!parameters.contains_key("wal_keep_segments"), "PostgreSQL would not start with it");
    assert_eq!(parameters["wal_keep_size"], "256MB", "16 segments, as Patroni takes them");
    assert!(!parameters.contains_key("shared_buffers"), "the user's memory is not the lab's");
    assert!(settings.postgresql.pg_hba.is_empty(), "the user's networks are not the lab's");
}

#[test]
fn times_that_break_the_rule_are_adjusted_as_patroni_does() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("patroni.yml");
    let mut scenario = load_text(Path::new("drill.yaml"), &format!("{HEAD}duration: 10s\n")).expect("right").scenario;
    for (dcs, expected) in [
        ("{ ttl: 30, loop_wait: 20, retry_timeout: 10 }", (30, 10, 10)),
        ("{ ttl: 20, loop_wait: 10, retry_timeout: 10 }", (20, 1, 9)),
        ("{ ttl: 5, loop_wait: 1, retry_timeout: 3 }", (20, 1, 3)),
        ("{ ttl: 30, loop_wait: 10, retry_timeout: 10 }", (30, 10, 10)),
    ] {
        std::fs::write(&file, format!("bootstrap:\n  dcs: {dcs}\n")).expect("a file");
        let warnings = use_patroni_file(&mut scenario, &file).expect("warnings only").warnings;
        let used = &scenario.cluster.patroni;
        assert_eq!((used.ttl, used.loop_wait, used.retry_timeout), expected, "{dcs}");
        let timing = warnings.iter().any(|warning| warning.field.starts_with("bootstrap.dcs"));
        assert_eq!(timing, !dcs.contains("ttl: 30, loop_wait: 10"), "{dcs}: {warnings:?}");
    }
}

#[test]
fn numbers_and_switches_may_be_written_as_text() {
    let mut scenario = load_text(Path::new("drill.yaml"), &format!("{HEAD}duration: 10s\n")).expect("right").scenario;
    let file = use_patroni_file(&mut scenario, &fixture().with_file_name("quoted.yml")).expect("warnings only");
    let used = &scenario.cluster.patroni;
    assert_eq!((used.ttl, used.loop_wait, used.retry_timeout), (40, 5, 7));
    assert_eq!((used.synchronous_mode, used.synchronous_mode_strict), (SynchronousMode::On, true));
    assert_eq!((used.synchronous_node_count, used.failsafe_mode), (2, true));
    assert_eq!((used.maximum_lag_on_failover, used.primary_start_timeout), (10_485_760, 300));
    assert!(used.postgresql.use_pg_rewind && used.postgresql.use_slots && used.data_checksums);
    let said: Vec<String> =
        file.warnings.iter().filter(|w| w.field.starts_with("bootstrap")).map(|w| w.to_string()).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("Patroni takes no unit here, and 300 is used instead"), "{said:?}");
}

/// What a scenario with these lines comes to with a file that has these.
fn with_file(cluster: &str, patroni_yml: &str) -> (pgdrill_lab::scenario::Cluster, Option<String>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("patroni.yml");
    std::fs::write(&file, patroni_yml).expect("a file");
    let text = format!("{HEAD}cluster: {cluster}\nduration: 100s\n");
    let mut scenario = load_text(Path::new("drill.yaml"), &text).expect("right").scenario;
    let with = use_patroni_file(&mut scenario, &file).expect("warnings only");
    (scenario.cluster, with.does_not_apply)
}

#[test]
fn what_the_scenario_says_itself_counts_over_the_file() {
    let file =
        "bootstrap: { dcs: { ttl: 60, loop_wait: 15, maximum_lag_on_failover: 33554432, synchronous_mode: 'on' } }\n";
    let own = "{ patroni: { maximum_lag_on_failover: 4KiB, synchronous_mode: true } }";
    let (cluster, does_not_apply) = with_file(own, file);
    assert_eq!(does_not_apply, None);
    assert_eq!((cluster.patroni.ttl, cluster.patroni.loop_wait), (60, 15), "the file's");
    assert_eq!(cluster.patroni.maximum_lag_on_failover, 4096, "what the scenario is about");
    assert!(!cluster.patroni.postgresql.use_pg_rewind, "a file without it has Patroni's default, not a scenario's");
}

#[test]
fn a_scenario_about_a_mode_does_not_apply_to_a_file_that_has_it_otherwise() {
    let dcs = |settings: &str| format!("bootstrap: {{ dcs: {{ {settings} }} }}\n");
    let cases = [
        (
            "{ patroni: { synchronous_mode: true } }",
            dcs("ttl: 30"),
            "it is about synchronous_mode: on, and the file has off",
        ),
        (
            "{ patroni: { synchronous_mode: true } }",
            dcs("synchronous_mode: quorum"),
            "it is about synchronous_mode: on, and the file has quorum",
        ),
        (
            "{ patroni: { synchronous_mode: off } }",
            dcs("synchronous_mode: 'yes'"),
            "it is about synchronous_mode: off, and the file has on",
        ),
        (
            "{ patroni: { failsafe_mode: true } }",
            dcs("failsafe_mode: no"),
            "it is about failsafe_mode: on, and the file has off",
        ),
        (
            "{ watchdog: off }",
            "watchdog: { mode: required }\n".into(),
            "it shows what happens without a watchdog, and the file requires one",
        ),
        (
            "{ watchdog: required }",
            "watchdog: { mode: off }\n".into(),
            "it shows what a watchdog does, and the file has watchdog.mode: off",
        ),
        (
            "{ fencing: automatic }",
            "pgdrill: { fencing: { mode: off } }\n".into(),
            "it shows what the dead-man process does, and the file has pgdrill.fencing.mode: off",
        ),
        (
            "{ fencing: off }",
            "pgdrill: { fencing: { mode: required } }\n".into(),
            "it shows what happens without the dead-man process, and the file requires it",
        ),
    ];
    for (own, file, why) in cases {
        assert_eq!(with_file(own, &file).1.as_deref(), Some(why), "{own} {file}");
    }
    for (own, file) in [
        ("{}", dcs("synchronous_mode: on")),
        ("{ patroni: { synchronous_mode: true } }", dcs("synchronous_mode: 'On'")),
        ("{ watchdog: required }", "watchdog: { mode: automatic }\n".into()),
        ("{ watchdog: off }", "watchdog: { mode: automatic }\n".into()),
    ] {
        assert_eq!(with_file(own, &file).1, None, "{own} {file}");
    }
}

#[test]
fn nodes_get_a_watchdog_device_when_the_file_requires_one() {
    let (cluster, _) = with_file("{ nodes: 3 }", "watchdog: { mode: required, safety_margin: '-1' }\n");
    assert!(cluster.node_names().iter().all(|node| cluster.has_watchdog_device(node)));
    assert_eq!((cluster.watchdog_mode(), cluster.patroni.watchdog.safety_margin), (WatchdogMode::Required, -1));
    let (cluster, _) = with_file("{ nodes: 3 }", "watchdog: { mode: automatic }\n");
    assert!(!cluster.has_watchdog_device("pg1"), "whether there is one the file does not say");
    let (cluster, _) = with_file("{ nodes: 3 }", "pgdrill: { fencing: { mode: required } }\n");
    assert_eq!(cluster.fencing_mode(), Fencing::Required);
}
