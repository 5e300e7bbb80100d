//! A user's own `patroni.yml`: taken as Patroni takes it, with a warning for every wart.

use std::path::{Path, PathBuf};

use pgdrill_lab::scenario::{SynchronousMode, load_text, use_patroni_file};

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
    assert_eq!(parameters["shared_buffers"], "4GB");
    assert!(settings.postgresql.pg_hba.is_empty(), "the user's networks are not the lab's");
}

#[test]
fn times_that_break_the_rule_are_adjusted_as_patroni_does() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("patroni.yml");
    let mut scenario = load_text(Path::new("drill.yaml"), &format!("{HEAD}duration: 10s\n")).expect("right").scenario;
    for (dcs, expected) in [
        ("{ ttl: 30, loop_wait: 20, retry_timeout: 10 }", (30, 10, 10)),
        ("{ ttl: 20, loop_wait: 10, retry_timeout: 10 }", (20, 2, 9)),
        ("{ ttl: 5, loop_wait: 1, retry_timeout: 3 }", (20, 1, 3)),
        ("{ ttl: 30, loop_wait: 10, retry_timeout: 10 }", (30, 10, 10)),
    ] {
        std::fs::write(&file, format!("bootstrap:\n  dcs: {dcs}\n")).expect("a file");
        let warnings = use_patroni_file(&mut scenario, &file).expect("warnings only");
        let used = &scenario.cluster.patroni;
        assert_eq!((used.ttl, used.loop_wait, used.retry_timeout), expected, "{dcs}");
        let timing = warnings.iter().any(|warning| warning.field.starts_with("bootstrap.dcs"));
        assert_eq!(timing, !dcs.contains("ttl: 30, loop_wait: 10"), "{dcs}: {warnings:?}");
    }
}
