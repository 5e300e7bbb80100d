//! Keeps what the services of a run have written, before their containers are removed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{cluster::Cluster, paths::log_of};

/// Writes `<folder>/<run>/<host>-<process>.log` for every service of the cluster, and says in which folder they are: an agent's
/// log has that of its PostgreSQL in it.
///
/// # Errors
/// The files that could not be read or written, one sentence each; the others are there.
pub(super) async fn keep(cluster: &Cluster, folder: &Path, run: &str) -> Result<PathBuf, String> {
    let folder = of_its_own(folder, run).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut failed = vec![];
    for host in cluster.hosts.values() {
        for process in host.services() {
            let to = folder.join(format!("{}-{process}.log", host.name));
            let kept = match cluster.exec(&host.name, ["cat", &log_of(process)]).await {
                Ok(read) if read.code == 0 => fs::write(&to, read.stdout).map_err(|e| e.to_string()),
                Ok(read) => Err(read.stderr.trim().to_owned()),
                Err(why) => Err(why),
            };
            if let Err(why) = kept {
                failed.push(format!("{}: {why}", to.display()));
            }
        }
    }
    if failed.is_empty() { Ok(folder) } else { Err(failed.join("; ")) }
}

/// Makes a folder of that name, or with a number after it where one is there: the logs of an earlier run stay as they are.
fn of_its_own(folder: &Path, name: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let names = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}.{n}")));
    for path in names.map(|name| folder.join(name)) {
        match fs::create_dir(&path) {
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| path),
        }
    }
    unreachable!("numbers do not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_has_a_folder_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = ["a", "a", "b", "a"].map(|name| of_its_own(&folder.path().join("logs"), name).expect("it is made"));
        let names = made.map(|path| path.file_name().expect("it has one").to_string_lossy().into_owned());
        assert_eq!(names, ["a", "a.2", "b", "a.3"]);
        assert!(of_its_own(Path::new("/dev/null"), "a").is_err());
    }
}
