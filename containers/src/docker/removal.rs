//! Removing what runs have made: after each run, and at the next start what a killed one left behind.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use futures::future::join_all;
use testcontainers::bollard::{
    Docker,
    errors::Error,
    query_parameters::{
        ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
        RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder,
    },
};
use tokio::time::sleep;

use super::owner::{LABEL, LABEL_VALUE, OWNER, Owner, RUN};

/// How often the removal of a network is tried, and how long is waited in between.
const NETWORK_TRIES: u32 = 20;
const NETWORK_PAUSE: Duration = Duration::from_millis(500);

/// Removes everything of a run: containers, then its volumes and network. What is gone already is no error.
///
/// # Errors
/// What could not be removed, one line each.
pub async fn remove_run(docker: &Docker, run: &str) -> Result<(), String> {
    remove_labelled(docker, &format!("{RUN}={run}")).await
}

/// What a sweep has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many runs nothing is left of any more.
    pub runs: usize,
    /// What of others could not be removed, one line each.
    pub failed: Vec<String>,
}

/// Removes what runs left behind whose process is gone.
///
/// # Errors
/// When the daemon does not say what there is.
pub async fn sweep(docker: &Docker) -> Result<Swept, String> {
    let left: BTreeSet<String> = made_by_runs(docker).await?.iter().filter_map(left_behind).collect();
    let mut swept = Swept::default();
    // One that is stuck keeps nobody from removing the others.
    for run in &left {
        match remove_run(docker, run).await {
            Ok(()) => swept.runs += 1,
            Err(why) => swept.failed.push(why),
        }
    }
    Ok(swept)
}

/// The run to which something with these labels belongs, if its process is gone.
fn left_behind(labels: &HashMap<String, String>) -> Option<String> {
    let owner = Owner::parse(labels.get(OWNER)?)?;
    owner.is_gone().then(|| labels.get(RUN).cloned())?
}

/// The labels of every container, network and volume that a run has made, whosoever run it is.
///
/// # Errors
/// When the daemon does not say what there is.
pub async fn made_by_runs(docker: &Docker) -> Result<Vec<HashMap<String, String>>, String> {
    let filter = filter(&format!("{LABEL}={LABEL_VALUE}"));
    let all = ListContainersOptionsBuilder::new().all(true).filters(&filter).build();
    let containers = docker.list_containers(Some(all)).await.map_err(|e| e.to_string())?;
    let networks = ListNetworksOptionsBuilder::new().filters(&filter).build();
    let networks = docker.list_networks(Some(networks)).await.map_err(|e| e.to_string())?;
    let volumes = ListVolumesOptionsBuilder::new().filters(&filter).build();
    let volumes = docker.list_volumes(Some(volumes)).await.map_err(|e| e.to_string())?;
    let mut found: Vec<_> = containers.into_iter().filter_map(|c| c.labels).collect();
    found.extend(networks.into_iter().filter_map(|n| n.labels));
    found.extend(volumes.volumes.unwrap_or_default().into_iter().map(|v| v.labels));
    Ok(found)
}

async fn remove_labelled(docker: &Docker, label: &str) -> Result<(), String> {
    let filter = filter(label);
    // What goes wrong with one of them, such as on a full disk, keeps nobody from removing the others.
    let mut failed: Vec<String> = vec![];
    let all = ListContainersOptionsBuilder::new().all(true).filters(&filter).build();
    let containers = docker.list_containers(Some(all)).await;
    let containers = or_note(containers, "containers", &mut failed);
    let removals = containers.into_iter().filter_map(|c| c.id).map(|id| async move {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        // A paused container is thawed first: the daemon does not always manage to kill it.
        let _ = docker.unpause_container(&id).await;
        docker.remove_container(&id, Some(options)).await.map_err(|e| format!("container {id}: {e}"))
    });
    failed.extend(join_all(removals).await.into_iter().filter_map(unless_gone));
    let volumes = ListVolumesOptionsBuilder::new().filters(&filter).build();
    let volumes = docker.list_volumes(Some(volumes)).await.map(|listed| listed.volumes.unwrap_or_default());
    for volume in or_note(volumes, "volumes", &mut failed) {
        let options = RemoveVolumeOptionsBuilder::new().force(true).build();
        let removed = docker.remove_volume(&volume.name, Some(options)).await;
        failed.extend(unless_gone(removed.map_err(|e| format!("volume {}: {e}", volume.name))));
    }
    let networks = ListNetworksOptionsBuilder::new().filters(&filter).build();
    let networks = docker.list_networks(Some(networks)).await;
    for network in or_note(networks, "networks", &mut failed) {
        failed.extend(remove_network(docker, &network.name.unwrap_or_default()).await);
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// What was listed; where that failed nothing, and a line that says so.
fn or_note<T>(listed: Result<Vec<T>, Error>, what: &str, failed: &mut Vec<String>) -> Vec<T> {
    listed.unwrap_or_else(|why| {
        failed.push(format!("cannot list {what}: {why}"));
        vec![]
    })
}

/// A busy daemon knows of a container's end before its network does ("has active endpoints"). What is wrong in the end, if
/// anything is.
async fn remove_network(docker: &Docker, name: &str) -> Option<String> {
    let mut tries = 0;
    loop {
        tries += 1;
        let removed = docker.remove_network(name).await.map_err(|e| format!("network {name}: {e}"));
        match unless_gone(removed) {
            Some(why) if why.contains("active endpoints") && tries < NETWORK_TRIES => sleep(NETWORK_PAUSE).await,
            outcome => return outcome,
        }
    }
}

/// Somebody else was faster: another sweep, or the run itself.
fn unless_gone(removed: Result<(), String>) -> Option<String> {
    removed.err().filter(|why| {
        let why = why.to_lowercase();
        !["no such container", "no such volume", "not found", "already in progress"]
            .iter()
            .any(|gone| why.contains(gone))
    })
}

fn filter(label: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![label.to_owned()])])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::{
        fake::{Answer, REQUESTS, daemon},
        open,
    };

    const VERSION: Answer = ("GET", "/version", 200, r#"{"Version":"24.0.7","ApiVersion":"1.43","Arch":"amd64"}"#);
    const THERE: [Answer; 3] = [
        ("GET", "/containers/json", 200, r#"[{"Id":"c1"},{"Id":"c2"}]"#),
        (
            "GET",
            "/volumes",
            200,
            r#"{"Volumes":[{"Name":"v1","Driver":"local","Mountpoint":"","Labels":{},"Scope":"local","Options":{}}]}"#,
        ),
        ("GET", "/networks", 200, r#"[{"Name":"n1"}]"#),
    ];
    const FULL: &str = r#"{"message":"write /var/lib/docker/x: no space left on device"}"#;

    /// Why a run cannot be removed from a daemon that answers like this, and what was tried.
    async fn not_removed(answers: &[Answer]) -> (String, Vec<String>) {
        let folder = tempfile::tempdir().expect("a folder");
        let answers: Vec<Answer> = [VERSION].iter().chain(answers).copied().collect();
        let socket = daemon(folder.path(), &answers);
        let docker = open(&format!("unix://{}", socket.display())).await.expect("it answers");
        let why = remove_run(&docker, "r1").await.expect_err("not all of it can be removed");
        let requests = std::fs::read_to_string(folder.path().join(REQUESTS)).expect("there were requests");
        let path = |line: &str| Some(line.strip_prefix("DELETE ")?.split('?').next()?.rsplit('/').next()?.to_owned());
        (why, requests.lines().filter_map(path).collect())
    }

    #[tokio::test]
    async fn on_a_full_disk_everything_that_can_be_removed_is_and_the_rest_is_named() {
        let gone: Answer = ("DELETE", "", 204, "");
        let stuck: [Answer; 2] = [("DELETE", "/containers/c1", 500, FULL), ("DELETE", "/volumes/v1", 500, FULL)];
        let answers: Vec<Answer> = THERE.iter().chain(&stuck).chain([&gone]).copied().collect();
        let (why, mut tried) = not_removed(&answers).await;
        tried.sort();
        assert_eq!(tried, ["c1", "c2", "n1", "v1"]);
        let lines: Vec<_> = why.lines().collect();
        assert_eq!(lines.len(), 2, "{why}");
        assert!(lines[0].starts_with("container c1: ") && lines[1].starts_with("volume v1: "), "{why}");
        assert!(lines.iter().all(|line| line.contains("no space left on device")), "{why}");
    }

    #[tokio::test]
    async fn what_cannot_be_listed_keeps_nobody_from_removing_the_others() {
        let stuck: [Answer; 2] = [("GET", "/volumes", 500, FULL), ("DELETE", "", 204, "")];
        let answers: Vec<Answer> = stuck.iter().chain(&THERE).copied().collect();
        let (why, mut tried) = not_removed(&answers).await;
        tried.sort();
        assert_eq!(tried, ["c1", "c2", "n1"]);
        assert!(why.starts_with("cannot list volumes: ") && why.contains("no space left"), "{why}");
    }

    #[test]
    fn what_a_living_process_made_is_left_alone_and_what_has_no_owner_too() {
        let owner = Owner::this_process().expect("there is a /proc");
        assert_eq!(left_behind(&owner.labels("r1")), None);
        assert_eq!(left_behind(&HashMap::from([(LABEL.to_owned(), LABEL_VALUE.to_owned())])), None);
    }

    #[test]
    fn what_a_dead_process_made_is_found_under_its_run() {
        let mut labels = Owner::this_process().expect("there is a /proc").labels("r1");
        labels.insert(OWNER.to_owned(), "another-boot/pid:[1]/1/1".to_owned());
        assert_eq!(left_behind(&labels), Some("r1".to_owned()));
    }
}
