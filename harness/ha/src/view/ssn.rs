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
        if text.is_empty() {
            return SynchronousStandbyNames::Off;
        }
        let Some(Parsed { any, num_sync, names }) = Parsed::of(text) else {
            return SynchronousStandbyNames::Foreign(text.to_owned());
        };
        match (names.contains("*"), any) {
            (true, _) if num_sync == 1 => SynchronousStandbyNames::Star,
            // Several of whoever is there: nothing that we would write.
            (true, _) => SynchronousStandbyNames::Foreign(text.to_owned()),
            (false, true) => SynchronousStandbyNames::Any { num_sync, names },
            (false, false) => SynchronousStandbyNames::First { num_sync, names },
        }
    }

    /// Whether PostgreSQL takes a text for this setting (`syncrep_gram.y`). With another one it does not start, and a running
    /// server keeps what it had.
    pub fn is_legal(text: &str) -> bool {
        text.trim().is_empty() || Parsed::of(text.trim()).is_some()
    }
}

/// The setting's parts.
struct Parsed {
    any: bool,
    num_sync: u32,
    names: BTreeSet<String>,
}

impl Parsed {
    fn of(text: &str) -> Option<Self> {
        let tokens = tokens(text)?;
        let word = |index: usize, wanted: &str| matches!(tokens.get(index), Some(Token::Name(word)) if word.eq_ignore_ascii_case(wanted));
        let method = usize::from(word(0, "any") || word(0, "first"));
        match (tokens.get(method), tokens.get(method + 1), tokens.last()) {
            (Some(Token::Number(number)), Some(Token::Open), Some(Token::Close)) => {
                let num_sync = number.parse().ok().filter(|number| *number > 0)?;
                let names = listed(&tokens[method + 2..tokens.len() - 1])?;
                Some(Parsed { any: word(0, "any"), num_sync, names })
            }
            // The oldest form is a bare list, of which the first is waited for.
            _ => Some(Parsed { any: false, num_sync: 1, names: listed(&tokens)? }),
        }
    }
}

/// What the setting is made of (`syncrep_scanner.l`).
enum Token {
    /// A name, quoted or not, a method's word, or `*`.
    Name(String),
    Number(String),
    Comma,
    Open,
    Close,
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(first) = chars.next() {
        let mut rest = |belongs: fn(char) -> bool| {
            let mut word = String::from(first);
            while let Some(c) = chars.next_if(|c| belongs(*c)) {
                word.push(c);
            }
            word
        };
        tokens.push(match first {
            ',' => Token::Comma,
            '(' => Token::Open,
            ')' => Token::Close,
            '*' => Token::Name("*".into()),
            '"' => Token::Name(quoted_name(&mut chars)?),
            c if c.is_whitespace() => continue,
            c if c.is_ascii_digit() => Token::Number(rest(|c| c.is_ascii_digit())),
            c if c.is_ascii_alphabetic() || c == '_' || !c.is_ascii() => {
                Token::Name(rest(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()))
            }
            _ => return None,
        });
    }
    Some(tokens)
}

/// The rest of a name in double quotes, which stand doubled for themselves.
fn quoted_name(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let mut name = String::new();
    loop {
        match chars.next()? {
            '"' if chars.next_if_eq(&'"').is_some() => name.push('"'),
            '"' => return Some(name),
            other => name.push(other),
        }
    }
}

/// Names with commas between them; a number stands for a name, too.
fn listed(tokens: &[Token]) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Name(name) | Token::Number(name) if index % 2 == 0 => _ = names.insert(name.clone()),
            Token::Comma if index % 2 == 1 => {}
            _ => return None,
        }
    }
    (tokens.len() % 2 == 1).then_some(names)
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
        assert!(matches!(parse("2 (*)"), SynchronousStandbyNames::Foreign(_)), "more than any one standby");
        assert_eq!(parse("ANY 1 (\"a,b\", \"c\"\"d\")").names(), BTreeSet::from(["a,b".into(), "c\"d".into()]));
        assert!(matches!(parse("ANY x (a"), SynchronousStandbyNames::Foreign(_)));
    }

    #[test]
    fn what_postgresql_takes_is_told_from_what_it_does_not() {
        for legal in ["", " ", "*", "a, b", "first", "1", "FIRST 2 (a,\"B c\",*)", "any 1 (any, first)", "3(a)"] {
            assert!(SynchronousStandbyNames::is_legal(legal), "{legal:?}");
        }
        for illegal in ["a,", "a b", "ANY 0 (a)", "ANY (a)", "2 (a", "\"a", "2 ()", "a-b", "ANY 1 (a) x", "(a)"] {
            assert!(!SynchronousStandbyNames::is_legal(illegal), "{illegal:?}");
        }
    }
}
