//! Warts of a `patroni.yml` that are about who may come in: `pg_hba`, passwords, the REST API.

use super::at;
use crate::{At, Node, Reader, Value, without_secrets};

/// Lines of `pg_hba` that let in more than they should.
pub fn hba(reader: &mut Reader<'_>, root: &Node) {
    for path in ["bootstrap.pg_hba", "bootstrap.dcs.postgresql.pg_hba", "postgresql.pg_hba"] {
        if let Some(lines) = at(root, path) {
            hba_lines(reader, &lines);
        }
    }
}

/// Passwords that are written into the file.
pub fn passwords(reader: &mut Reader<'_>, root: &Node) {
    for role in ["superuser", "replication", "rewind"] {
        if let Some(password) = at(root, &format!("postgresql.authentication.{role}.password")) {
            let variable = format!("PATRONI_{}_PASSWORD", role.to_uppercase());
            secret(reader, &password, &variable);
        }
    }
    if let Some(password) = at(root, "restapi.authentication.password") {
        secret(reader, &password, "PATRONI_RESTAPI_PASSWORD");
    }
}

/// A REST API that obeys everybody.
pub fn open_restapi(reader: &mut Reader<'_>, root: &Node) {
    let Some(restapi) = at(root, "restapi") else { return };
    if restapi.node.get("authentication").is_none() && restapi.node.get("allowlist").is_none() {
        let found = "a REST API without authentication and without an allowlist";
        reader.problem(restapi.node.place, &restapi.path, found, "restapi.authentication or restapi.allowlist").help =
            "whoever reaches its port can call /switchover, /restart and /reinitialize".into();
    }
}

fn secret(reader: &mut Reader<'_>, password: &At<'_>, variable: &str) {
    // The password itself does not belong into a message either.
    let expected = format!("{variable} in the environment");
    reader.problem(password.node.place, &password.path, "a password in the file", expected).help =
        "configuration files are copied into tickets and repositories".into();
}

fn hba_lines(reader: &mut Reader<'_>, lines: &At<'_>) {
    // What is no list is told by whoever reads it.
    let Value::List(_) = &lines.node.value else { return };
    for line in reader.items(lines) {
        let Value::Text(text) = &line.node.value else { continue };
        let words: Vec<&str> = text.split_whitespace().collect();
        let remote = words.first().is_some_and(|kind| kind.starts_with("host"));
        if words.contains(&"md5") {
            reader.wrong(&line, format!("{:?}", without_secrets(text).replace("md5", "scram-sha-256"))).help =
                "md5 is deprecated: its stored hash is enough to log in, and PostgreSQL 18 warns of it".into();
        } else if remote && words.contains(&"trust") && !text.contains("127.0.0.1") && !text.contains("::1") {
            reader.wrong(&line, "scram-sha-256 instead of trust").help =
                "it lets anybody in, without a password".into();
        } else if remote && words.contains(&"password") {
            reader.wrong(&line, "scram-sha-256 instead of password").help = "it sends the password in the clear".into();
        }
        let everybody = words.iter().any(|word| matches!(*word, "0.0.0.0/0" | "::/0"));
        if everybody && words.get(1..3) == Some(&["all", "all"]) {
            reader.wrong(&line, "the networks that clients come from").help =
                "every user, to every database, from every address: the superuser too".into();
        }
    }
}
