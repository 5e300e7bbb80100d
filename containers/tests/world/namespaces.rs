//! Two pgdrills in different pid namespaces on one daemon, as in two containers with its socket: neither can look at the other's
//! processes, and neither takes away what the other is using.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, ExitCode, Stdio},
};

use pgdrill_containers::docker::{Owner, create_network, remove_run, sweep};

use crate::{networks_of, on_docker};

/// The argument by which this program plays the other pgdrill; the name of its run follows.
const ELSEWHERE: &str = "elsewhere";

/// Plays the other one if that is what the arguments ask for: makes a network, sweeps, says so, and goes on to live until its
/// standard input ends.
pub fn elsewhere() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [word, run] = arguments.as_slice() else { return None };
    (word == ELSEWHERE).then(|| {
        on_docker(async |docker| {
            let owner = Owner::this_process().expect("there is a /proc");
            create_network(&docker, run, &owner.labels(run), 310).await.expect("a network");
            // Something of somebody else's may be stuck in the daemon; what counts is judged by the test.
            let _ = sweep(&docker).await;
            println!("swept");
            std::io::stdin().read_to_end(&mut vec![]).expect("it is a pipe");
            remove_run(&docker, run).await.expect("it can be removed");
        });
        ExitCode::SUCCESS
    })
}

pub fn a_sweep_from_another_pid_namespace_leaves_a_living_run_alone() {
    let name = |who: &str| format!("pgdrill-test-{who}-{}", std::process::id());
    let (here, there) = (name("here"), name("there"));
    on_docker(async |docker| {
        let owner = Owner::this_process().expect("there is a /proc");
        create_network(&docker, &here, &owner.labels(&here), 311).await.expect("a network");
        let program = std::env::current_exe().expect("this program has a path");
        let mut other = Command::new("unshare")
            .args(["--pid", "--fork", "--mount-proc", "--kill-child"])
            .arg(program)
            .args([ELSEWHERE, &there])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is `unshare` (util-linux)");
        let mut said = String::new();
        let read = BufReader::new(other.stdout.as_mut().expect("it is piped")).read_line(&mut said);
        assert_eq!((read.is_ok(), said.as_str()), (true, "swept\n"), "it needs root to have a namespace of its own");
        let seen = networks_of(&docker, &here).await;
        let swept = sweep(&docker).await.expect("it can be listed");
        eprintln!("{}", swept.failed.join("\n"));
        let both = (seen, networks_of(&docker, &there).await);
        // Its standard input ends, and so does it.
        drop(other.stdin.take());
        let ended = other.wait().expect("it can be waited for");
        remove_run(&docker, &here).await.expect("it can be removed");
        assert_eq!(both, (1, 1), "mine after its sweep, its after mine");
        assert!(ended.success());
        assert_eq!((networks_of(&docker, &here).await, networks_of(&docker, &there).await), (0, 0));
    });
}
