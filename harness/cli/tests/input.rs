//! What a command is given to read: files that are none, files that are made to hurt, and names that a terminal would obey.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

const QUIET: &str = "\
name: quiet
about: Nothing happens.
workload: { writers: 1, rate: 1/s, readers: 0 }
duration: 10s
";

/// Exit code and everything that is said; a command that waits for ever is ended, and fails.
fn pgdrill(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let out = folder.join("said");
    let file = fs::File::create(&out).expect("it can be made");
    let mut child = Command::new(env!("CARGO_BIN_EXE_pgdrill"))
        .current_dir(folder)
        .args(arguments)
        // As on a terminal that shows colours: nothing is left out because it goes to a file.
        .env("CLICOLOR_FORCE", "1")
        .stdin(Stdio::null())
        .stdout(file.try_clone().expect("it can be shared"))
        .stderr(file)
        .spawn()
        .expect("it can be started");
    let began = Instant::now();
    while child.try_wait().expect("it is ours").is_none() {
        if began.elapsed() > Duration::from_secs(60) {
            child.kill().expect("it is ours");
            panic!("{arguments:?} waits for ever");
        }
        sleep(Duration::from_millis(20));
    }
    let code = child.wait().expect("it has ended").code();
    (code, fs::read_to_string(out).expect("it was written"))
}

#[test]
fn what_is_no_file_is_refused_by_every_command_that_reads_one() {
    let lab = tempfile::tempdir().expect("a folder");
    let folder = lab.path();
    fs::write(folder.join("quiet.yaml"), QUIET).expect("written");
    assert!(Command::new("mkfifo").arg(folder.join("pipe")).status().expect("it runs").success());
    std::os::unix::fs::symlink("/dev/zero", folder.join("zero")).expect("a link");
    fs::File::create(folder.join("huge")).and_then(|file| file.set_len(1 << 40)).expect("a hole");
    for (file, found) in [("pipe", "a pipe"), ("zero", "a device"), ("huge", "1099511627776 bytes")] {
        for before in [
            "scenario check",
            "run --quiet",
            "run quiet.yaml --quiet --patroni",
            "scenario check quiet.yaml --patroni",
            "compare quiet.yaml --worlds sim --seeds 0..1 --patroni",
            "run quiet.yaml --quiet --calibration",
            "matrix",
            "matrix --update",
            "agent --validate-config",
            "ctl version -c",
        ] {
            let mut arguments: Vec<&str> = before.split(' ').collect();
            arguments.push(file);
            if before == "matrix --update" {
                fs::write(folder.join("none.json"), "{\"format\": \"pgdrill-summary-1\", \"runs\": []}")
                    .expect("written");
                arguments.push("none.json");
            }
            if before == "ctl version -c" {
                arguments = vec!["ctl", "-c", file, "version"];
            }
            let (code, said) = pgdrill(folder, &arguments);
            assert_eq!(code, Some(2), "{arguments:?}: {said}");
            let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(said.contains(found), "{arguments:?}: {said}");
        }
    }
}

#[test]
fn a_file_that_is_made_to_hurt_does_not_end_the_check_of_the_others() {
    let lab = tempfile::tempdir().expect("a folder");
    let folder = lab.path();
    fs::create_dir(folder.join("all")).expect("a folder");
    let far = format!("{QUIET}timeline: [{}{{ at: 1s, cuht: x }}]\n", "{ at: 1s, heal: all }, ".repeat(4000));
    for (name, text) in [("far", far.replace("quiet", "far")), ("wrong", QUIET.replace("duration", "duraton"))] {
        fs::write(folder.join(format!("all/{name}.yaml")), text).expect("written");
    }
    fs::write(folder.join("all/quiet.yaml"), QUIET).expect("written");
    assert!(Command::new("mkfifo").arg(folder.join("all/pipe.yaml")).status().expect("it runs").success());
    let (code, said) = pgdrill(folder, &["scenario", "check", "all"]);
    assert_eq!(code, Some(2), "{said}");
    for part in ["cuht", "duraton", "a pipe"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_path_that_leads_nowhere_is_told_beside_what_is_wrong_with_the_files() {
    let lab = tempfile::tempdir().expect("a folder");
    let folder = lab.path();
    fs::write(folder.join("wrong.yaml"), QUIET.replace("duration", "duraton")).expect("written");
    fs::write(folder.join("quiet.yaml"), QUIET).expect("written");
    for command in [&["scenario", "check"][..], &["scenario", "list"], &["run", "--quiet"]] {
        let (code, said) = pgdrill(folder, &[command, &["no/such.yaml", "wrong.yaml", "nor/this.yaml"]].concat());
        assert_eq!(code, Some(2), "{command:?}: {said}");
        for part in ["no/such.yaml", "duraton", "nor/this.yaml"] {
            assert!(said.contains(part), "{command:?}, {part}: {said}");
        }
        let (code, said) = pgdrill(folder, &[command, &["no/such.yaml", "quiet.yaml"]].concat());
        assert_eq!((code, said.contains("no/such.yaml")), (Some(2), true), "{command:?}: {said}");
    }
}

#[test]
fn nothing_that_a_terminal_would_obey_is_printed_of_a_file_or_its_name() {
    let lab = tempfile::tempdir().expect("a folder");
    let folder = lab.path();
    let name = "evil\u{1b}]0;owned\u{7}";
    fs::create_dir(folder.join(name)).expect("a folder");
    fs::write(folder.join(name).join("quiet.yaml"), QUIET).expect("written");
    let about = QUIET.replace("Nothing happens.", "\"\\e[2J\\e[1;1H all right\"").replace("quiet", "told");
    fs::write(folder.join("told.yaml"), about).expect("written");
    fs::write(folder.join("raw.yaml"), QUIET.replace("quiet", "raw\u{9b}2J")).expect("written");
    let paths = [name, "told.yaml", "raw.yaml"];
    for command in [&["scenario", "list"][..], &["scenario", "check"], &["run", "--seed", "1"]] {
        for path in paths {
            let (_, said) = pgdrill(folder, &[command, &[path]].concat());
            let rest = said.replace("\u{1b}[", "");
            let obeyed = said.matches("\u{1b}[").count() > said.matches('m').count();
            assert!(!obeyed && !rest.contains(|c: char| c.is_control() && c != '\n'), "{command:?} {path:?}: {said:?}");
            assert!(!said.contains("\u{1b}[2J"), "{command:?} {path:?}: {said:?}");
        }
    }
    let (_, list) = pgdrill(folder, &["scenario", "list", name]);
    assert!(list.contains("evil␛]0;owned␇/quiet  Nothing happens."), "{list:?}");
}
