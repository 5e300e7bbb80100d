//! What a message shows of a file: everything around a secret, and nothing of the secret, wherever it is and however it is written,
//! also where the file is no YAML.

#[path = "redaction/mutant.rs"]
mod mutant;

use std::path::{Path, PathBuf};

use mutant::{Draws, SECRETS, mutant, mutants};
use pgdrill_yaml::{Document, Place, Reader, parse};

const PATRONI_YML: Document = Document { what: "patroni.yml", fields: "fields", yaml_1_1: true };

/// The text as excerpts show it, line by line.
fn shown(text: &str) -> String {
    let mut reader = Reader::new(PathBuf::from("patroni.yml"), text);
    let lines = text.split('\n').count();
    let excerpt = |line| reader.problem(Place { line, column: 1, ..Place::default() }, "", "x", "y").excerpt.clone();
    (1..=lines).map(excerpt).collect::<Vec<_>>().join("\n")
}

/// Everything that is said of a text that cannot be parsed.
fn said(text: &str) -> String {
    match parse(Path::new("patroni.yml"), text, PATRONI_YML) {
        Ok(_) => String::new(),
        Err(problem) => format!("{problem}\n{:?}", problem.report()),
    }
}

#[test]
fn a_secret_is_hidden_by_its_place_and_what_is_around_it_stays() {
    for (text, expected) in [
        ("password: s3cret", "password: ********"),
        ("password: 'it''s'  # old", "password: ********"),
        ("\"pass\\u0077ord\": s3cret", "\"pass\\u0077ord\": ********"),
        (
            "{ username: admin, password: s3cret, sslmode: prefer }",
            "{ username: admin, password: ********, sslmode: prefer }",
        ),
        ("{ username: admin, pasword: s3cret }", "{ username: admin, pasword: ******** }"),
        ("authentication: { username: admin, s3cret }", "authentication: { username: admin, ******** }"),
        (
            "authentication: { username: admin, kennwort: s3cret }",
            "authentication: { username: admin, kennwort: ******** }",
        ),
        ("authentication: admin:s3cret", "authentication: ********"),
        (
            "authentication: { superuser: { username: postgres } }",
            "authentication: { superuser: { username: postgres } }",
        ),
        ("{ password:s3cret }", "{ password:******** }"),
        ("password: [a, {b: c}]", "password: ********"),
        ("password: &s3cret", "password: ********"),
        ("password: !s3cret x", "password: ********"),
        ("password: *s3cret", "password: ********"),
        ("password: |\n  s3\n  cret\nname: x", "password: ********\n********\n********\nname: x"),
        ("password: \"s3\n  cret\" # x\nname: x", "password: ********\n********\nname: x"),
        ("password:\n  - s3cret\n  - x\nname: x", "password:\n********\n********\nname: x"),
        ("password:\nname: x", "password:\nname: x"),
        ("? password\n: s3cret", "? password\n********"),
        ("x: &p s3cret\npassword: *p\ny: z", "x: &p ********\npassword: ********\ny: z"),
        ("etcd3: {url: 'https://root:s3/c@r:t@h:2379'}", "etcd3: {url: 'https://root:********@h:2379'}"),
        ("command: \"restore --password=\\\"s3 cret\\\" --to /x\"", "command: ********"),
        ("command: restore --password=s3cret --to /x", "command: restore --password=******** --to /x"),
        ("primary_conninfo: host=h password=s3cret user=u", "primary_conninfo: host=h password=******** user=u"),
        ("http_extra_headers: {X: Bearer s3cret, Y: z}", "http_extra_headers: {X: Bearer ********, Y: z}"),
        ("headers: {Authorization: Basic czNjcmV0}", "headers: {Authorization: ********}"),
        ("a: b # password was s3cret", "a: b ********"),
        ("# password: s3cret\na: b", "********\na: b"),
        ("pg_hba: ['host all all 0.0.0.0/0 password']", "pg_hba: ['host all all 0.0.0.0/0 password']"),
        ("password_encryption: scram-sha-256", "password_encryption: scram-sha-256"),
        ("\u{feff}password: s3cret\r\nname: x", "\u{fffd}password: ********\nname: x"),
        ("a: \u{1f418} \npassword: \u{1f418}\u{1f418}\nname: x", "a: \u{1f418} \npassword: ********\nname: x"),
        // No YAML.
        ("restapi:\n  username: admin\n password: s3cret", "restapi:\n  username: admin\n password: ********"),
        ("@\npassword: s3cret\n  more\nname: x", "@\npassword: ********\n  ********\nname: x"),
        ("@\nauthentication: {username: a, s3cret", "@\nauthentication: ********"),
        (
            "@\nauthentication:\n  username: a\n  kennwort: s3cret\nname: x",
            "@\nauthentication:\n  username: a\n  kennwort: ********\nname: x",
        ),
        ("@\n\"pass\\u0077ord\": s3cret", "@\n********"),
        ("@\nx: &p s3cret\npassword: *p", "@\nx: ********\npassword: ********"),
        ("ttl: 30\n loop_wait: 10: x", "ttl: 30\n loop_wait: 10: x"),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn of_a_long_line_the_part_around_the_place_is_shown() {
    let text = format!("{}: [{}, x]", "a".repeat(40), vec!["password=s3cret"; 20_000].join(", "));
    let mut reader = Reader::new(PathBuf::from("x"), &text);
    for column in [1, 70_000, 200_000, 400_000] {
        let problem = reader.problem(Place { line: 1, column, width: 300_000, ..Place::default() }, "", "x", "y");
        assert!(problem.excerpt.chars().count() <= 200 && !problem.excerpt.contains("s3cret"), "{}", problem.excerpt);
        assert!(problem.mark <= problem.excerpt.chars().count() + 1, "{problem:?}");
        assert!(format!("{:?}", problem.report()).contains(&format!(":{column}]")), "{problem:?}");
    }
}

#[test]
fn nothing_of_a_secret_is_shown_of_a_file_that_is_written_wrongly() {
    let seeds = mutants(300);
    let mut leaks = Vec::new();
    for seed in 0..seeds {
        let text = mutant(seed);
        let told = shown(&text) + &said(&text);
        if let Some(line) = told.lines().find(|line| SECRETS.iter().any(|secret| line.contains(secret))) {
            let at = text.lines().position(|it| it.trim() == line.trim()).unwrap_or(0);
            let around: Vec<_> = text.lines().skip(at.saturating_sub(3)).take(5).collect();
            leaks.push(format!("seed {seed}: {line}\n{}", around.join("\n")));
        }
    }
    assert!(leaks.is_empty(), "{} of {seeds}:\n{}", leaks.len(), leaks.join("\n"));
}

#[test]
fn no_text_makes_it_panic() {
    let mut draws = Draws(7);
    for _ in 0..3000 {
        const PIECES: [&str; 24] = [
            "password",
            ":",
            " ",
            "\n",
            "\r",
            "\r\n",
            "\t",
            "- ",
            "{",
            "}",
            "[",
            "]",
            "\"",
            "'",
            "|",
            ">",
            "&a ",
            "*a",
            "!t ",
            "\\",
            "ä",
            "\u{1f418}",
            "://x:y@",
            "#",
        ];
        let text: String = (0..draws.below(40)).map(|_| PIECES[draws.below(PIECES.len())]).collect();
        shown(&text);
        said(&text);
    }
}
