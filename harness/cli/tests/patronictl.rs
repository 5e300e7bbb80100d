//! The real `patronictl` against a pgdrill cluster of real PostgreSQL servers: `patronictl/run.sh`, where its programs are.

use std::{env, path::PathBuf, process::Command};

/// A program that a variable names, or that is found by PATH.
fn program(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(named) = env::var_os(variable) {
        return Some(PathBuf::from(named));
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

#[test]
fn patronictl_and_pgdrill_ctl_say_and_do_the_same() {
    let postgres =
        env::var_os("PG_BIN").map(PathBuf::from).or_else(|| program("", "postgres")?.parent().map(Into::into));
    let found = (program("PATRONICTL", "patronictl"), program("ETCD", "etcd"), postgres);
    let (Some(patronictl), Some(etcd), Some(postgres)) = &found else {
        // Said, and not counted as anything that was seen to work.
        println!(
            "SKIPPED: needs patronictl (PATRONICTL), etcd (ETCD) and PostgreSQL's programs (PG_BIN); found {found:?}"
        );
        return;
    };
    let done = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/patronictl/run.sh"))
        .env("PGDRILL", env!("CARGO_BIN_EXE_pgdrill"))
        .env("PATRONICTL", patronictl)
        .env("ETCD", etcd)
        .env("PG_BIN", postgres)
        .status()
        .expect("bash is there");
    assert!(done.success(), "see the lines above");
}
