//! Selectors as text.

use std::{fmt, str::FromStr};

use super::Selector;

/// Every selector that is a fixed phrase.
const PHRASES: [(&str, Selector); 16] = [
    ("leader", Selector::Leader),
    ("replicas", Selector::Replicas),
    ("any replica", Selector::AnyReplica),
    ("any candidate", Selector::AnyCandidate),
    ("sync standby", Selector::SyncStandby),
    ("async standby", Selector::AsyncStandby),
    ("nodes", Selector::Nodes),
    ("etcd", Selector::Etcd),
    ("etcd leader", Selector::EtcdLeader),
    ("etcd followers", Selector::EtcdFollowers),
    ("majority", Selector::Majority),
    ("minority", Selector::Minority),
    ("clients", Selector::Clients),
    ("haproxy", Selector::Haproxy),
    ("everything", Selector::Everything),
    ("others", Selector::Others),
];

/// What [`FromStr`] takes: phrases, zones, and words, which may be labels or hosts.
pub(super) fn pattern() -> String {
    let spaced: Vec<&str> = Selector::phrases().filter(|phrase| phrase.contains(' ')).collect();
    let single = format!("((zone +of +)*(zone +[a-z][a-z0-9_-]*|{}|[a-z][a-z0-9_-]*))", spaced.join("|"));
    format!(r"^ *{single}( *\+ *{single})* *$")
}

impl Selector {
    /// The fixed phrases, for messages.
    pub fn phrases() -> impl Iterator<Item = &'static str> {
        PHRASES.iter().map(|(phrase, _)| *phrase)
    }

    fn single(text: &str) -> Result<Self, String> {
        if let Some((_, selector)) = PHRASES.iter().find(|(phrase, _)| *phrase == text) {
            return Ok(selector.clone());
        }
        if let Some(inner) = text.strip_prefix("zone of ") {
            return Ok(Self::ZoneOf(Box::new(Self::single(inner.trim_start())?)));
        }
        if let Some(zone) = text.strip_prefix("zone ") {
            return word(zone.trim_start()).map(Self::Zone);
        }
        let name = word(text)?;
        // A host's name ends in its number: `pg2`. Labels may too, but not behind one of these words.
        let host = ["pg", "etcd", "client"].iter().any(|kind| is_numbered(&name, kind));
        Ok(if host { Self::Host(name) } else { Self::Label(name) })
    }
}

fn is_numbered(name: &str, kind: &str) -> bool {
    name.strip_prefix(kind)
        .is_some_and(|n| !n.is_empty() && !n.starts_with('0') && n.bytes().all(|b| b.is_ascii_digit()))
}

/// One word of lower-case letters, digits, `_` and `-`, beginning with a letter.
fn word(text: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(legal) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is no selector"))
    }
}

impl FromStr for Selector {
    type Err = String;

    /// Parses one selector or several joined by `+`. Whether a host, zone or label exists is checked elsewhere.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('+').map(|part| Self::single(part.trim())).collect::<Result<Vec<_>, _>>()?;
        match parts.len() {
            1 => Ok(parts.remove(0)),
            _ => Ok(Self::Union(parts)),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zone(name) => write!(f, "zone {name}"),
            Self::ZoneOf(inner) => write!(f, "zone of {inner}"),
            Self::Host(name) | Self::Label(name) => f.write_str(name),
            Self::Union(parts) => {
                for (n, part) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if n == 0 { "" } else { " + " })?;
                }
                Ok(())
            }
            phrase => {
                let text = PHRASES.iter().find(|(_, selector)| selector == phrase).map(|(text, _)| *text);
                f.write_str(text.expect("every selector without data is in the table of phrases"))
            }
        }
    }
}
