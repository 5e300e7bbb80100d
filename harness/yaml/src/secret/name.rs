//! Which names of fields, options and headers have a secret as their value.

use crate::did_you_mean;

/// A name with one of these inside is a secret's.
const INSIDE: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "authorization",
    "cookie",
    "apikey",
    "api_key",
    "api-key",
    "private_key",
];

/// A name with one of these as a word of its own is a secret's: `db-pwd`.
const WORDS: [&str; 5] = ["pass", "pwd", "pw", "psw", "pswd"];

/// Names that look like a secret's and are none.
const HARMLESS: [&str; 8] = [
    "server_tokens",
    "password_encryption",
    "ssl_passphrase_command_supports_reload",
    "pgpass",
    "passfile",
    "password_file",
    "passwordcheck",
    "password_authentication",
];

/// What is no secret of a user: how it is called and how it connects.
const OF_A_USER: [&str; 11] = [
    "username",
    "options",
    "sslmode",
    "sslcert",
    "sslkey",
    "sslrootcert",
    "sslcrl",
    "sslcrldir",
    "gssencmode",
    "channel_binding",
    "sslnegotiation",
];

/// Longer names are none that somebody misspelt.
const LONGEST: usize = 64;

/// Whether the value of this name is a secret, also where the name is not spelt well.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.trim().trim_start_matches('-').to_lowercase();
    let is_part = |part: &str| WORDS.contains(&part) || is_like_password(part);
    // What slipped into a name does not make it another one.
    let letters: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    !HARMLESS.contains(&name.as_str())
        && (name == "auth"
            || INSIDE.iter().any(|inside| name.contains(inside))
            || holds_password(&letters)
            || name.split(|c: char| !c.is_alphanumeric()).any(is_part)
            || is_like_password(&name))
}

/// Whether this may be what is left of a secret's name whose beginning is elsewhere: `rd`, or `&rd` of `password`.
pub(super) fn may_end_a_secret(rest: &str) -> bool {
    let rest = rest.to_lowercase();
    let ends = |name: &str| {
        (1..name.len()).map(|at| &name[at..]).any(|end| rest == end || (end.len() > 1 && rest.ends_with(end)))
    };
    INSIDE.into_iter().chain(WORDS).any(ends)
}

/// `password` inside of a name, with one letter wrong at most.
fn holds_password(letters: &str) -> bool {
    const PASSWORD: &str = "password";
    if letters.contains(PASSWORD) {
        return true;
    }
    if letters.len() > LONGEST || !(letters.contains("pas") || letters.contains("word")) {
        return false;
    }
    let letters: Vec<char> = letters.chars().collect();
    let is_close = |part: &[char]| strsim::levenshtein(&part.iter().collect::<String>(), PASSWORD) <= 1;
    (PASSWORD.len() - 1..=PASSWORD.len() + 1).any(|length| letters.windows(length).any(is_close))
}

/// `password`, well spelt or not: like it, or with most of it around something else.
fn is_like_password(name: &str) -> bool {
    const PASSWORD: &str = "password";
    if name.len() > LONGEST {
        return false;
    }
    let before = name.chars().zip(PASSWORD.chars()).take_while(|(found, right)| found == right).count();
    let after = name.chars().rev().zip(PASSWORD.chars().rev()).take_while(|(found, right)| found == right).count();
    before + after >= 6
        || !did_you_mean(name, [PASSWORD].into_iter()).is_empty()
        || ["authorization", "passphrase", "credentials"].iter().any(|right| strsim::levenshtein(name, right) <= 2)
}

/// Whether this is a group of users, in which every value may be a password in the wrong place.
pub(super) fn is_group(name: &str) -> bool {
    let name = name.trim().to_lowercase();
    name == "users" || (name.len() <= LONGEST && !did_you_mean(&name, ["authentication"].into_iter()).is_empty())
}

/// Whether this field of a user is known to be no secret.
pub(super) fn is_harmless(name: &str) -> bool {
    OF_A_USER.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_also_when_they_are_misspelt() {
        for name in [
            "password",
            "Password",
            "pasword",
            "passwrod",
            "pa&,aassword",
            "keyfile_password",
            "keyfile_pas#word",
            "sslpassword",
            "PGPASSWORD",
            "--password",
            "db-pwd",
            "aws_secret_access_key",
            "Authorization",
            "X-Api-Key",
            "auth",
        ] {
            assert!(is_secret(name), "{name}");
        }
        assert!(["authentication", "authentification", "users"].into_iter().all(is_group));
    }

    /// Every name that a patroni.yml, a scenario or PostgreSQL knows and that is no secret's.
    #[test]
    fn no_other_name_is_taken_for_a_secrets() {
        for name in [
            "scope",
            "namespace",
            "name",
            "host",
            "hosts",
            "listen",
            "connect_address",
            "ttl",
            "loop_wait",
            "protocol",
            "proxy",
            "standby_cluster",
            "watchdog",
            "parameters",
            "recovery_conf",
            "pgpass",
            "server_tokens",
            "password_encryption",
            "authentication_timeout",
            "keyfile",
            "certfile",
            "allowlist",
            "username",
            "superuser",
            "replication",
            "rewind",
            "data_dir",
            "bin_dir",
            "passfile",
            "peers",
            "record",
            "workload",
            "writers",
            "readers",
            "timeline",
            "reason",
            "restart",
            "start",
            "stop",
            "scenario",
            "about",
            "standby",
            "keyword",
            "forward",
            "use_pg_rewind",
            "slots",
        ] {
            assert!(!is_secret(name) && !is_group(name), "{name}");
        }
    }
}
