//! Files with secrets that are written wrongly, as the agent reads them: an answer that shows none of them.

#[path = "../../../yaml/tests/redaction/mutant.rs"]
mod mutant;

use mutant::{Draws, SECRETS, mutant, mutants};
use pgdrill_host::config::{Environment, read};
use pgdrill_yaml::Problem;

use super::File;

fn told(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n{:?}\n", problem.report())).collect()
}

#[test]
fn the_agent_shows_no_secret_of_a_file_that_is_written_wrongly() {
    let mut leaks = Vec::new();
    for seed in 0..mutants(200) {
        let said = match File::with(&mutant(seed)).read() {
            Ok(loaded) => told(&loaded.warnings),
            Err(problems) => told(&problems),
        };
        if let Some(line) = said.lines().find(|line| SECRETS.iter().any(|secret| line.contains(secret))) {
            leaks.push(format!("seed {seed}: {line}"));
        }
    }
    assert!(leaks.is_empty(), "{} of {}:\n{}", leaks.len(), mutants(200), leaks.join("\n"));
}

/// A variable has no line that could be drawn, but what is found in it is told.
#[test]
fn the_agent_shows_no_secret_of_a_variable() {
    let secret = SECRETS[0];
    let mut draws = Draws(3);
    for variable in [
        "PATRONI_RESTAPI_PASSWORD",
        "PATRONI_ETCD3_URL",
        "PATRONI_ETCD3_HOSTS",
        "PATRONI_RESTAPI_HTTP_EXTRA_HEADERS",
        "PATRONI_app_OPTIONS",
        "PATRONI_SUPERUSER_SSLPASSWORD",
        "PATRONI_REPLICATION_PASWORD",
        "PATRONI_CONFIGURATION",
    ] {
        for value in [
            secret.to_owned(),
            format!("https://root:{secret}@10.0.0.1:x"),
            format!("Authorization: Bearer {secret}"),
            format!("X Y: Bearer {secret}\n"),
            format!("{{password: {secret}, x: ["),
            format!(
                "restapi: {{authentication: {{usename: admin, password: {secret}}}}}{}",
                " ".repeat(draws.below(3))
            ),
        ] {
            let environment = Environment::of([(variable.to_owned(), value.clone())]);
            let said =
                read(None, &environment).map_or_else(|problems| told(&problems), |loaded| told(&loaded.warnings));
            // What is no secret by its name and holds none is shown: a list of options, of hosts, a header without a value.
            let is_plain =
                value == secret && ["HOSTS", "OPTIONS", "URL", "HEADERS"].iter().any(|end| variable.ends_with(end));
            assert!(is_plain || !said.contains(secret), "{variable}={value}:\n{said}");
        }
    }
}
