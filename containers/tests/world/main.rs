//! A run on real nodes, from bring-up to the removal of everything it has made; and what the real daemon says of registries.

#[macro_use]
#[path = "../asked/mod.rs"]
mod asked;
mod namespaces;
mod registry;

use std::{
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use libtest_mimic::Arguments;
use namespaces::a_sweep_from_another_pid_namespace_leaves_a_living_run_alone;
use pgdrill_containers::{
    Agent, RealWorld,
    docker::{Docker, OWNER, Owner, RUN, connect, create_network, sweep},
};
use pgdrill_lab::{
    event::{Event, Outcome, What},
    scenario::load_text,
    world::World,
};
use testcontainers::bollard::query_parameters::ListNetworksOptions;

const QUIET: &str = "name: quiet\nabout: Nothing happens.\nduration: 15s\n";

fn main() -> ExitCode {
    if let Some(ended) = namespaces::elsewhere() {
        return ended;
    }
    let mut trials = trials![
        patroni_is_brought_up_looked_at_and_removed,
        the_agent_is_brought_up_looked_at_and_removed,
        what_a_killed_run_left_behind_is_swept_and_what_a_living_one_uses_is_not,
        a_sweep_from_another_pid_namespace_leaves_a_living_run_alone,
    ];
    trials.extend(registry::trials());
    asked::play(&Arguments::from_args(), trials)
}

fn on_docker<R>(work: impl AsyncFnOnce(Docker) -> R) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { work(connect().await.expect("there is a Docker daemon")).await })
}

async fn networks_of(docker: &Docker, run: &str) -> usize {
    let all = docker.list_networks(None::<ListNetworksOptions>).await.expect("networks are listed");
    let is_of = |labels: &std::collections::HashMap<String, String>| labels.get(RUN).is_some_and(|name| name == run);
    all.iter().filter(|network| network.labels.as_ref().is_some_and(is_of)).count()
}

fn acknowledged(events: &[Event]) -> usize {
    let yes = |e: &&Event| matches!(&e.what, What::Return { outcome: Outcome::Acknowledged { .. }, .. });
    events.iter().filter(yes).count()
}

/// One run at a time: what is left is looked for after each.
static ONE: Mutex<()> = Mutex::new(());

fn a_quiet_run_comes_to_its_end(agent: Agent) {
    let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let scenario = load_text(Path::new("quiet.yaml"), QUIET).expect("it is a scenario").scenario;
    let began = Instant::now();
    let logs = tempfile::tempdir().expect("a folder");
    let world = RealWorld::new(agent, Duration::from_secs(1))
        .telling(Arc::new(move |line| eprintln!("{:?} {line}", began.elapsed())))
        .keeping_logs(logs.path());
    assert!(world.cannot(&scenario).is_empty());
    let recording = world.play(&scenario, 1).unwrap_or_else(|error| panic!("it cannot be played: {error}"));
    assert!(acknowledged(&recording.events) > 20, "clients were served");
    assert!(recording.events.is_sorted_by_key(|e| e.at), "events are in the order of time");
    assert!(recording.events.iter().zip(0..).all(|(e, n)| e.ordinal == n), "and numbered in it");
    let rows = recording.events.iter().filter(|e| matches!(&e.what, What::Rows { .. })).count();
    assert_eq!(rows, 3, "the rows of every node were read");
    assert!(recording.events.iter().any(|e| matches!(&e.what, What::End { .. })), "the settled state was read");
    let log = logs.path().join(format!("quiet.{}.seed-1/pg1-agent.log", world.name()));
    let log = std::fs::read_to_string(&log).unwrap_or_else(|why| panic!("{}: {why}", log.display()));
    assert!(log.contains("database system is ready to accept"), "PostgreSQL's words are among the agent's: {log}");
    for n in 1..=2 {
        let own = format!("pgdrill-{}-{n}", std::process::id());
        assert_eq!(on_docker(async |docker| networks_of(&docker, &own).await), 0, "nothing is left");
    }
}

fn patroni_is_brought_up_looked_at_and_removed() {
    a_quiet_run_comes_to_its_end(Agent::Patroni);
}

fn the_agent_is_brought_up_looked_at_and_removed() {
    a_quiet_run_comes_to_its_end(Agent::Pgdrill);
}

fn what_a_killed_run_left_behind_is_swept_and_what_a_living_one_uses_is_not() {
    on_docker(async |docker| {
        let (dead, living) =
            (format!("pgdrill-test-dead-{}", std::process::id()), format!("pgdrill-test-{}", std::process::id()));
        let owner = Owner::this_process().expect("there is a /proc");
        create_network(&docker, &living, &owner.labels(&living), 300).await.expect("a network");
        let mut labels = owner.labels(&dead);
        labels.insert(OWNER.to_owned(), "another-boot/pid:[1]/1/1".to_owned());
        create_network(&docker, &dead, &labels, 301).await.expect("a network");
        // Something of somebody else's may be stuck in the daemon; what counts is below.
        let swept = sweep(&docker).await.expect("it can be listed");
        eprintln!("{}", swept.failed.join("\n"));
        assert_eq!((networks_of(&docker, &dead).await, networks_of(&docker, &living).await), (0, 1));
        pgdrill_containers::docker::remove_run(&docker, &living).await.expect("it can be removed");
        assert_eq!(networks_of(&docker, &living).await, 0);
    });
}
