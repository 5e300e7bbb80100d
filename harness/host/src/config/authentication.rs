//! `postgresql.authentication`: the three users.

use std::collections::BTreeMap;

use pgdrill_agent::config::{ConnectionOptions, User};
use pgdrill_yaml::{At, Reader, Value};

use super::{
    required,
    value::{secret, word},
};

/// libpq's parameters that Patroni passes on (`_AUTH_ALLOWED_PARAMETERS`).
pub(super) const PASSED_ON: [&str; 10] = [
    "sslmode",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslrootcert",
    "sslcrl",
    "sslcrldir",
    "gssencmode",
    "channel_binding",
    "sslnegotiation",
];

/// The users and how they connect.
#[derive(Debug)]
pub(super) struct Authentication {
    pub superuser: User,
    pub replication: User,
    pub rewind: Option<User>,
    pub connection: ConnectionOptions,
}

/// The section.
pub(super) fn authentication(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Authentication> {
    let mut fields = reader.fields(at);
    let superuser = required(reader, &mut fields, "superuser", "{ username: postgres, password: ... }");
    let superuser = superuser.and_then(|at| user(reader, &at));
    let replication = required(reader, &mut fields, "replication", "{ username: replicator, password: ... }");
    let replication = replication.and_then(|at| user(reader, &at));
    let rewind = fields.take_set("rewind").map(|at| user(reader, &at));
    fields.finish(reader);
    let (superuser, superuser_options) = superuser?;
    let (replication, replication_options) = replication?;
    let (rewind, rewind_options) = match rewind {
        Some(rewind) => rewind.map(|(user, options)| (Some(user), options))?,
        None => (None, BTreeMap::new()),
    };
    let connection =
        ConnectionOptions { superuser: superuser_options, replication: replication_options, rewind: rewind_options };
    Some(Authentication { superuser, replication, rewind, connection })
}

fn user(reader: &mut Reader<'_>, at: &At<'_>) -> Option<(User, BTreeMap<String, String>)> {
    if !matches!(at.node.value, Value::Map(_)) {
        reader.problem(at.node.place, &at.path, "something else", "a group: { username: ..., password: ... }");
        return None;
    }
    let mut fields = reader.fields(at);
    let username = required(reader, &mut fields, "username", "a role of PostgreSQL");
    let username = username.and_then(|at| word(reader, &at, "a role of PostgreSQL"));
    // None at all is legal: pg_hba may let the role in by peer or trust.
    let password = fields.take_set("password").and_then(|at| secret(reader, &at));
    let mut options = BTreeMap::new();
    for name in PASSED_ON {
        if let Some(at) = fields.take_set(name) {
            plain_only(reader, &at, name, &mut options);
        }
    }
    fields.finish(reader);
    Some((User { username: username?, password }, options))
}

/// Only what a connection without TLS and GSSAPI keeps is honoured.
fn plain_only(reader: &mut Reader<'_>, at: &At<'_>, name: &str, options: &mut BTreeMap<String, String>) {
    let harmless: &[&str] = match name {
        "sslmode" | "gssencmode" => &["disable", "allow", "prefer"],
        "channel_binding" => &["disable", "prefer"],
        _ => &[],
    };
    match &at.node.value {
        Value::Text(text) if harmless.contains(&text.as_str()) => _ = options.insert(name.into(), text.clone()),
        _ => {
            let expected = if harmless.is_empty() { "no such field".into() } else { pgdrill_yaml::one_of(harmless) };
            // It may be a password.
            reader.problem(at.node.place, &at.path, format!("the field {name}"), expected).help =
                "pgdrill's agent connects to PostgreSQL without TLS so far".into();
        }
    }
}
