//! libpq's connection parameters of the users: what the agent's own connections keep as PostgreSQL's programs do, and what they
//! cannot keep.

use std::collections::BTreeMap;

use pgdrill_agent::postgres::SSL;
use pgdrill_yaml::{At, Fields, Reader, Value};

use super::value::word;

/// The parameters that Patroni passes on (`_AUTH_ALLOWED_PARAMETERS`).
pub(super) fn passed_on() -> impl Iterator<Item = &'static str> {
    SSL.into_iter().chain(["gssencmode", "channel_binding", "sslnegotiation"])
}

/// `sslmode`, the least first.
const MODES: [(&str, &str); 6] = [
    ("disable", "disable"),
    ("allow", "allow"),
    ("prefer", "prefer"),
    ("require", "require"),
    ("verify-ca", "verify-ca"),
    ("verify-full", "verify-full"),
];

/// All of them, of one user. libpq's default of `sslmode` is among them, as Patroni writes it into `primary_conninfo`.
pub(super) fn options(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    let mode = fields.take_set("sslmode");
    let chosen = mode.as_ref().map_or(Some("prefer"), |at| reader.word(at, &MODES));
    let files = ["sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir"].map(|name| (name, fields.take_set(name)));
    if let Some(sslmode) = chosen {
        options.insert("sslmode".into(), sslmode.into());
        if sslmode == "disable" {
            unused(reader, &files);
        }
    }
    for (name, at) in &files {
        let Some(at) = at else { continue };
        let system = *name == "sslrootcert" && matches!(&at.node.value, Value::Text(text) if text == "system");
        if system && chosen.is_some_and(|sslmode| sslmode != "verify-full") {
            reader.wrong(at, "sslmode: verify-full beside it").help =
                "the system trusts authorities that sign for everybody: only the name tells servers apart, and libpq asks for it as well"
                    .into();
        }
        let value = if system { Some("system".into()) } else { file(reader, at) };
        options.extend(value.map(|value| ((*name).to_owned(), value)));
    }
    if options.get("sslrootcert").is_some_and(|file| file == "system") {
        lists_unused(reader, &files);
    }
    others(reader, fields, &mut options);
    options
}

type Named<'n> = (&'static str, Option<At<'n>>);

/// Files that libpq does not look at either.
fn unused(reader: &mut Reader<'_>, files: &[Named<'_>]) {
    for (_, at) in files {
        let Some(at) = at else { continue };
        reader.warning(|reader| {
            reader.wrong(at, "another sslmode beside it").help =
                "with sslmode: disable PostgreSQL is spoken to without TLS, and the file is not looked at".into();
        });
    }
}

/// Below the system's authorities libpq looks at no revocation lists.
fn lists_unused(reader: &mut Reader<'_>, files: &[Named<'_>]) {
    for (name, at) in files {
        let Some(at) = at.as_ref().filter(|_| name.starts_with("sslcrl")) else { continue };
        reader.warning(|reader| {
            reader.wrong(at, "an authority of your own in sslrootcert beside it").help =
                "with sslrootcert: system neither libpq nor the agent looks at revocation lists".into();
        });
    }
}

/// The agent, its programs and the server itself each look for it, and each is somewhere else.
fn file(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let text = word(reader, at, "a file")?;
    if !text.starts_with('/') {
        reader.wrong(at, "a path from the root").help =
            "PostgreSQL would look for it in its data directory, the agent where it was started".into();
        return None;
    }
    Some(text)
}

fn others(reader: &mut Reader<'_>, fields: &mut Fields<'_>, options: &mut BTreeMap<String, String>) {
    if let Some(at) = fields.take_set("sslpassword") {
        let expected = "no passphrase, and an sslkey that is not encrypted";
        // The value is a password.
        reader.problem(at.node.place, &at.path, "the field sslpassword", expected).help =
            "pgdrill reads no encrypted keys: `openssl pkey -in SSLKEY -out SSLKEY.new` takes the passphrase away, and permissions \
             0600 protect the file"
                .into();
    }
    for (name, words, why) in [
        (
            "gssencmode",
            &[("disable", "disable"), ("prefer", "prefer")][..],
            "pgdrill's agent does not speak GSSAPI; sslmode encrypts as well",
        ),
        (
            "channel_binding",
            &[("disable", "disable"), ("prefer", "prefer")],
            "pgdrill's agent logs in without channel binding; sslmode: verify-full makes sure as well that nobody stands between",
        ),
        (
            "sslnegotiation",
            &[("postgres", "postgres")],
            "PostgreSQL before 17 does not know direct, and pgdrill's agent does not speak it",
        ),
    ] {
        let Some(at) = fields.take_set(name) else { continue };
        match &at.node.value {
            Value::Text(text) if words.iter().any(|(word, _)| word == text) => {
                // Programs before 17 do not know the name of their only way either.
                if name != "sslnegotiation" {
                    options.insert(name.into(), text.clone());
                }
            }
            _ => {
                let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                reader.wrong(&at, pgdrill_yaml::one_of(&names)).help = why.into();
            }
        }
    }
}
