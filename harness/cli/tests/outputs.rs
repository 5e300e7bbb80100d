//! What a command leaves in files: whole, each for itself, and never green when it was interrupted.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

const QUIET_DAY: &str = "\
name: quiet-day
about: Nothing happens and nothing may break.
cluster: { nodes: 1, etcd: 1, router: direct }
workload: { writers: 1, rate: 2/s, readers: 0 }
duration: 10s
";

/// Longest wait for something that must come: a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(240);

struct Lab(tempfile::TempDir);

impl Lab {
    fn new() -> Self {
        let lab = Self(tempfile::tempdir().expect("a temporary folder"));
        lab.write("calm/quiet-day.yaml", QUIET_DAY);
        lab
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("can be made");
        fs::write(path, text).expect("can be written");
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_else(|why| panic!("{file}: {why}"))
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgdrill"));
        command.current_dir(self.0.path()).args(arguments.split(' ')).env_remove("NO_COLOR");
        command
    }

    fn run(&self, arguments: &str) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("it can be started");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints UTF-8");
        (status.code(), text(stdout), text(stderr))
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LIMIT, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status();
    assert!(sent.expect("there is a `kill`").success(), "it still runs");
}

fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn an_interrupted_sweep_says_so_in_every_output_and_is_never_green() {
    let lab = Lab::new();
    lab.write("out.xml", "of the sweep before");
    let sweep = "run calm --seeds 0..100000 --jobs 1 --junit out.xml --json out.json --events events";
    let mut command = lab.command(sweep);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be started");
    let events = || files(&lab.path("events")).iter().filter(|name| name.ends_with(".jsonl")).count();
    until("it plays", || events() >= 3);
    assert_eq!(lab.read("out.xml"), "of the sweep before", "the file is the old one until the new one is whole");
    interrupt(&child);
    let Output { status, stdout, .. } = child.wait_with_output().expect("it ends");
    assert_eq!(status.code(), Some(130));

    let summary: serde_json::Value = serde_json::from_str(&lab.read("out.json")).expect("it is JSON");
    let played = summary["played"].as_u64().expect("a number");
    assert_eq!(summary["runs"].as_array().map(Vec::len), Some(played as usize));
    assert_eq!((&summary["interrupted"], &summary["planned"]), (&true.into(), &100_000.into()), "{played}");
    assert_eq!((&summary["verdict"], &summary["exit_code"]), (&"unknown".into(), &130.into()), "{played}");

    let told = format!("interrupted: {played} of 100000 runs were played");
    let junit = lab.read("out.xml");
    let root = junit.lines().find(|line| line.starts_with("<testsuites")).expect("a root");
    assert!(root.contains(r#"errors="1""#) && junit.contains(&told), "{junit}");
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    assert!(stdout.contains(&told), "{stdout}");
    let events: serde_json::Value = serde_json::from_str(&lab.read("events/interrupted.json")).expect("it is JSON");
    assert_eq!((&events["played"], &events["planned"]), (&summary["played"], &summary["planned"]));
    assert_eq!(files(lab.0.path()), ["calm", "events", "out.json", "out.xml"], "no drafts are left");
}

#[test]
fn two_options_with_one_file_are_refused_before_anything_is_played() {
    let lab = Lab::new();
    for arguments in [
        "run calm --junit out --json ./out",
        "run calm --json calm/quiet-day.yaml",
        "run calm --json - --junit -",
        "run calm --seeds 0..2 --events -",
        "run calm --junit no/such/folder/out.xml --json calm",
        "compare calm/quiet-day.yaml --worlds sim --json out --html out",
    ] {
        let (code, stdout, stderr) = lab.run(arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments}: {stderr}");
        assert!(stderr.contains("error: --"), "{arguments}: {stderr}");
        assert_eq!(files(lab.0.path()), ["calm"], "{arguments}");
    }
    assert_eq!(lab.read("calm/quiet-day.yaml"), QUIET_DAY);
}

#[test]
fn what_cannot_be_written_keeps_no_other_output_from_being_written() {
    let lab = Lab::new();
    lab.write("events.d/calm-quiet-day.seed-1.jsonl/x", "a folder is in the way");
    let (code, _, stderr) = lab.run("run calm --seeds 1..3 --events events.d --json out.json --junit out.xml");
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("cannot write events.d/calm-quiet-day.seed-1.jsonl"), "{stderr}");
    assert!(lab.read("out.json").contains("pgdrill-summary-1") && lab.read("out.xml").contains("seed 2"));
    assert!(lab.read("events.d/calm-quiet-day.seed-2.jsonl").contains("pgdrill-events-1"));
}

#[test]
fn a_document_on_standard_output_stands_there_alone() {
    let lab = Lab::new();
    let (code, stdout, stderr) = lab.run("run calm --json -");
    let summary: serde_json::Value = serde_json::from_str(&stdout).unwrap_or_else(|why| panic!("{why}: {stdout}"));
    assert_eq!((code, &summary["exit_code"]), (Some(0), &0.into()));
    assert!(stderr.contains("calm/quiet-day") && stderr.contains("1 run of 1 scenario"), "people read: {stderr}");
    let (_, stdout, _) = lab.run("run calm --events -");
    let header: serde_json::Value = serde_json::from_str(stdout.lines().next().expect("a line")).expect("it is JSON");
    let fields = ["format", "unit", "scenario", "seed"].map(|name| header[name].to_string());
    assert_eq!(fields, ["\"pgdrill-events-1\"", "\"ns\"", "\"calm/quiet-day\"", "1"]);
    let (code, stdout, _) = lab.run("compare calm/quiet-day.yaml --worlds sim --seeds 0..2 --json -");
    let comparison: serde_json::Value = serde_json::from_str(&stdout).unwrap_or_else(|why| panic!("{why}: {stdout}"));
    assert_eq!((code, &comparison["interrupted"]), (Some(0), &serde_json::Value::Null));
}

#[test]
fn compare_says_once_what_a_machine_lacks_and_plays_nothing() {
    let lab = Lab::new();
    let mut command = lab.command("compare calm/quiet-day.yaml --times 10 --json out.json");
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let Output { status, stdout, stderr } = command.output().expect("it can be started");
    let told = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(3), "{told}");
    assert_eq!(told.matches("no Docker daemon answers").count(), 1, "{told}");
    assert!(told.lines().count() < 8 && !lab.path("out.json").exists(), "{told}");
}

#[test]
fn of_a_folder_what_is_a_scenario_is_played_and_the_rest_is_named() {
    let lab = Lab::new();
    lab.write("calm/patroni.yml", "scope: demo\nname: pg1\netcd3: { hosts: 10.0.0.1:2379 }\n");
    lab.write("calm/ci/workflow.yaml", "name: tests\non: [push]\njobs: {}\n");
    lab.write("calm/chart.yaml", "{{- if .Values.enabled }}\nkind: Job\n{{- end }}\n");
    let (code, stdout, stderr) = lab.run("run calm");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("1 run of 1 scenario"), "{stdout}");
    for file in ["calm/patroni.yml", "calm/ci/workflow.yaml", "calm/chart.yaml"] {
        assert!(stderr.contains(file), "{file}: {stderr}");
    }
    // What its author may have meant for a scenario is no reason to be silent.
    lab.write("calm/broken.yaml", "name: broken\nabout: It has a mistake.\nduration: [\n");
    let (code, _, stderr) = lab.run("run calm");
    assert_eq!(code, Some(2));
    assert!(stderr.contains("broken.yaml"), "{stderr}");
    // Named, it is taken whatever it is.
    let (code, _, stderr) = lab.run("run calm/patroni.yml");
    assert_eq!(code, Some(2));
    assert!(stderr.contains("patroni.yml"), "{stderr}");
}
