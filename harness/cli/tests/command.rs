//! The command as scripts and people meet it: exit codes, what goes to which stream, help.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

const QUIET_DAY: &str = "\
name: quiet-day
about: Nothing happens and nothing may break.
workload: { writers: 1, rate: 2/s, readers: 0 }
duration: 20s
";

/// A folder of its own with one good scenario in it.
struct Lab(tempfile::TempDir);

impl Lab {
    fn new() -> Self {
        let lab = Self(tempfile::tempdir().expect("a temporary folder"));
        lab.write("calm/quiet-day.yaml", QUIET_DAY);
        lab
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("can be made");
        fs::write(path, text).expect("can be written");
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgdrill"));
        command.current_dir(self.0.path()).args(arguments).env_remove("NO_COLOR").env("COLUMNS", "100");
        command
    }

    fn pgdrill(&self, arguments: &[&str]) -> Done {
        Done::of(self.command(arguments).output().expect("it can be started"))
    }
}

struct Done {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Done {
    fn of(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it prints UTF-8");
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

fn json(file: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(file).expect("it was written")).expect("it is JSON")
}

#[test]
fn help_tells_the_exit_codes_and_every_command_has_examples() {
    let lab = Lab::new();
    let help = lab.pgdrill(&["--help"]).expect(0).stdout;
    insta::assert_snapshot!("help", help);
    insta::assert_snapshot!("help_run", lab.pgdrill(&["run", "--help"]).expect(0).stdout);
    insta::assert_snapshot!("help_scenario", lab.pgdrill(&["scenario", "--help"]).expect(0).stdout);
    for command in ["check", "schema", "list"] {
        let help = lab.pgdrill(&["scenario", command, "--help"]).expect(0).stdout;
        assert!(help.contains(&format!("pgdrill scenario {command}")) && help.contains("Example"), "{help}");
    }
}

#[test]
fn wrong_usage_exits_with_2_and_prints_nothing_to_standard_output() {
    let lab = Lab::new();
    let cases: [(&[&str], &str); 8] = [
        (&[], "Usage: pgdrill"),
        (&["run"], "PATH"),
        (&["run", "calm", "--seeds", "9..1"], "has no seeds"),
        (&["run", "calm", "--seed", "1", "--seeds", "0..2"], "cannot be used with"),
        (&["run", "no-such.yaml"], "error: no-such.yaml: "),
        (&["run", "calm", "--only", "storm"], "no scenario has `storm` in its name"),
        (&["run", "calm", "--world", "smi"], "there is no world `smi`"),
        (&["run", "calm", "--logs", "logs"], "--logs keeps the logs of real servers"),
    ];
    for (arguments, message) in cases {
        let done = lab.pgdrill(arguments).expect(2);
        assert!(done.stderr.contains(message), "{arguments:?}: {}", done.stderr);
        assert_eq!(done.stdout, "", "{arguments:?}");
    }
}

#[test]
fn no_docker_is_said_with_what_to_do_and_nothing_is_played() {
    let lab = Lab::new();
    let mut command = lab.command(&["run", "calm", "--world", "containers"]);
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let done = Done::of(command.output().expect("it can be started")).expect(3);
    assert!(done.stdout.contains("no Docker daemon answers at unix:///nowhere/docker.sock"), "{}", done.stdout);
    assert!(done.stdout.contains("DOCKER_HOST"), "{}", done.stdout);
}

#[test]
fn every_problem_of_every_file_is_told_at_once_and_nothing_is_played() {
    let lab = Lab::new();
    lab.write("bad/one.yaml", "name: one\nabout: Broken.\nduraton: 20s\n");
    lab.write("bad/two.yaml", "name: two\nabout: Broken too.\nduration: 20 parsecs\n");
    let done = lab.pgdrill(&["run", "calm", "bad"]).expect(2);
    assert!(done.stderr.contains("duraton") && done.stderr.contains("parsecs"), "{}", done.stderr);
    assert_eq!(done.stdout, "");
    assert!(!done.stderr.contains('\u{1b}'), "no colours in a pipe:\n{}", done.stderr);
}

#[test]
fn scenarios_are_checked_and_listed_without_being_played() {
    let lab = Lab::new();
    assert_eq!(lab.pgdrill(&["scenario", "check", "calm"]).expect(0).stdout, "1 scenario can be played\n");
    let list = lab.pgdrill(&["scenario", "list", "calm"]).expect(0).stdout;
    assert_eq!(list, "calm/quiet-day  Nothing happens and nothing may break.\n");
}

#[test]
fn the_schema_is_json() {
    let schema = Lab::new().pgdrill(&["scenario", "schema"]).expect(0).stdout;
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("it is JSON");
    assert!(schema["properties"]["timeline"].is_object(), "{schema}");
}

#[test]
fn events_of_several_runs_are_refused_a_single_file_before_anything_is_played() {
    let lab = Lab::new();
    lab.write("events.jsonl", "");
    let done = lab.pgdrill(&["run", "calm", "--seeds", "0..2", "--events", "events.jsonl"]).expect(2);
    assert!(done.stderr.contains("the events of 2 runs need a folder"), "{}", done.stderr);
}

#[test]
fn a_run_is_judged_and_leaves_the_documents_that_were_asked_for() {
    let lab = Lab::new();
    let arguments = "run calm --seeds 0..2 --junit out.xml --json out.json --events events";
    let done = lab.pgdrill(&arguments.split(' ').collect::<Vec<_>>());
    let summary = json(&lab.path("out.json"));
    assert_eq!(done.code, summary["exit_code"].as_i64().map(|code| code as i32), "{}", done.stdout);
    assert_eq!(summary["runs"].as_array().map(Vec::len), Some(2), "{summary}");
    assert!(!done.stdout.contains('\u{1b}'), "no colours in a pipe:\n{}", done.stdout);
    assert!(done.stdout.contains("calm/quiet-day"), "{}", done.stdout);
    let junit = fs::read_to_string(lab.path("out.xml")).expect("it was written");
    assert!(junit.contains(r#"<testsuite name="calm/quiet-day" tests="2""#), "{junit}");
    for seed in 0..2 {
        let events = fs::read_to_string(lab.path(&format!("events/calm-quiet-day.seed-{seed}.jsonl")));
        let events = events.expect("a file for each run");
        let mut lines = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        assert_eq!(lines.next().expect("a header")["seed"], seed);
        assert_eq!(lines.next().expect("an event")["ordinal"], 0);
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_jobs() {
    let lab = Lab::new();
    let results = |jobs: &str| {
        lab.pgdrill(&["run", "calm", "--seeds", "0..4", "--jobs", jobs, "--json", "out.json"]);
        let mut summary = json(&lab.path("out.json"));
        for run in summary["runs"].as_array_mut().expect("runs") {
            run["took_ms"] = 0.into();
        }
        summary
    };
    assert_eq!(results("1"), results("4"));
}

#[test]
fn each_v_tells_more_of_a_run() {
    let lab = Lab::new();
    let lines = ["-v", "-vv", "-vvv"].map(|v| lab.pgdrill(&["run", "calm", v]).stdout.lines().count());
    assert!(lines[0] <= lines[1] && lines[1] < lines[2], "{lines:?}");
    let told = lab.pgdrill(&["run", "calm", "-v"]).stdout;
    assert!(told.contains("what happened") && told.contains("P primary"), "{told}");
}

#[test]
fn a_run_that_does_not_pass_ends_with_the_command_that_reproduces_it_quoted_for_a_shell() {
    let lab = Lab::new();
    // Where nothing happens, no lock changes hands seven times.
    let impossible = QUIET_DAY.replace("quiet-day", "never") + "expect: { leader_changes: 7 }\n";
    lab.write("it's calm/never.yaml", &impossible);
    let done = lab.pgdrill(&["run", "it's calm", "--seed", "7"]).expect(1);
    let last = done.stdout.lines().rfind(|line| !line.trim().is_empty()).expect("it prints").trim();
    assert_eq!(last, r#"reproduce: pgdrill run "it's calm/never.yaml" --seed 7"#, "{}", done.stdout);
}

#[test]
fn a_reader_that_leaves_early_does_not_make_it_crash() {
    let lab = Lab::new();
    let mut child = lab
        .command(&["run", "calm", "-vvv", "--json", "out.json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be started");
    // The reading end is closed before anything is printed.
    drop(child.stdout.take());
    let done = Done::of(child.wait_with_output().expect("it ends"));
    assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
    let summary = json(&lab.path("out.json"));
    assert_eq!(done.code, summary["exit_code"].as_i64().map(|code| code as i32), "the verdict counts all the same");
}

#[test]
fn a_run_takes_its_durations_from_a_calibration_file_and_says_what_is_wrong_with_it() {
    let lab = Lab::new();
    let shipped = include_str!("../../../sim/calibration.json");
    lab.write("same.json", shipped);
    lab.write("slow.json", &shipped.replace("\"start_s\": 0.041412", "\"start_s\": 3.5"));
    lab.write("lacks.json", &shipped.replace("\"start_s\": 0.041412,", ""));
    let events = |calibration: &[&str], file: &str| {
        let play = [&["run", "calm", "--seed", "3", "--quiet", "--events", file], calibration].concat();
        lab.pgdrill(&play).expect(0);
        fs::read(lab.path(file)).expect("they were written")
    };
    let usual = events(&[], "usual.jsonl");
    assert_eq!(events(&["--calibration", "same.json"], "same.jsonl"), usual);
    assert_ne!(events(&["--calibration", "slow.json"], "slow.jsonl"), usual);
    let refused = lab.pgdrill(&["run", "calm", "--calibration", "lacks.json"]).expect(2).stderr;
    assert!(refused.contains("lacks.json: missing field `start_s` at line "), "{refused}");
}
