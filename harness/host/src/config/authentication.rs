//! `postgresql.authentication`: the three users.

use std::collections::BTreeMap;

use pgdrill_agent::config::{ConnectionOptions, User};
use pgdrill_yaml::{At, Reader, Value, patroni as warts};

use super::{
    connection, required,
    value::{secret, word},
};

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
    warts::finish(reader, &fields);
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
    let options = connection::options(reader, &mut fields);
    warts::finish(reader, &fields);
    Some((User { username: username?, password }, options))
}
