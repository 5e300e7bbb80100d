//! What is wrong with Docker, as people meet it: each is said with what to do about it, and nothing is played.

#[path = "../../../containers/src/docker/fake.rs"]
mod fake;

use std::{
    fs,
    process::{Command, Output},
};

use fake::{Answer, daemon};

const QUIET_DAY: &str = "name: quiet-day\nabout: Nothing happens and nothing may break.\nduration: 20s\n";

const NEW: Answer = ("GET", "/version", 200, r#"{"Version":"24.0.7","ApiVersion":"1.43","Arch":"amd64"}"#);
const NOTHING_LEFT: [Answer; 3] = [
    ("GET", "/containers/json", 200, "[]"),
    ("GET", "/networks", 200, "[]"),
    ("GET", "/volumes", 200, r#"{"Volumes":[]}"#),
];

/// What a command says to a daemon that answers like this, with its exit code.
fn told(answers: &[Answer], arguments: &[&str]) -> (Option<i32>, String) {
    told_with(answers, arguments, &[])
}

/// The same with these variables in the environment.
fn told_with(answers: &[Answer], arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("quiet-day.yaml"), QUIET_DAY).expect("can be written");
    let socket = daemon(folder.path(), answers);
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgdrill"));
    command.current_dir(folder.path()).args(arguments).env("COLUMNS", "200");
    command.env_remove("PGDRILL_CONTAINER_BINARY").env("DOCKER_HOST", format!("unix://{}", socket.display()));
    let Output { status, stdout, stderr } =
        command.envs(environment.iter().copied()).output().expect("it can be started");
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

const PLAY: [&str; 4] = ["run", "quiet-day.yaml", "--world", "containers"];

/// What was said, however it was wrapped.
fn on_one_line(said: &str) -> String {
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every command that needs Docker, and what it exits with where Docker is of no use.
const COMMANDS: [(&[&str], i32); 5] = [
    (&PLAY, 3),
    (&["compare", "quiet-day.yaml", "--worlds", "containers", "--times", "1"], 3),
    (&["images", "build"], 2),
    (&["images", "list"], 2),
    (&["images", "remove"], 2),
];

#[test]
fn an_old_docker_is_refused_by_every_command_with_what_is_needed() {
    let old: Answer = ("GET", "/version", 200, r#"{"Version":"17.05.0-ce","ApiVersion":"1.29","Arch":"amd64"}"#);
    for (arguments, code) in COMMANDS {
        let (found, said) = told(&[old], arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {said}");
        let wanted = "the Docker daemon speaks API 1.29; pgdrill needs at least 1.41 (Docker 20.10): update it";
        assert!(on_one_line(&said).contains(wanted), "{arguments:?}: {said}");
    }
}

#[test]
fn without_docker_every_command_says_where_it_was_looked_for_and_what_to_do() {
    for (arguments, code) in COMMANDS {
        let (found, said) = told_with(&[], arguments, &[("DOCKER_HOST", "unix:///nowhere/docker.sock")]);
        assert_eq!(found, Some(code), "{arguments:?}: {said}");
        let wanted = ["no Docker daemon answers at unix:///nowhere/docker.sock: ", "systemctl start docker"];
        assert!(wanted.iter().all(|wanted| said.contains(wanted)), "{arguments:?}: {said}");
    }
}

#[test]
fn the_context_of_the_docker_command_is_heeded_by_every_command() {
    let settings = tempfile::tempdir().expect("a temporary folder");
    // SHA-256 of `lab`.
    let meta = settings.path().join("contexts/meta/a51146d38077ff992eba84cf1d5e9b249073503eb74868699016153b031a38f7");
    fs::create_dir_all(&meta).expect("can be made");
    let host = r#"{"Name":"lab","Endpoints":{"docker":{"Host":"unix:///of/the/context.sock"}}}"#;
    fs::write(meta.join("meta.json"), host).expect("can be written");
    let folder = settings.path().display().to_string();
    for (arguments, _) in COMMANDS {
        let environment = [("DOCKER_HOST", ""), ("DOCKER_CONTEXT", "lab"), ("DOCKER_CONFIG", &folder)];
        let (_, said) = told_with(&[], arguments, &environment);
        assert!(said.contains("no Docker daemon answers at unix:///of/the/context.sock"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_missing_image_names_the_command_that_builds_it() {
    let missing: Answer = ("GET", "/images/", 404, r#"{"message":"No such image: pgdrill/node:latest"}"#);
    let info: Answer = ("GET", "/info", 200, "{}");
    let answers: Vec<Answer> = [NEW, info, missing].into_iter().chain(NOTHING_LEFT).collect();
    let (code, said) = told(&answers, &PLAY);
    assert_eq!(code, Some(3), "{said}");
    let said = on_one_line(&said);
    assert!(said.contains("there is no image pgdrill/etcd:latest: build the images with"), "{said}");
    assert!(said.contains("pgdrill images build"), "{said}");
}

#[test]
fn images_with_another_pgdrill_from_before_a_change_of_recipes_are_refused_and_chosen_ones_are_told() {
    let info: Answer = ("GET", "/info", 200, "{}");
    let no_stage: Answer = ("GET", "stage-", 404, r#"{"message":"No such image"}"#);
    let old = r#"{"Id":"sha256:1","Config":{"Labels":{"pgdrill.source":"debian","pgdrill.binary":"0123456789ab"}}}"#;
    let answers: Vec<Answer> =
        [NEW, info, no_stage, ("GET", "/images/", 200, old)].into_iter().chain(NOTHING_LEFT).collect();
    let (code, said) = told(&answers, &PLAY);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("the images hold another pgdrill than this one"), "{said}");
    assert!(said.contains("pgdrill images build"), "{said}");
    let chosen =
        r#"{"Id":"sha256:1","Config":{"Labels":{"pgdrill.binary":"0123456789ab","pgdrill.binary.chosen":"yes"}}}"#;
    let answers: Vec<Answer> =
        [NEW, info, no_stage, ("GET", "/images/", 200, chosen)].into_iter().chain(NOTHING_LEFT).collect();
    let (_, said) = told(&answers, &PLAY);
    assert!(said.contains("the images hold the pgdrill that was given to"), "{said}");
}

#[test]
fn a_full_disk_is_said_as_such() {
    let found: Answer = ("GET", "/images/", 200, r#"{"Id":"sha256:1"}"#);
    let network: Answer = ("POST", "/networks/create", 201, r#"{"Id":"n","Warning":""}"#);
    let why = r#"{"message":"mkdir /var/lib/docker/volumes/x: no space left on device"}"#;
    let full: Answer = ("POST", "/volumes/create", 500, why);
    let answers: Vec<Answer> = [NEW, found, network, full].into_iter().chain(NOTHING_LEFT).collect();
    let (code, said) = told_with(&answers, &PLAY, &[("PGDRILL_CONTAINER_BINARY", "/usr/local/bin/pgdrill")]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("the disk of the Docker daemon is full") && said.contains("docker system prune"), "{said}");
}

#[test]
fn where_no_image_can_be_pulled_debian_packages_are_taken_and_both_reasons_are_told() {
    let info: Answer = ("GET", "/info", 200, r#"{"DockerRootDir":"/nowhere"}"#);
    let empty = tempfile::tempdir().expect("a temporary folder");
    let path = empty.path().display().to_string();
    for (why, said_by_docker) in [
        ("connection refused", r#"{"message":"dial tcp 127.0.0.1:1: connect: connection refused"}"#),
        ("manifest unknown", r#"{"message":"manifest unknown"}"#),
        ("no basic auth credentials", r#"{"message":"no basic auth credentials"}"#),
        ("context deadline exceeded", r#"{"message":"Get \"http://127.0.0.1:1/v2/\": context deadline exceeded"}"#),
    ] {
        let answers = [NEW, info, NOTHING_LEFT[0], ("POST", "/images/create", 500, said_by_docker)];
        let (code, said) = told_with(&answers, &["images", "build"], &[("PATH", &path)]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("no registry image: ") && said.contains("; taking Debian packages"), "{said}");
        let (registry, debian) = said.split_once("from Debian packages: ").expect("both sources are told");
        assert!(registry.contains("from registries: the image debian:") && registry.contains(why), "{said}");
        assert!(debian.contains("`mmdebstrap` is missing: install the package"), "{said}");
        let (_, said) = told_with(&answers, &["images", "build", "--from", "registry"], &[("PATH", &path)]);
        assert!(said.contains(why) && !said.contains("Debian packages"), "{said}");
    }
}

#[test]
fn a_binary_that_cannot_run_in_the_images_is_refused_before_anything_is_built() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let info: Answer = ("GET", "/info", 200, r#"{"DockerRootDir":"/nowhere"}"#);
    // A program for 64-bit ARM, as far as its header goes.
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(64, 0);
    (header[16], header[18]) = (2, 183);
    for (content, why) in
        [(header, "it is a program for arm64"), (b"#!/bin/sh\n".to_vec(), "it is no program for Linux")]
    {
        let binary = folder.path().join("other");
        fs::write(&binary, content).expect("can be written");
        let binary = binary.display().to_string();
        let (code, said) = told(&[NEW, info], &["images", "build", "--binary", &binary]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(&format!("{binary} does not run in the images")) && said.contains(why), "{said}");
        assert!(said.contains("cargo build --release") && said.contains("--binary target/images"), "{said}");
    }
}
