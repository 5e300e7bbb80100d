//! The real `patronictl` against a pgdrill cluster of real PostgreSQL servers: `patronictl/run.sh`. Reported as ignored where
//! its programs are not.

use std::{
    env,
    path::PathBuf,
    process::{Command, ExitCode},
};

use libtest_mimic::{Arguments, Trial};

/// A program that a variable names, or that is found by PATH.
fn program(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(named) = env::var_os(variable) {
        return Some(PathBuf::from(named));
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// What is played with.
struct Programs {
    patronictl: PathBuf,
    etcd: PathBuf,
    /// PostgreSQL's folder.
    postgres: PathBuf,
}

impl Programs {
    /// Finds all of them, or says what it has found.
    fn find() -> Result<Self, String> {
        let postgres = env::var_os("PG_BIN").map(PathBuf::from);
        let postgres = postgres.or_else(|| program("", "postgres")?.parent().map(Into::into));
        match (program("PATRONICTL", "patronictl"), program("ETCD", "etcd"), postgres) {
            (Some(patronictl), Some(etcd), Some(postgres)) => Ok(Self { patronictl, etcd, postgres }),
            found => Err(format!(
                "needs patronictl (PATRONICTL), etcd (ETCD) and PostgreSQL's programs (PG_BIN); found {found:?}"
            )),
        }
    }
}

fn main() -> ExitCode {
    let found = Programs::find();
    if let Err(missing) = &found {
        eprintln!("not played: {missing}");
    }
    let ignored = found.is_err();
    let trial = Trial::test("patronictl_and_pgdrill_ctl_say_and_do_the_same", move || {
        compare(&found?);
        Ok(())
    });
    libtest_mimic::run(&Arguments::from_args(), vec![trial.with_ignored_flag(ignored)]).exit_code()
}

fn compare(programs: &Programs) {
    let done = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/patronictl/run.sh"))
        .env("PGDRILL", env!("CARGO_BIN_EXE_pgdrill"))
        .env("PATRONICTL", &programs.patronictl)
        .env("ETCD", &programs.etcd)
        .env("PG_BIN", &programs.postgres)
        .status()
        .expect("bash is there");
    assert!(done.success(), "see the lines above");
}
