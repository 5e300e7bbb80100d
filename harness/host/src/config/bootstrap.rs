//! `bootstrap`: how a new cluster is made.

use pgdrill_agent::config::{BootstrapConfig, BootstrapUser};
use pgdrill_yaml::{At, Node, Reader, did_you_mean, patroni as warts};
use serde_json::{Map, Value as Json};

use super::{
    dynamic, methods,
    value::{command, options, secret, texts},
};
use crate::own_options;

/// Words of `CREATE ROLE` that stand alone (PostgreSQL's documentation, "CREATE ROLE").
const ROLE_OPTIONS: [&str; 7] = ["SUPERUSER", "CREATEDB", "CREATEROLE", "INHERIT", "LOGIN", "REPLICATION", "BYPASSRLS"];

/// The section.
pub(super) fn bootstrap(reader: &mut Reader<'_>, at: &At<'_>, root: &Node) -> BootstrapConfig {
    let mut fields = reader.fields(at);
    let dcs = fields.take_set("dcs").map(|at| dynamic::dcs(reader, &at, root));
    let initdb =
        fields.take_set("initdb").map(|at| options(reader, &at, "initdb", own_options::INITDB)).unwrap_or_default();
    let pg_hba = fields.take_set("pg_hba").map(|at| texts(reader, &at, "a line of pg_hba.conf"));
    let users = fields.take_set("users").map(|at| users(reader, &at)).unwrap_or_default();
    let post_bootstrap = fields.take_set("post_bootstrap");
    let post_init = fields.take_set("post_init");
    if let (Some(_), Some(at)) = (&post_bootstrap, &post_init) {
        reader.wrong(at, "only one of post_bootstrap and post_init").help = "they are the same".into();
    }
    let post_bootstrap = post_bootstrap.or(post_init).and_then(|at| command(reader, &at));
    let method = fields.take_set("method").and_then(|at| methods::bootstrap_method(reader, &mut fields, &at));
    // A section of a method that is not in use: kept for the day when it is.
    fields.take_where(|_, node| node.get("command").is_some());
    warts::finish(reader, &fields);
    BootstrapConfig {
        dcs: dcs.unwrap_or_else(|| Json::Object(Map::new())),
        initdb,
        pg_hba,
        users,
        post_bootstrap,
        method,
    }
}

fn users(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<BootstrapUser> {
    let mut found = Vec::new();
    for (key, node) in reader.fields(at).rest() {
        let at = At { node, path: at.field(&key.name) };
        if !matches!(node.value, pgdrill_yaml::Value::Map(_)) {
            reader.problem(node.place, &at.path, "something else", "a group: { password: ..., options: [CREATEDB] }");
            continue;
        }
        let mut fields = reader.fields(&at);
        let password = fields.take_set("password").and_then(|at| secret(reader, &at));
        let options = fields.take_set("options").map(|at| role_options(reader, &at)).unwrap_or_default();
        fields.finish(reader);
        found.push(BootstrapUser { name: key.name.clone(), password, options });
    }
    found
}

fn role_options(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for item in reader.items(at) {
        let Some(text) = reader.text(&item, "a word of CREATE ROLE") else { continue };
        let word = text.to_ascii_uppercase();
        let positive = word.strip_prefix("NO").unwrap_or(&word);
        if ROLE_OPTIONS.contains(&positive) {
            found.push(word);
        } else {
            reader
                .wrong(&item, format!("{}, or one of them with NO in front", pgdrill_yaml::one_of(&ROLE_OPTIONS)))
                .help = did_you_mean(positive, ROLE_OPTIONS.into_iter());
        }
    }
    found
}
