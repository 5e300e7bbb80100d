//! `pgdrill sweep` as people and scripts meet it.

use std::{fs, path::PathBuf, process::Command};

/// A primary without power, and a scenario that expects too much of it.
const OUTAGE: &str = "\
name: power
about: Another node leads when the lease is over.
workload: { writers: 1, rate: 5/s, readers: 0 }
timeline:
  - { at: 10s, power_off: leader }
expect: { outage: { max: 60s }, end: writable }
duration: 90s
";

struct Lab(tempfile::TempDir);

struct Done {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Lab {
    fn new() -> Self {
        let lab = Self(tempfile::tempdir().expect("a temporary folder"));
        fs::write(lab.path("power.yaml"), OUTAGE).expect("can be written");
        lab
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn sweep(&self, arguments: &[&str]) -> Done {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgdrill"));
        command.current_dir(self.0.path()).args(["sweep", "power.yaml"]).args(arguments).env_remove("NO_COLOR");
        let output = command.output().expect("it can be started");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it prints UTF-8");
        Done { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

impl Done {
    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

#[test]
fn a_longer_lease_is_a_longer_outage_with_the_same_seeds_and_any_number_of_jobs() {
    let lab = Lab::new();
    let options = ["--vary", "ttl=30..60:30", "--seeds", "0..3", "--csv", "-"];
    let one = lab.sweep(&[&options[..], &["--jobs", "1"]].concat()).expect(0);
    let two = lab.sweep(&[&options[..], &["--jobs", "2"]].concat()).expect(0);
    assert_eq!(one.stdout, two.stdout);
    let lines: Vec<Vec<&str>> = one.stdout.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0][..5], ["scenario", "ttl", "runs", "judged", "outage_p50_ms"]);
    let p50 = |line: &[&str]| line[4].parse::<u64>().expect("milliseconds");
    assert_eq!((lines[1][1], lines[2][1], lines.len()), ("30", "60", 3), "{}", one.stdout);
    assert!(p50(&lines[1]) + 25_000 < p50(&lines[2]), "{}", one.stdout);
}

#[test]
fn what_is_wanted_decides_the_exit_code_and_the_best_is_named() {
    let lab = Lab::new();
    let options = ["--vary", "ttl=30,60", "--seeds", "0..2", "--want"];
    let some = lab.sweep(&[&options[..], &["outage.max<45s"]].concat()).expect(0);
    assert!(some.stdout.contains("1 of 2 combinations") && some.stdout.contains("best: ttl=30"), "{}", some.stdout);
    let none = lab.sweep(&[&options[..], &["outage.max<5s"]].concat()).expect(1);
    assert!(none.stdout.contains("0 of 2 combinations") && !none.stdout.contains("best:"), "{}", none.stdout);
}

#[test]
fn combinations_that_are_illegal_together_are_named_and_the_rest_is_played() {
    let lab = Lab::new();
    let vary = ["--vary", "ttl=20,30", "--vary", "loop_wait=10", "--seeds", "0..1", "--json", "sweep.json"];
    let done = lab.sweep(&vary).expect(0);
    assert!(done.stdout.contains("1 combination cannot be played"), "{}", done.stdout);
    assert!(
        done.stdout.contains("ttl=20 loop_wait=10 in power: loop_wait 10 + 2 * retry_timeout 10"),
        "{}",
        done.stdout
    );
    let json = fs::read_to_string(lab.path("sweep.json")).expect("it is written");
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(json["format"], "pgdrill-sweep-1");
    assert_eq!((json["cells"].as_array().map(Vec::len), json["skipped"].as_array().map(Vec::len)), (Some(1), Some(1)));
}

#[test]
fn what_cannot_be_played_at_all_is_wrong_usage_and_says_why() {
    let lab = Lab::new();
    for (arguments, said) in [
        (&["--vary", "tll=20"][..], "did you mean ttl?"),
        (&["--vary", "ttl=1"], "ttl: 1: expected whole seconds from 20"),
        (&["--vary", "router=pgpool"], "router: "),
        (&["--vary", "ttl=30", "--vary", "cluster.patroni.ttl=40"], "is there twice"),
        (&["--vary", "ttl=30", "--want", "outage<1s"], "there is no figure `outage`"),
        (&["--vary", "ttl=20..86400:1", "--vary", "loop_wait=1..60:1"], "has more than 1000 values"),
        (&["--vary", "ttl=30", "--csv", "out", "--json", "out"], "out"),
        (&[], "--vary"),
    ] {
        let done = lab.sweep(arguments).expect(2);
        assert!(done.stderr.contains(said), "{arguments:?}: {}", done.stderr);
    }
    assert!(!lab.path("out").exists(), "nothing is left of it");
}
