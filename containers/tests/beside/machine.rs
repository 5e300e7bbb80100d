//! The same without containers, for whoever works on the agent: quicker, and what was written stays to be read where they differ.
//! Each agent plays in a network namespace of its own, with the programs that `PGDRILL`, `PATRONI`, `PATRONICTL`, `ETCD`,
//! `ETCDCTL` and `PG_BIN` name (and `PG_BIN_WITH_TLS`, if PostgreSQL in `PG_BIN` was built without). Needs root, and programs
//! that the user `postgres` may run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{situations::Situation, stage::Agent};

/// Longest name of a situation's folder: the path of PostgreSQL's socket below it may have 107 bytes.
const LONGEST: usize = 40;

/// The folder of a situation.
pub(crate) fn folder(situation: Situation, dir: &Path) -> PathBuf {
    dir.join(&situation.name[..situation.name.len().min(LONGEST)])
}

/// Plays a situation with both agents, in folders of their names below `dir`; what each has recorded, pgdrill's first.
///
/// # Errors
/// What could not be played, with what was said.
pub(crate) fn play(situation: Situation, dir: &Path) -> Result<[Value; 2], String> {
    let _ = fs::remove_dir_all(dir);
    let begun = Agent::BOTH.map(|agent| begin(agent, situation, &dir.join(agent.name())));
    let [ours, theirs] = begun.map(|begun| begun.and_then(end));
    let [ours, theirs] = [ours?, theirs?];
    for (agent, records) in Agent::BOTH.into_iter().zip([&ours, &theirs]) {
        let text = serde_json::to_string_pretty(records).expect("a document is text");
        fs::write(dir.join(format!("{}.json", agent.name())), text).map_err(|why| why.to_string())?;
    }
    Ok([ours, theirs])
}

fn begin(agent: Agent, situation: Situation, dir: &Path) -> Result<(Agent, Child), String> {
    fs::create_dir_all(dir).map_err(|why| format!("{}: {why}", dir.display()))?;
    let this = std::env::current_exe().map_err(|why| why.to_string())?;
    let mut command = Command::new("unshare");
    command.args(["--net", "--", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]).arg(this);
    command.args(["situation", agent.name(), situation.name]).arg(dir);
    if let Some(bin_dir) = std::env::var_os("PG_BIN_WITH_TLS").filter(|_| situation.needs_tls) {
        command.env("PG_BIN", bin_dir);
    }
    let begun = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    begun.map(|child| (agent, child)).map_err(|why| format!("unshare: {why}"))
}

fn end((agent, child): (Agent, Child)) -> Result<Value, String> {
    let done = child.wait_with_output().map_err(|why| why.to_string())?;
    if !done.status.success() {
        return Err(format!("{} could not play it:\n{}", agent.name(), String::from_utf8_lossy(&done.stderr)));
    }
    serde_json::from_slice(&done.stdout).map_err(|why| format!("{}: {why}", agent.name()))
}
