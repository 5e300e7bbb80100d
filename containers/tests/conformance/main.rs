//! The conformance suites on real servers: the bodies that hold the models to account, played on etcd and PostgreSQL 16 in
//! containers.
//!
//! Asked for by `PGDRILL_DOCKER=1`; without it every test is reported as ignored. Needs the images of
//! `pgdrill images build`. Each test has a container of its own, in which all its servers run; one network holds them all.

mod etcd;
mod lab;
mod postgres;

use std::{future::Future, process::ExitCode, sync::Arc, time::Duration};

use lab::Lab;
use libtest_mimic::{Arguments, Failed, Trial};

/// What asks for these tests.
const ASKED: &str = "PGDRILL_DOCKER";

/// Longest time for one body. Real members time out for seconds where a model's clock would be asked to run.
const LIMIT: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Tests of real time-outs on a busy machine fail for want of a processor: two at a time.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let asked = std::env::var(ASKED).is_ok_and(|value| value == "1");
    let lab = match asked && !arguments.list {
        true => match on_a_runtime(Lab::open()) {
            Ok(lab) => Some(Arc::new(lab)),
            Err(why) => {
                eprintln!("{why}");
                return ExitCode::FAILURE;
            }
        },
        false => None,
    };
    if !asked && !arguments.list {
        eprintln!("conformance on real servers was not asked for: {ASKED}=1 asks for it");
    }
    let mut trials = etcd::trials(&lab);
    trials.extend(postgres::trials(&lab));
    let trials = trials.into_iter().map(|trial| trial.with_ignored_flag(!asked)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(lab) = lab
        && let Err(why) = on_a_runtime(lab.close())
    {
        eprintln!("{why}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// A body as a test of its own.
fn trial<F: Future<Output = ()>>(
    name: String,
    lab: &Option<Arc<Lab>>,
    body: impl FnOnce(Arc<Lab>) -> F + Send + 'static,
) -> Trial {
    let lab = lab.clone();
    Trial::test(name, move || {
        let lab = lab.ok_or_else(|| Failed::from("there is no Docker to play it on"))?;
        let limited = async { tokio::time::timeout(LIMIT, body(lab)).await };
        on_a_runtime(limited).map_err(|_| Failed::from(format!("not done after {LIMIT:?}")))
    })
}

fn on_a_runtime<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts").block_on(future)
}
