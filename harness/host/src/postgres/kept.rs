//! The last known dynamic configuration, in the data directory under Patroni's name.

use std::{fs, io};

use pgdrill_agent::ports::{PostgresError, PostgresResult};

use super::{durable, settings::Settings};
use crate::lack;

const FILE: &str = "patroni.dynamic.json";

/// What was kept; `None`: nothing was.
pub(super) fn read(settings: &Settings) -> PostgresResult<Option<String>> {
    let file = settings.data_dir.join(FILE);
    match fs::read_to_string(&file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let error = durable::named(&file, error);
            Err(lack::told(&error, error.to_string(), PostgresError::Failed))
        }
    }
}

/// Keeps it: afterwards the old text or the new one is there, whole.
pub(super) fn write(settings: &Settings, config: &str) -> PostgresResult<()> {
    let mode = durable::mode_below(&settings.data_dir);
    let written = durable::replace(&settings.data_dir.join(FILE), config, mode);
    written.map(drop).map_err(|error| lack::told(&error, error.to_string(), PostgresError::Failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = Settings::new(dir.path(), dir.path().join("pgpass"));
        assert_eq!(read(&settings), Ok(None));
        write(&settings, r#"{"ttl":30}"#).expect("it is written");
        assert_eq!(read(&settings), Ok(Some(r#"{"ttl":30}"#.to_owned())));
    }
}
