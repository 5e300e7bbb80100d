//! Passwords are kept out of what is said about a file.

use pgdrill_yaml::{Node, Problem, Value, did_you_mean};

use super::value::scalar;

/// No line that is shown with a problem shows a password, wherever in the line it is.
pub(super) fn hide(problems: &mut [Problem], root: &Node) {
    let mut secrets = Vec::new();
    collect_secrets(root, false, &mut secrets);
    // Names are shown with their quotes escaped, and what is glued to a name with them.
    let escaped: Vec<String> = secrets.iter().map(|secret| secret.escape_debug().to_string()).collect();
    secrets.extend(escaped);
    // The longest first: one may be part of another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for problem in problems {
        problem.excerpt = without_marked(&problem.excerpt);
        for secret in &secrets {
            problem.excerpt = problem.excerpt.replace(secret.as_str(), "********");
            // A short one may be part of any word.
            if secret.chars().count() > 3 {
                for said in [&mut problem.field, &mut problem.found, &mut problem.help] {
                    *said = said.replace(secret.as_str(), "********");
                }
            }
        }
    }
}

/// The line without what follows a password's name and begins with a character that means something to YAML: of
/// `password: &secret` it takes the secret for the name of nothing, and there is no value to hide.
fn without_marked(line: &str) -> String {
    let Some((name, value)) = line.split_once("password").and_then(|(before, rest)| {
        let begin = before.len() + "password".len() + rest.find(':')? + 1;
        line.split_at_checked(begin)
    }) else {
        return line.to_owned();
    };
    let secret = value.trim_start();
    if !secret.starts_with(['&', '*', '!', '#', '%', '@', '`']) {
        return format!("{name}{}", without_marked(value));
    }
    let spaces = &value[..value.len() - secret.len()];
    let rest = secret.find([',', '}', ' ']).map_or("", |end| &secret[end..]);
    format!("{name}{spaces}********{}", without_marked(rest))
}

/// `password`, well spelt or not: with it inside, like it, or with most of it around something else.
fn like_password(name: &str) -> bool {
    const PASSWORD: &str = "password";
    let before = name.chars().zip(PASSWORD.chars()).take_while(|(found, right)| found == right).count();
    let after = name.chars().rev().zip(PASSWORD.chars().rev()).take_while(|(found, right)| found == right).count();
    name.contains(PASSWORD) || before + after >= 6 || !did_you_mean(name, [PASSWORD].into_iter()).is_empty()
}

/// Everything under a name like `password`, well spelt or not, and in a group of users all that is not said to be harmless.
fn collect_secrets(node: &Node, secret: bool, found: &mut Vec<String>) {
    const HARMLESS: [&str; 9] = [
        "username",
        "options",
        "sslmode",
        "sslcert",
        "sslkey",
        "sslrootcert",
        "gssencmode",
        "channel_binding",
        "sslnegotiation",
    ];
    match &node.value {
        Value::Map(fields) => {
            let of_user = secret && fields.iter().any(|(key, _)| key.name == "username");
            for (key, node) in fields {
                // `{ username: admin, secret }`: a name without a value.
                let alone = of_user && matches!(node.value, Value::Null) && !HARMLESS.contains(&key.name.as_str());
                found.extend(Some(key.name.clone()).filter(|name| alone && !like_password(name)));
                let named = like_password(&key.name);
                let group = matches!(key.name.as_str(), "authentication" | "users");
                // `{ password:secret }`: without a space it is all one name.
                let glued = key.name.split_once(':').filter(|_| secret || named || key.name.contains("password"));
                found.extend(glued.map(|(_, secret)| secret.trim().to_owned()).filter(|text| !text.is_empty()));
                // `url: https://NAME:PASSWORD@HOST`.
                let in_url = scalar(node).filter(|_| key.name.contains("url"));
                let in_url = in_url.as_deref().and_then(super::etcd::credentials).and_then(|it| it.split_once(':'));
                found.extend(in_url.map(|(_, secret)| secret.to_owned()).filter(|text| !text.is_empty()));
                let inherited = secret && !HARMLESS.contains(&key.name.as_str());
                collect_secrets(node, named || group || inherited, found);
            }
        }
        Value::List(items) => items.iter().for_each(|item| collect_secrets(item, secret, found)),
        _ => found.extend(scalar(node).filter(|text| secret && !text.is_empty())),
    }
}
