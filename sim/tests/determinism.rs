//! One seed, one trace: on another thread, in another process, whatever the environment. CI runs this first.
//!
//! Whole traces are compared: every event to the byte, and the engine's hash over every packet and step.

use std::process::Command;

use pgdrill_lab::{
    scenario,
    world::{Recording, World},
};
use pgdrill_sim::SimWorld;

/// Kills, cuts, freezes, loss and clocks, all in one minute and a half.
const SCENARIO: &str = "
name: determinism
about: Everything at once, so that whatever is not reproducible shows.
cluster:
  patroni: { ttl: 20, loop_wait: 5, retry_timeout: 5 }
timeline:
  - { at: 5s, loss: { between: [nodes, etcd], probability: 0.2 }, for: 20s }
  - { at: 8s, clock_drift: { on: replicas, rate: 1.01 } }
  - { at: 10s, freeze: { process: agent, on: any replica }, for: 4s }
  - { at: 15s, power_off: leader, as: old, for: 40s }
  - { at: 20s, kill: { process: etcd, on: etcd leader }, for: 10s }
  - { at: 50s, cut: { between: [leader, replicas] }, for: 7s }
  - { at: 60s, clock_step: { on: leader, by: -5m } }
duration: 90s
";

fn play(seed: u64) -> Recording {
    let loaded = scenario::load_text("determinism.yaml".as_ref(), SCENARIO).unwrap_or_else(|e| panic!("{e:?}"));
    SimWorld.play(&loaded.scenario, seed).unwrap_or_else(|e| panic!("{e}"))
}

fn lines(recording: &Recording) -> Vec<String> {
    recording.events.iter().map(|e| serde_json::to_string(e).expect("events are JSON")).collect()
}

fn assert_same(first: &Recording, second: &Recording) {
    let (a, b) = (lines(first), lines(second));
    let differs = a.iter().zip(&b).position(|(x, y)| x != y);
    if let Some(at) = differs {
        panic!("event {at} differs:\n{}\n{}", a[at], b[at]);
    }
    assert_eq!(a.len(), b.len(), "one run goes on where the other ends");
    assert_eq!(first.trace_hash, second.trace_hash, "the events are the same, packets or steps are not");
}

#[test]
fn the_same_seed_gives_the_same_trace_on_another_thread() {
    for seed in 0..3 {
        let first = play(seed);
        let second = std::thread::spawn(move || play(seed)).join().expect("it plays");
        assert!(first.events.len() > 500, "only {} events: nothing was played", first.events.len());
        assert_same(&first, &second);
    }
}

#[test]
fn runs_side_by_side_do_not_disturb_each_other() {
    let alone = play(5);
    let (a, b) = (std::thread::spawn(|| play(5)), std::thread::spawn(|| play(6)));
    assert_same(&alone, &a.join().expect("it plays"));
    b.join().expect("it plays");
}

#[test]
fn another_seed_gives_another_trace() {
    assert_ne!(play(1).trace_hash, play(2).trace_hash);
}

const CHILD: &str = "PGDRILL_DETERMINISM_CHILD";

#[test]
fn another_process_with_another_environment_gives_the_same_trace() {
    let recording = play(7);
    let mine = format!("{:?} {}", recording.trace_hash, fingerprint(&recording));
    if std::env::var_os(CHILD).is_some() {
        println!("trace={mine}");
        return;
    }
    let name = "another_process_with_another_environment_gives_the_same_trace";
    let output = Command::new(std::env::current_exe().expect("a test has a path"))
        .args(["--exact", name, "--nocapture"])
        .env_clear()
        .envs([(CHILD, "1"), ("TZ", "Pacific/Kiritimati"), ("LANG", "tr_TR.UTF-8"), ("HOME", "/nonexistent")])
        .current_dir("/")
        .output()
        .expect("the test starts itself");
    let text = String::from_utf8_lossy(&output.stdout);
    let theirs = text.lines().find_map(|l| l.split("trace=").nth(1));
    assert_eq!(theirs, Some(mine.as_str()), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// FNV-1a over the events: a hash that is the same in every build.
fn fingerprint(recording: &Recording) -> u64 {
    lines(recording)
        .iter()
        .flat_map(|l| l.bytes())
        .fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}
