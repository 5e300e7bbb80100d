//! Scenario files and a user's patroni.yml with anything in any place of them: an answer, drawn, and never a panic.

use std::{fs, path::PathBuf};

use pgdrill_lab::scenario::{Problem, load_text, use_patroni_file};

/// Numbers as they come: the same in every run.
struct Draws(u64);

impl Draws {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % most.max(1)
    }
}

/// What is put in place of a piece of the file.
const WITH: [&str; 28] = [
    "",
    " ",
    "\n",
    "\r\n",
    "\t",
    ":",
    ": ",
    ",",
    "-",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "&a ",
    "*a",
    "<<: ",
    "!!",
    "|",
    "> ",
    "#",
    "~",
    "99999999999999999999999",
    "-1s",
    "\u{1b}[2J",
    "\u{1f418}",
];

fn mutant(text: &str, seed: u64) -> String {
    let mut draws = Draws(seed);
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=draws.below(3) {
        let at = draws.below(chars.len());
        let to = (at + draws.below(12)).min(chars.len());
        chars.splice(at..to, WITH[draws.below(WITH.len())].chars());
    }
    chars.into_iter().collect()
}

fn drawn(problems: &[Problem]) {
    for problem in problems {
        let text = format!("{problem}\n{:?}", problem.report());
        assert!(!text.contains(['\u{1b}', '\r']), "{text:?}");
    }
}

fn mutants() -> u64 {
    std::env::var("PGDRILL_MUTANTS").ok().and_then(|count| count.parse().ok()).unwrap_or(200)
}

#[test]
fn no_mutant_of_a_scenario_makes_it_panic() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let mut texts = Vec::new();
    for theme in fs::read_dir(folder).expect("the shipped scenarios").flatten().filter(|theme| theme.path().is_dir()) {
        for file in fs::read_dir(theme.path()).expect("readable").flatten().map(|file| file.path()) {
            if file.extension().is_some_and(|extension| extension == "yaml") {
                texts.push((file.clone(), fs::read_to_string(&file).expect("readable")));
            }
        }
    }
    texts.sort();
    for seed in 0..mutants() {
        let (file, text) = &texts[usize::try_from(seed).unwrap_or(0) % texts.len()];
        match load_text(file, &mutant(text, seed)) {
            Ok(loaded) => drawn(&loaded.warnings),
            Err(problems) => drawn(&problems),
        }
    }
}

#[test]
fn no_mutant_of_a_patroni_yml_makes_it_panic_or_talk() {
    let fixture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/patroni.yml");
    let text = fs::read_to_string(fixture).expect("readable").replace("not-a-real-one", "SECRET");
    let scenario =
        load_text("drill.yaml".as_ref(), &format!("{}duration: 10s\n", super::HEAD)).expect("right").scenario;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("patroni.yml");
    for seed in 0..mutants() {
        // Whatever happens to the rest, the secret stays what it is: one character for the mutation.
        let mutated = mutant(&text.replace("SECRET", "\u{1}"), seed).replace('\u{1}', "not-a-real-one");
        fs::write(&file, mutated).expect("written");
        match use_patroni_file(&mut scenario.clone(), &file) {
            Ok(warnings) => drawn(&warnings.warnings),
            Err(problems) => drawn(&problems),
        }
    }
}
