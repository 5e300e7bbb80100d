//! Tests on real nodes, which need a Docker daemon and the images of `pgdrill images build`. Asked for by `PGDRILL_DOCKER=1`;
//! without it each of them is reported as ignored: what was not played has not passed.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// What asks for these tests.
const ASKED: &str = "PGDRILL_DOCKER";

/// These functions as tests of their names.
macro_rules! trials {
    ($($body:ident),* $(,)?) => {
        vec![$($crate::asked::trial(stringify!($body), $body)),*]
    };
}

/// A function as a test of this name; it panics where it fails.
pub fn trial(name: &str, body: fn()) -> Trial {
    Trial::test(name, move || {
        body();
        Ok(())
    })
}

/// Plays them, or reports them as ignored.
pub fn play(arguments: &Arguments, trials: Vec<Trial>) -> ExitCode {
    let asked = std::env::var(ASKED).is_ok_and(|value| value == "1");
    if !asked && !arguments.list {
        eprintln!("tests on real nodes were not asked for: {ASKED}=1 asks for them");
    }
    let trials = trials.into_iter().map(|trial| trial.with_ignored_flag(!asked)).collect();
    libtest_mimic::run(arguments, trials).exit_code()
}
