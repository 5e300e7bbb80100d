//! Files that are no scenarios at all, or are made to hurt: each is refused quickly and with a clear answer.

use std::fs;

use pgdrill_lab::scenario::{load, load_all, load_text};

use super::{HEAD, problems};

#[test]
fn a_folder_without_scenarios_is_a_mistake() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let found = load_all(&[folder.path().to_owned()]).expect_err("there is nothing in it");
    assert_eq!(found[0].found, "a folder without scenarios");
}

#[test]
fn a_path_that_is_no_file_is_a_mistake() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert_eq!(load(folder.path()).expect_err("a folder")[0].found, "a folder");
    let missing = load(&folder.path().join("missing.yaml")).expect_err("nothing there");
    assert!(missing[0].found.contains("No such file"), "{}", missing[0]);
    assert_eq!(load(std::path::Path::new("/dev/zero")).expect_err("endless")[0].found, "a device");
}

#[test]
fn binary_garbage_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("garbage.yaml");
    fs::write(&file, [0u8, 159, 146, 150, 255, 1, 2, 3]).expect("a file");
    assert!(load(&file).expect_err("no text")[0].found.contains("no UTF-8 text, from byte 1"));
    fs::write(&file, "\0\0\0").expect("a file");
    load(&file).expect_err("no YAML");
}

#[test]
fn ten_megabytes_are_refused_without_being_parsed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("long.yaml");
    fs::write(&file, format!("{HEAD}# {}\nduration: 10s\n", "x".repeat(10 << 20))).expect("a file");
    let found = load(&file).expect_err("too long");
    assert_eq!((found[0].found.as_str(), found[0].expected.as_str()), ("10485813 bytes", "at most 1 MiB"));
}

#[test]
fn an_alias_bomb_is_defused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let before = format!("*a{}", n - 1);
        bomb += &format!("a{n}: &a{n} [{}]\n", [before.as_str(); 10].join(", "));
    }
    let found = problems(&format!("{HEAD}{bomb}duration: 10s\n"));
    assert!(found.contains("aliases (`*name`) that stand for far more YAML than the file holds"), "{found}");
}

#[test]
fn deep_nesting_is_refused() {
    for depth in [100, 100_000] {
        let found = problems(&format!("{HEAD}duration: {}{}\n", "[".repeat(depth), "]".repeat(depth)));
        assert!(found.contains("at most 32 levels") || found.contains("no valid YAML"), "{found}");
    }
}

#[test]
fn what_is_no_scenario_is_told_from_what_is_empty() {
    assert!(problems("").contains("an empty file"));
    assert!(problems("# only words\n").contains("an empty file"));
    // The text itself is not shown: it may be what somebody keeps in a file of its own.
    assert!(problems("s3cret\n").contains("a single value") && !problems("s3cret\n").contains("s3cret"));
    assert!(problems(&format!("{HEAD}duration: 10s\n---\nname: two\n")).contains("document"));
    assert!(problems("name: [drill\n").contains("no valid YAML"));
}

/// 60 kB of them took gigabytes: each told its whole line, and was compared with each other.
#[test]
fn of_many_mistakes_the_first_are_told_and_the_others_counted() {
    let entries = vec!["x"; 5_000].join(", ");
    let text = format!("{HEAD}duration: 10s\ntimeline: [{entries}]\n");
    let found = load_text("drill.yaml".as_ref(), &text).expect_err("nothing of it is right");
    assert_eq!(found.len(), 21);
    assert_eq!(found[20].found, "4980 more mistakes");
    let length: usize = found.iter().map(|problem| format!("{:?}", problem.report()).len()).sum();
    assert!(length < 40_000, "{length}");
    let names: Vec<String> = (0..5_000).map(|n| format!("n{n}: 1")).collect();
    let found = problems(&format!("{HEAD}duration: 10s\n{}\n", names.join("\n")));
    assert!(found.contains("4990 more fields that are not known"), "{}", found.lines().count());
    let same = vec!["n: 1"; 5_000].join("\n");
    load_text("drill.yaml".as_ref(), &format!("{HEAD}duration: 10s\n{same}\n")).expect_err("one field again and again");
}

#[test]
fn a_mistake_far_to_the_right_is_shown_with_what_is_around_it() {
    let entries = vec!["{ at: 1s, heal: all }"; 4000].join(", ");
    let text = format!("{HEAD}duration: 10s\ntimeline: [{entries}, {{ at: 1s, cuht: x }}]\n");
    let found = load_text("drill.yaml".as_ref(), &text).expect_err("the last is misspelt");
    let last = found.iter().find(|problem| problem.found.contains("cuht")).expect("it is told");
    let drawn = format!("{:?}", last.report());
    assert!(last.column > 65_535 && drawn.contains("cuht") && drawn.contains(&format!(":{}]", last.column)), "{drawn}");
}
