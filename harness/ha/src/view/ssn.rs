//! `synchronous_standby_names`, read and written as PostgreSQL does.

use std::collections::BTreeSet;
use std::fmt;

/// The value of `synchronous_standby_names`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SynchronousStandbyNames {
    /// Empty: commits wait for nobody.
    #[default]
    Off,
    /// `n (a,b)`: the first n in the list that are connected. We always name exactly n, so all of them are waited for.
    First {
        /// How many are waited for.
        num_sync: u32,
        /// The candidates.
        names: BTreeSet<String>,
    },
    /// `ANY n (a,b)`: any n of the list.
    Any {
        /// How many are waited for.
        num_sync: u32,
        /// The candidates.
        names: BTreeSet<String>,
    },
    /// `*`: any one standby at all. Strict mode's way to hold commits while there is no standby.
    Star,
    /// Something we would never write.
    Foreign(String),
}

impl SynchronousStandbyNames {
    /// Waits for all of `names`; `Off` if there are none.
    pub fn all_of(names: BTreeSet<String>) -> Self {
        match names.len() {
            0 => SynchronousStandbyNames::Off,
            n => SynchronousStandbyNames::First { num_sync: n as u32, names },
        }
    }

    /// Waits for any `num_sync` of `names`; `Off` if that is nobody.
    pub fn any_of(num_sync: u32, names: BTreeSet<String>) -> Self {
        match names.len() as u32 {
            0 => SynchronousStandbyNames::Off,
            _ if num_sync == 0 => SynchronousStandbyNames::Off,
            n => SynchronousStandbyNames::Any { num_sync: num_sync.min(n), names },
        }
    }

    /// The named standbys; empty for `Off`, `*` and foreign settings.
    pub fn names(&self) -> BTreeSet<String> {
        match self {
            SynchronousStandbyNames::First { names, .. } | SynchronousStandbyNames::Any { names, .. } => names.clone(),
            _ => BTreeSet::new(),
        }
    }

    /// Of how many of [`names`](Self::names) every acknowledged commit is known to be on.
    pub fn num_sync(&self) -> u32 {
        match self {
            SynchronousStandbyNames::First { num_sync, .. } | SynchronousStandbyNames::Any { num_sync, .. } => {
                *num_sync
            }
            _ => 0,
        }
    }

    /// Parses the setting's value, in PostgreSQL's old and new forms.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        match text {
            "" => return SynchronousStandbyNames::Off,
            "*" => return SynchronousStandbyNames::Star,
            _ => {}
        }
        Self::parse_list(text).unwrap_or_else(|| SynchronousStandbyNames::Foreign(text.to_owned()))
    }

    fn parse_list(text: &str) -> Option<Self> {
        let Some((head, rest)) = text.split_once('(') else {
            // The oldest form is a bare list, of which the first is waited for.
            let names = parse_names(text)?;
            return Some(SynchronousStandbyNames::First { num_sync: 1, names });
        };
        let names = parse_names(rest.trim().strip_suffix(')')?)?;
        let mut words = head.split_whitespace();
        let (any, number) = match words.next()? {
            word if word.eq_ignore_ascii_case("any") => (true, words.next()?),
            word if word.eq_ignore_ascii_case("first") => (false, words.next()?),
            number => (false, number),
        };
        let num_sync = number.parse().ok()?;
        if names.contains("*") {
            return Some(SynchronousStandbyNames::Star);
        }
        Some(match any {
            true => SynchronousStandbyNames::Any { num_sync, names },
            false => SynchronousStandbyNames::First { num_sync, names },
        })
    }
}

fn parse_names(text: &str) -> Option<BTreeSet<String>> {
    text.split(',')
        .map(|name| {
            let name = name.trim();
            let plain = match name.strip_prefix('"') {
                Some(quoted) => quoted.strip_suffix('"')?.replace("\"\"", "\""),
                None => name.to_owned(),
            };
            (!plain.is_empty()).then_some(plain)
        })
        .collect()
}

/// Quotes a name unless PostgreSQL reads it as it is (`quote_standby_name`).
fn quoted(name: &str) -> String {
    let plain = name
        .chars()
        .enumerate()
        .all(|(i, c)| c == '_' || c.is_ascii_lowercase() || (i > 0 && (c.is_ascii_digit() || c == '$')));
    let keyword = ["first", "any"].iter().any(|word| word.eq_ignore_ascii_case(name));
    if plain && !keyword && !name.is_empty() { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

impl fmt::Display for SynchronousStandbyNames {
    /// The value to write.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &BTreeSet<String>| names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(",");
        match self {
            SynchronousStandbyNames::Off => Ok(()),
            SynchronousStandbyNames::Star => f.write_str("*"),
            SynchronousStandbyNames::Foreign(text) => f.write_str(text),
            // One name alone is written bare, as Patroni does.
            SynchronousStandbyNames::First { num_sync: 1, names } if names.len() == 1 => f.write_str(&list(names)),
            SynchronousStandbyNames::First { num_sync, names } => write!(f, "{num_sync} ({})", list(names)),
            SynchronousStandbyNames::Any { num_sync, names } => write!(f, "ANY {num_sync} ({})", list(names)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_write_is_what_we_read() {
        for text in ["", "*", "pg2", "2 (\"pg-2\",pg3)", "ANY 1 (pg2,pg3)"] {
            assert_eq!(SynchronousStandbyNames::parse(text).to_string(), text);
        }
    }

    #[test]
    fn other_spellings_of_the_same_setting_are_understood() {
        let parse = SynchronousStandbyNames::parse;
        assert_eq!(parse("FIRST 1 (a)"), parse("a"));
        assert_eq!(parse("any 2 (a, \"b\")"), parse("ANY 2 (a,b)"));
        assert_eq!(parse("ANY 1 (*)"), SynchronousStandbyNames::Star);
        assert!(matches!(parse("ANY x (a"), SynchronousStandbyNames::Foreign(_)));
    }
}
