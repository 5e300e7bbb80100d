//! How long real servers take for what a model cannot know: data, not constants.

use std::{io, path::Path};

use pgdrill_file::WRITTEN_BY_HAND;
use pgdrill_sim_postgres::Timings;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The shipped file; it says where it was measured.
const SHIPPED: &str = include_str!("../calibration.json");

/// Measured durations. `pgdrill calibrate` measures and writes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Where and when it was measured, and what was assumed instead, for people.
    pub measured: String,
    /// From a machine's reset until its services start (assumed: a small virtual machine), in seconds.
    pub boot_s: f64,
    /// PostgreSQL's.
    pub postgresql: Timings,
}

/// Why a calibration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// It cannot be read.
    #[error("cannot read the calibration file {file}: {why}")]
    Unreadable {
        /// The file.
        file: String,
        /// The operating system's reason.
        why: io::Error,
    },
    /// A figure is none that anything can take.
    #[error("{file}: `{field}` is {found}; {right}")]
    Impossible {
        /// The file.
        file: String,
        /// Which one, `postgresql.start_s`.
        field: String,
        /// What it is.
        found: String,
        /// What it may be.
        right: &'static str,
    },
    /// It is not what `pgdrill calibrate` writes.
    #[error("{file}: {why}; `pgdrill calibrate --output FILE` writes such a file")]
    Invalid {
        /// The file.
        file: String,
        /// What is wrong, with line and column.
        why: serde_json::Error,
    },
}

impl Calibration {
    /// The file that comes with pgdrill.
    #[must_use]
    pub fn shipped() -> Self {
        serde_json::from_str(SHIPPED).expect("the shipped file is tested")
    }

    /// Reads a file that `pgdrill calibrate` wrote.
    ///
    /// # Errors
    /// See [`CalibrationError`].
    pub fn read(file: &Path) -> Result<Self, CalibrationError> {
        let named = file.display().to_string();
        match pgdrill_file::text(file, WRITTEN_BY_HAND) {
            Ok(text) => Self::parse(named, &text),
            Err(why) => Err(CalibrationError::Unreadable { file: named, why }),
        }
    }

    fn parse(file: String, text: &str) -> Result<Self, CalibrationError> {
        let both = serde_json::from_str(text).and_then(|read| Ok((read, serde_json::from_str(text)?)));
        match both {
            Err(why) => Err(CalibrationError::Invalid { file, why }),
            Ok((read, figures)) => match impossible("", &figures) {
                None => Ok(read),
                Some((field, found, right)) => Err(CalibrationError::Impossible { file, field, found, right }),
            },
        }
    }
}

/// How long anything may take at most, in seconds: more is a slip of the pen, and too much for a clock.
const LONGEST_S: f64 = 86_400.0;

/// The first figure that nothing can have: its path, itself, and what it may be.
fn impossible(path: &str, value: &Value) -> Option<(String, String, &'static str)> {
    if let Some(fields) = value.as_object() {
        let dot = if path.is_empty() { "" } else { "." };
        return fields.iter().find_map(|(name, value)| impossible(&format!("{path}{dot}{name}"), value));
    }
    let figure = value.as_f64()?;
    let (possible, right) = if path.ends_with("_per_s") {
        (figure > 0.0, "a rate is more than 0 bytes a second")
    } else if path.ends_with("_s") {
        ((0.0..=LONGEST_S).contains(&figure), "a duration is 0 to 86400 seconds")
    } else {
        (figure >= 0.0, "a size is 0 bytes or more")
    };
    (!possible).then(|| (path.to_owned(), value.to_string(), right))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with the shipped file after a change of its text.
    fn changed(from: &str, to: &str) -> String {
        assert!(SHIPPED.contains(from), "{from}");
        let read = Calibration::parse("ours.json".to_owned(), &SHIPPED.replace(from, to));
        read.expect_err("it cannot be used").to_string()
    }

    #[test]
    fn the_shipped_file_is_read_and_says_where_it_was_measured() {
        assert!(Calibration::shipped().measured.contains("PostgreSQL 16"));
        assert_eq!(impossible("", &serde_json::from_str(SHIPPED).expect("it is JSON")), None);
    }

    #[test]
    fn a_field_that_is_missing_or_unknown_is_named_with_the_file() {
        let start = r#""start_s": 0.041412,"#;
        for (to, why) in [("", "missing field `start_s`"), (r#""strat_s": 1.0,"#, "unknown field `strat_s`")] {
            let error = changed(start, to);
            assert!(error.starts_with(&format!("ours.json: {why}")), "{error}");
            assert!(error.contains("at line ") && error.contains("pgdrill calibrate --output"), "{error}");
        }
        let error = changed(r#""boot_s": 20.0,"#, "");
        assert!(error.contains("missing field `boot_s`"), "{error}");
    }

    #[test]
    fn a_figure_that_nothing_can_have_is_named_with_what_it_may_be() {
        for (from, to, why) in [
            (r#""boot_s": 20.0"#, r#""boot_s": -1.0"#, "`boot_s` is -1.0; a duration is 0 to 86400 seconds"),
            (
                r#""promote_s": 0.017735"#,
                r#""promote_s": 1e9"#,
                "`postgresql.promote_s` is 1000000000.0; a duration is",
            ),
            (
                r#""replay_bytes_per_s": 393926157.0"#,
                r#""replay_bytes_per_s": 0"#,
                "`postgresql.replay_bytes_per_s` is 0; a rate is more than 0 bytes a second",
            ),
        ] {
            let error = changed(from, to);
            assert!(error.starts_with(&format!("ours.json: {why}")), "{error}");
        }
    }
}
