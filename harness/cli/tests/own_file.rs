//! `pgdrill run --patroni FILE`: the whole library with a user's own settings. A scenario passes or does not apply; where one fails for
//! what the file says, that is said.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios");

/// A failover that takes as long as the lease.
const LOST: &str = "\
name: lost
about: Another node leads within a minute.
timeline:
  - { at: 20s, power_off: leader }
expect: { outage: { max: 60s }, end: writable }
duration: 180s
";

/// Exit code, standard output, standard error.
fn pgdrill(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgdrill"));
    let said = command.current_dir(folder).env("NO_COLOR", "1").args(arguments).output().expect("it can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (said.status.code(), text(&said.stdout), text(&said.stderr))
}

/// Plays the library with a file; which scenarios do not apply, by the reason.
fn not_applicable(file: &str) -> String {
    let file = format!("{}/tests/files/{file}", env!("CARGO_MANIFEST_DIR"));
    let arguments = ["run", SCENARIOS, "--patroni", &file, "--seed", "0", "--quiet", "--json", "-"];
    let (code, json, told) = pgdrill(Path::new("."), &arguments);
    let summary: Value = serde_json::from_str(&json).unwrap_or_else(|why| panic!("{why}: {json}\n{told}"));
    let runs = summary["runs"].as_array().expect("a list of runs");
    let named = |ending: &str| -> Vec<&str> {
        let of = runs.iter().filter(|run| run["ending"] == ending);
        of.filter_map(|run| run["scenario"].as_str()).collect()
    };
    let (passed, others) = (named("pass"), named("does not apply"));
    assert_eq!((code, passed.len() + others.len()), (Some(0), runs.len()), "{told}");
    assert!(passed.len() > others.len(), "most of the library says something about any cluster: {others:?}");
    let lines: Vec<&str> = told.lines().filter(|line| line.contains(" not apply: ")).collect();
    for scenario in others {
        assert!(lines.iter().any(|line| line.contains(scenario)), "{scenario} is not named: {told}");
    }
    lines.join("\n")
}

#[test]
fn the_library_with_a_file_that_requires_a_watchdog() {
    insta::assert_snapshot!(not_applicable("watchdog.yml"));
}

#[test]
fn the_library_with_a_synchronous_file_whose_values_are_in_quotes() {
    insta::assert_snapshot!(not_applicable("synchronous.yml"));
}

#[test]
fn a_budget_for_commits_that_wait_for_nobody_does_not_blame_a_file_with_two_synchronous_standbys() {
    let (file, folder) = ("tests/files/two-synchronous.yml", Path::new(env!("CARGO_MANIFEST_DIR")));
    let network = format!("{SCENARIOS}/network");
    // Seeds whose losses hold a commit up for more than the budget where it waits for two standbys (6) or for one (7).
    let seeds = ["run", network.as_str(), "--seeds", "6..8", "--quiet"];
    let (code, out, told) = pgdrill(folder, &[&seeds[..], &["--patroni", file]].concat());
    let said = format!("{out}{told}").split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(code, Some(0), "{said}");
    let why = "lossy-between-nodes, network/slow-between-nodes do not apply: it is about synchronous_mode: off, and the file has on";
    assert!(said.contains(why), "{said}");
    let (code, _, told) = pgdrill(folder, &seeds);
    assert_eq!(code, Some(0), "without the file the budget counts: {told}");
}

#[test]
fn a_run_that_fails_for_a_setting_of_the_file_names_the_setting() {
    let lab = tempfile::tempdir().expect("a folder");
    let folder = lab.path();
    fs::write(folder.join("lost.yaml"), LOST).expect("written");
    let file = "scope: shop\nbootstrap:\n  dcs: { ttl: 120, loop_wait: 20, retry_timeout: 30, maximum_lag_on_failover: 1 }\n\
                watchdog: { mode: off }\n";
    fs::write(folder.join("patroni.yml"), file).expect("written");
    let (code, out, told) = pgdrill(folder, &["run", "lost.yaml", "--patroni", "patroni.yml", "--seed", "1"]);
    let said = format!("{out}{told}").split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(code, Some(1), "{said}");
    let why = "because of your file: ttl 120 instead of 30, loop_wait 20 instead of 10, retry_timeout 30 instead of 10";
    assert!(said.contains("outage_over_budget") && said.contains(why), "{said}");
    assert!(!said.contains("maximum_lag_on_failover 1 instead"), "that is not why: {said}");
    let (code, ..) = pgdrill(folder, &["run", "lost.yaml", "--seed", "1", "--quiet"]);
    assert_eq!(code, Some(0), "without the file it passes");
}

#[test]
fn a_cluster_that_does_not_come_up_says_why_once() {
    let lab = tempfile::tempdir().expect("a folder");
    let folder = lab.path();
    fs::write(folder.join("lost.yaml"), LOST).expect("written");
    fs::write(folder.join("again.yaml"), LOST.replace("name: lost", "name: again")).expect("written");
    let file =
        "scope: shop\nbootstrap:\n  dcs:\n    postgresql:\n      parameters: { synchronous_standby_names: nobody }\n";
    fs::write(folder.join("patroni.yml"), file).expect("written");
    let (code, out, told) =
        pgdrill(folder, &["run", "lost.yaml", "again.yaml", "--patroni", "patroni.yml", "--seeds", "0..3"]);
    let said = format!("{out}{told}");
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(said.matches("reproduce: ").count(), 2, "once explained, once at the end: {said}");
    assert!(said.contains("5 more runs not played for a reason that is told above"), "{said}");
}

#[test]
fn what_stands_in_quotes_is_played_as_patroni_reads_it_and_what_is_replaced_is_told() {
    let lab = tempfile::tempdir().expect("a folder");
    let folder = lab.path();
    let quiet = "name: quiet\nabout: Nothing happens.\nworkload: { writers: 1, rate: 1/s, readers: 0 }\nduration: 5s\n";
    fs::write(folder.join("quiet.yaml"), quiet).expect("written");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files/synchronous.yml");
    let (code, events, told) =
        pgdrill(folder, &["run", "quiet.yaml", "--patroni", file, "--seed", "0", "--events", "-"]);
    assert_eq!(code, Some(0), "{told}");
    let config = events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let config =
        config.filter(|event| event["key"] == "config").find_map(|event| Some(event["value"].as_str()?.to_owned()));
    let config: Value = serde_json::from_str(&config.expect("the configuration was seen")).expect("it is JSON");
    for (setting, right) in [
        ("ttl", Value::from(40)),
        ("loop_wait", Value::from(5)),
        ("retry_timeout", Value::from(7)),
        ("synchronous_mode", Value::from(true)),
        ("synchronous_mode_strict", Value::from(true)),
        ("synchronous_node_count", Value::from(2)),
        ("failsafe_mode", Value::from(true)),
        ("maximum_lag_on_failover", Value::from(10_485_760)),
        ("primary_start_timeout", Value::from(300)),
    ] {
        assert_eq!(config[setting], right, "{setting}: {config}");
    }
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("max_connections: found \"20\"") && told.contains("100 is used instead"), "{told}");
}

#[test]
fn a_file_that_is_too_small_for_one_large_cluster_plays_the_others_and_one_that_is_for_all_is_refused() {
    let lab = tempfile::tempdir().expect("a folder");
    let folder = lab.path();
    let large = LOST.replace("name: lost", "name: large").replace("timeline:", "cluster: { nodes: 7 }\ntimeline:");
    for (name, text) in [("lost", LOST), ("large", &large)] {
        fs::write(folder.join(format!("{name}.yaml")), text).expect("written");
    }
    let dcs = "{ postgresql: { parameters: { max_wal_senders: 4 } } }";
    fs::write(folder.join("patroni.yml"), format!("bootstrap: {{ dcs: {dcs} }}\n")).expect("written");
    let with = |command: &[&str], files: &[&str]| {
        let (code, out, told) = pgdrill(folder, &[command, files, &["--patroni", "patroni.yml"]].concat());
        (code, format!("{out}{told}").split_whitespace().collect::<Vec<_>>().join(" "))
    };
    for command in [&["run", "--seed", "1"][..], &["scenario", "check"]] {
        let (code, said) = with(command, &["lost.yaml", "large.yaml"]);
        assert_eq!(code, Some(0), "{command:?}: {said}");
        let why = "large does not apply: max_wal_senders: 4 in a cluster of 7 nodes";
        assert!(said.contains(why), "{command:?}: {said}");
        let (code, said) = with(command, &["large.yaml"]);
        assert_eq!(code, Some(2), "{command:?}: {said}");
        assert!(said.contains("found max_wal_senders: 4 in a cluster"), "{command:?}: {said}");
    }
}
