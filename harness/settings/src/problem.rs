//! One thing that is wrong with a configuration document, and what becomes of it.

use serde_json::Value;

/// One thing that is wrong with a configuration document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field's path, such as `postgresql.use_slots`.
    pub field: String,
    /// What was found, as JSON.
    pub found: String,
    /// What would be right.
    pub expected: String,
    /// What becomes of it.
    pub taken: Taken,
}

/// What becomes of a value that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It makes no sense: whoever can refuse it should.
    Senseless {
        /// What counts meanwhile, where something does.
        instead: Option<String>,
    },
    /// Patroni puts something else in its place, and so does pgdrill: `20 is used instead`.
    Otherwise(String),
    /// It is passed over: it does not count where it is.
    Ignored,
}

impl Problem {
    /// Whether a document with it should not be written.
    #[must_use]
    pub const fn is_senseless(&self) -> bool {
        matches!(self.taken, Taken::Senseless { .. })
    }

    /// What is used in place of what was found: `20 is used instead`.
    #[must_use]
    pub fn instead(&self) -> Option<String> {
        match &self.taken {
            Taken::Senseless { instead: Some(value) } => Some(format!("{value} is used instead")),
            Taken::Otherwise(what) => Some(what.clone()),
            Taken::Senseless { instead: None } | Taken::Ignored => None,
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: found {}, expected {}", self.field, self.found, self.expected)?;
        self.instead().map_or(Ok(()), |instead| write!(f, ": {instead}"))
    }
}

/// What makes no sense in itself.
pub(crate) fn problem(field: &str, found: &Value, expected: String) -> Problem {
    Problem { field: field.to_owned(), found: found.to_string(), expected, taken: Taken::Senseless { instead: None } }
}
