//! Keeps what the services of a run have written, before their containers are removed.

use std::{fs, path::Path};

use crate::cluster::{Cluster, log_of};

/// Writes `<folder>/<host>-<process>.log` for every service of the cluster: an agent's log has that of its PostgreSQL in it.
///
/// # Errors
/// The files that could not be read or written, one sentence each; the others are there.
pub(super) async fn keep(cluster: &Cluster, folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut failed = vec![];
    for host in cluster.hosts.values() {
        for process in host.kind.services() {
            let to = folder.join(format!("{}-{process}.log", host.name));
            let kept = match cluster.exec(&host.name, ["cat", &log_of(*process)]).await {
                Ok(read) if read.code == 0 => fs::write(&to, read.stdout).map_err(|e| e.to_string()),
                Ok(read) => Err(read.stderr.trim().to_owned()),
                Err(why) => Err(why),
            };
            if let Err(why) = kept {
                failed.push(format!("{}: {why}", to.display()));
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}
