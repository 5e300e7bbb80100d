//! `/initialize`: who the cluster is, or that somebody is just creating it.

/// The content of `/initialize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initialize {
    /// Empty value: a node is running the bootstrap at this moment.
    InProgress,
    /// The cluster's system identifier.
    SystemIdentifier(u64),
    /// Something else, which Patroni treats as an invalid identifier.
    Invalid,
}

impl Initialize {
    /// Parses the key's value. Patroni takes an identifier of fewer than ten digits for invalid.
    pub fn parse(text: &str) -> Self {
        match text {
            "" => Initialize::InProgress,
            digits if digits.len() >= 10 => digits.parse().map_or(Initialize::Invalid, Initialize::SystemIdentifier),
            _ => Initialize::Invalid,
        }
    }

    /// The value to write. An invalid one is never written: it becomes the empty value's neighbour, `None`.
    pub fn to_value(self) -> Option<String> {
        match self {
            Initialize::InProgress => Some(String::new()),
            Initialize::SystemIdentifier(id) => Some(id.to_string()),
            Initialize::Invalid => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_are_told_apart() {
        assert_eq!(Initialize::parse(""), Initialize::InProgress);
        assert_eq!(Initialize::parse("7437112345678901234"), Initialize::SystemIdentifier(7_437_112_345_678_901_234));
        assert_eq!(Initialize::parse("12345"), Initialize::Invalid);
        assert_eq!(Initialize::parse("not-a-number"), Initialize::Invalid);
    }
}
