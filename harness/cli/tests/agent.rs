//! `pgdrill agent` as people meet it.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, path::Path, process::Command};

/// The configuration of a node whose etcd is at `etcd` and whose PostgreSQL's programs are in `folder`.
fn patroni_yml(folder: &Path, etcd: &str) -> String {
    format!(
        "scope: demo\nname: pg1\netcd3: {{ hosts: ['{etcd}', '{etcd}'] }}\n\
         restapi: {{ listen: 127.0.0.1:0, authentication: {{ username: a, password: b }} }}\n\
         postgresql:\n  listen: 127.0.0.1:5999\n  bin_dir: {0}\n  data_dir: {0}/data\n  \
         authentication: {{ superuser: {{ username: postgres }}, replication: {{ username: replicator }} }}\n",
        folder.display()
    )
    .replace("127.0.0.1:0", "127.0.0.1:5998")
}

/// Exit code and what was said.
fn validate(folder: &Path, text: &str, more: &[&str]) -> (Option<i32>, String) {
    let file = folder.join("patroni.yml");
    fs::write(&file, text).expect("it is written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its owner may");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgdrill"));
    let output = command.arg("agent").arg("--validate-config").args(more).arg(&file).env("NO_COLOR", "1").output();
    let output = output.expect("it runs");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
    )
}

#[test]
fn a_configuration_is_checked_with_the_machine_it_is_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let etcd = listener.local_addr().expect("it is bound").to_string();
    let text = patroni_yml(folder, &etcd);
    let (code, said) = validate(folder, &text, &["-i"]);
    assert!(code == Some(1) && said.contains("pg_controldata is not there or cannot be run"), "{said}");
    for program in ["pg_ctl", "initdb", "pg_controldata", "pg_basebackup", "postgres", "pg_rewind", "pg_waldump"] {
        fs::write(folder.join(program), "#!/bin/sh\necho 'postgres (PostgreSQL) 16.14'\n").expect("it is written");
        fs::set_permissions(folder.join(program), fs::Permissions::from_mode(0o755)).expect("its owner may");
    }
    let (code, said) = validate(folder, &text, &["-i"]);
    if said.contains("the agent runs as root") {
        assert_eq!((code, said.matches("error:").count()), (Some(1), 1), "{said}");
    } else {
        assert_eq!((code, said.contains("pg1 of demo can be used")), (Some(0), true), "{said}");
    }
    drop(listener);
    let (code, said) = validate(folder, &text, &["-i"]);
    assert!(code == Some(1) && said.contains("etcd3.hosts: found no answer from"), "{said}");
}

#[test]
fn a_wrong_configuration_is_told_from_a_machine_that_does_not_fit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = patroni_yml(folder.path(), "127.0.0.1:1").replace("data_dir", "datadir");
    let (code, said) = validate(folder.path(), &text, &[]);
    assert!(code == Some(2) && said.contains("did you mean data_dir?"), "{said}");
}
