//! The passwords of one run.

use std::{fs::File, io::Read};

/// Drawn anew for each run; they stand in files that only their reader may open, and nowhere else.
pub(crate) struct Passwords {
    pub(crate) superuser: String,
    pub(crate) replication: String,
    pub(crate) rewind: String,
}

impl Passwords {
    /// From the operating system's entropy.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn draw() -> std::io::Result<Self> {
        Ok(Self { superuser: word()?, replication: word()?, rewind: word()? })
    }
}

fn word() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
