//! Patroni's configuration file as the agent reads it: what is accepted, what every kind of mistake is answered with.

mod accepted;
mod environment;
mod mistakes;
mod mutants;
mod reload;
mod settings;

use std::path::PathBuf;

use pgdrill_host::config::{Environment, Loaded, read};
use pgdrill_yaml::Problem;

/// The least that an agent can be told.
const LEAST: &str = "\
scope: demo
name: pg1
etcd3: { hosts: [10.0.0.11:2379, 10.0.0.12:2379, 10.0.0.13:2379] }
restapi: { listen: 10.0.0.1:8008, authentication: { username: admin, password: s3cret } }
postgresql:
  listen: 10.0.0.1:5432
  data_dir: /data
  authentication: { superuser: { username: postgres }, replication: { username: replicator } }
";

/// A folder with one file, readable by its owner only.
struct File {
    folder: tempfile::TempDir,
}

impl File {
    fn with(text: &str) -> Self {
        let it = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        std::fs::write(it.path(), text).expect("it is written");
        it.permit(0o600);
        it
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("patroni.yml")
    }

    fn permit(&self, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(self.path(), std::fs::Permissions::from_mode(mode)).expect("its owner may");
    }

    fn read(&self) -> Result<Loaded, Vec<Problem>> {
        read(Some(&self.path()), &Environment::default())
    }

    /// One line for each problem, without the folder.
    fn said(&self, problems: &[Problem]) -> String {
        let folder = format!("{}/", self.folder.path().display());
        problems.iter().map(|problem| problem.to_string().replace(&folder, "")).collect::<Vec<_>>().join("\n")
    }
}

/// What is said of a text, whether it is accepted or not.
fn said(text: &str) -> String {
    let file = File::with(text);
    match file.read() {
        Ok(loaded) if loaded.warnings.is_empty() => "accepted".into(),
        Ok(loaded) => format!("accepted, with\n{}", file.said(&loaded.warnings)),
        Err(problems) => file.said(&problems),
    }
}

fn variables(pairs: &[(&str, &str)]) -> Environment {
    Environment::of(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}
