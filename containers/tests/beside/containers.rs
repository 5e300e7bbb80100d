//! One container for each agent, in which this program plays a situation.

use std::{future::Future, time::Duration};

use futures::future::join_all;
use pgdrill_containers::{
    docker::{
        self, Command, Docker, Mounted, Owner, Plan, Trouble, create_network, create_volume, remove_run,
        start_container,
    },
    paths::bin_dir,
};
use pgdrill_lab::scenario::PostgresqlMajor;
use serde_json::Value;

use crate::{situations::Situation, stage::Agent};

/// Names another major version of PostgreSQL than the default.
const POSTGRESQL: &str = "PGDRILL_POSTGRESQL";

/// Debian's build, which knows TLS, as the images' default does not.
const WITH_TLS: u16 = 17;

/// Where this program is in a container.
const PROGRAM: &str = "/usr/local/bin/beside";

/// Names another `pgdrill` of this machine than the images' own, as for scenarios.
const BINARY: &str = "PGDRILL_CONTAINER_BINARY";

/// Longest time for one situation.
const LIMIT: Duration = Duration::from_secs(600);

/// Memory for the data of a cluster, in bytes.
const SPACE: u64 = 2 << 30;

/// Plays a situation with both agents; what each has recorded, pgdrill's first.
///
/// # Errors
/// What could not be played, with what was said.
pub(crate) fn play(situation: Situation) -> Result<[Value; 2], String> {
    on_a_runtime(async {
        let docker = docker::connect().await.map_err(|e| e.to_string())?;
        let run = format!("pgdrill-beside-{}-{}", std::process::id(), number(situation.name));
        let played = in_containers(&docker, &run, situation).await;
        remove_run(&docker, &run).await?;
        played
    })
}

/// A number for a situation, so that no two of one process share a network.
fn number(name: &str) -> usize {
    crate::situations::all().iter().position(|known| known.name == name).expect("it is one of them")
}

async fn in_containers(docker: &Docker, run: &str, situation: Situation) -> Result<[Value; 2], String> {
    let labels = Owner::this_process().map_err(|e| e.to_string())?.labels(run);
    let subnet = create_network(docker, run, &labels, std::process::id()).await.map_err(|e| e.to_string())?;
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut programs = vec![Mounted::new(program.display().to_string(), PROGRAM)];
    programs.extend(std::env::var(BINARY).ok().map(|here| Mounted::new(here, "/usr/local/bin/pgdrill")));
    let playing = (10..).zip(Agent::BOTH).map(|(number, agent)| {
        let name = format!("{run}-{}", agent.name());
        let plan = Plan {
            name: name.clone(),
            hostname: "beside".to_owned(),
            image: "pgdrill/patroni:latest".to_owned(),
            network: run.to_owned(),
            address: subnet.address(number),
            volumes: vec![Mounted::new(&name, "/beside")],
            programs: programs.clone(),
            labels: labels.clone(),
        };
        let labels = &labels;
        async move {
            create_volume(docker, &name, labels, Some(SPACE)).await.map_err(said)?;
            let container = start_container(docker, &plan).await.map_err(said)?;
            let limited = tokio::time::timeout(LIMIT, situation_in(docker, &container, agent, situation));
            limited.await.map_err(|_| format!("{}: not played after {LIMIT:?}", agent.name()))?
        }
    });
    let [ours, theirs] = <[_; 2]>::try_from(join_all(playing).await).expect("two agents");
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => Ok([ours, theirs]),
        (ours, theirs) => Err([ours.err(), theirs.err()].into_iter().flatten().collect::<Vec<_>>().join("\n")),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn said(trouble: Trouble) -> String {
    trouble.to_string()
}

async fn situation_in(docker: &Docker, container: &str, agent: Agent, situation: Situation) -> Result<Value, String> {
    let words = [PROGRAM, "situation", agent.name(), situation.name, "/beside/x"];
    let command = Command::new(words).env("PG_BIN", &bin_dir(postgresql(situation)?));
    let done = command.run(docker, container).await?;
    if done.code != 0 {
        return Err(format!("{} could not play it:\n{}", agent.name(), done.stderr));
    }
    serde_json::from_str(&done.stdout).map_err(|why| format!("{}: {why}: {}", agent.name(), done.stdout))
}

/// Which PostgreSQL a situation is played with.
fn postgresql(situation: Situation) -> Result<PostgresqlMajor, String> {
    let asked = match std::env::var(POSTGRESQL) {
        Ok(text) => text.parse().map_err(|why| format!("{POSTGRESQL}={text}: {why}"))?,
        Err(_) => PostgresqlMajor::default(),
    };
    // Of the images' versions the odd ones are Debian's.
    let knows_tls = asked.number() % 2 == 1;
    if situation.needs_tls && !knows_tls { WITH_TLS.to_string().parse() } else { Ok(asked) }
}

fn on_a_runtime<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts").block_on(future)
}
