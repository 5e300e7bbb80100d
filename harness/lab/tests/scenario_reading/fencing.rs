//! `cluster.fencing` and the dead-man process as a target.

use pgdrill_lab::scenario::{Action, Fencing, Process};

use super::{HEAD, problems, read};

fn fencing(cluster: &str) -> Fencing {
    read(&format!("{HEAD}{cluster}duration: 10s\n")).expect("it is right").cluster.fencing_mode()
}

#[test]
fn it_is_automatic_unless_a_file_says_otherwise() {
    assert_eq!(fencing(""), Fencing::Automatic);
    // A bare `off` is false to some YAML tools.
    for (word, mode) in [("off", Fencing::Off), ("automatic", Fencing::Automatic), ("required", Fencing::Required)] {
        assert_eq!(fencing(&format!("cluster: {{ fencing: {word} }}\n")), mode);
    }
}

#[test]
fn another_word_is_a_mistake_with_its_place() {
    let found = problems(&format!("{HEAD}cluster: {{ fencing: requird }}\nduration: 10s\n"));
    assert!(found.contains("drill.yaml:3:21: cluster.fencing: found \"requird\""), "{found}");
    assert!(found.contains("off, automatic or required"), "{found}");
}

#[test]
fn the_dead_man_can_be_killed_and_frozen_and_is_its_agents_to_start() {
    let line = |action: &str| format!("{HEAD}timeline:\n  - {{ at: 5s, {action} }}\nduration: 10s\n");
    let scenario = read(&line("kill: { process: deadman, on: leader }")).expect("it is right");
    assert!(matches!(&scenario.timeline[0].action, Action::Kill(kill) if kill.process == Process::Deadman));
    read(&line("freeze: { process: deadman, on: leader }, for: 3s")).expect("it is right");
    let found = problems(&line("start: { process: deadman, on: leader }"));
    assert!(found.contains("agent, postgres, etcd or haproxy"), "{found}");
    let found = problems(&line("kill: { process: deadman, on: leader }, for: 3s"));
    assert_ne!(found, "no problem", "there is nothing to undo");
    let found = problems(&line("kill: { process: deadman, on: etcd1 }"));
    assert!(found.contains("PostgreSQL nodes"), "{found}");
}
