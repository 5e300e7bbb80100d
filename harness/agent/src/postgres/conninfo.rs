//! libpq connection strings, in the order and with the quoting in which Patroni writes them (`format_dsn`): scripts that were
//! written for Patroni find what they look for.

use std::fmt::Display;

/// What libpq knows of TLS for one user, in Patroni's order.
pub const SSL: [&str; 7] = ["sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl", "sslcrldir"];

/// Patroni's order. What it has no place for follows in the order in which it was given.
const ORDER: [&[&str]; 3] = [
    &["dbname", "user", "passfile", "host", "port"],
    &SSL,
    &["application_name", "krbsrvname", "gssencmode", "channel_binding", "target_session_attrs", "sslnegotiation"],
];

/// A connection string. Passwords have no place in one: they are in a password file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conninfo(Vec<(String, String)>);

impl Conninfo {
    /// With one more parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Display) -> Self {
        self.0.push((name.to_owned(), value.to_string()));
        self
    }

    /// With the parameters of a user's configuration: `sslmode` and its like.
    #[must_use]
    pub fn with_all<'a>(self, options: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        options.into_iter().fold(self, |it, (name, value)| it.with(name, value))
    }
}

impl Display for Conninfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = |name: &str| ORDER.into_iter().flatten().position(|known| *known == name).unwrap_or(usize::MAX);
        let mut fields: Vec<_> = self.0.iter().collect();
        fields.sort_by_key(|(name, _)| place(name));
        for (number, (name, value)) in fields.into_iter().enumerate() {
            let space = if number == 0 { "" } else { " " };
            write!(f, "{space}{name}={}", escaped(value))?;
        }
        Ok(())
    }
}

/// A backslash before what would end a value or begin a quoted one (`conninfo_parse` of `fe-connect.c`).
fn escaped(value: &str) -> String {
    if value.is_empty() {
        return "''".into();
    }
    let mut text = String::new();
    for c in value.chars() {
        if c == '\'' || c == '\\' || c.is_ascii_whitespace() || c == '\u{b}' {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn parameters_are_in_patronis_order_whatever_the_order_they_came_in() {
        let options = [("sslmode", "verify-ca"), ("gssencmode", "prefer"), ("sslrootcert", "/etc/ssl/our ca.crt")];
        let options: BTreeMap<_, _> = options.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let it = Conninfo::default().with("connect_timeout", 10).with("keepalives_idle", 3).with_all(&options);
        let it = it.with("application_name", "pg1").with("port", 5432).with("host", "10.0.0.1").with("user", "app");
        insta::assert_snapshot!(it, @r"user=app host=10.0.0.1 port=5432 sslmode=verify-ca sslrootcert=/etc/ssl/our\ ca.crt application_name=pg1 gssencmode=prefer connect_timeout=10 keepalives_idle=3");
    }

    #[test]
    fn no_value_reaches_into_the_next() {
        for (value, expected) in
            [(r"it's \", r"it\'s\ \\"), ("a b\tc", "a\\ b\\\tc"), ("", "''"), ("/run/a=b", "/run/a=b")]
        {
            assert_eq!(Conninfo::default().with("user", value).to_string(), format!("user={expected}"));
        }
    }
}
