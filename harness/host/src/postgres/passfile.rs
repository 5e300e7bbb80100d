//! The password file (`postgresql.pgpass`): where the password for another server is, and nowhere else.

use std::{io, path::Path};

use pgdrill_agent::config::Password;

use super::durable;

/// Writes the one line that is needed now, readable by nobody else. Without a password the file stays as it is.
///
/// # Errors
/// The operating system's, naming the file, or a password that such a file cannot hold.
pub(super) fn write(file: &Path, host: &str, port: u16, user: &str, password: Option<&Password>) -> io::Result<()> {
    let Some(password) = password else { return Ok(()) };
    if password.reveal().contains(['\n', '\r', '\0']) {
        let text = format!("the password of {user} has a line break, which a password file cannot hold");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let line = format!("{}:{port}:*:{}:{}\n", escaped(host), escaped(user), escaped(password.reveal()));
    durable::replace(file, &line, 0o600).map(drop)
}

/// libpq: a colon or backslash in a field is escaped with a backslash.
fn escaped(field: &str) -> String {
    field.replace('\\', "\\\\").replace(':', "\\:")
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_password_file_has_one_line_for_its_owner_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("pgpass");
        write(&file, "fd00::1", 5432, "rep", Some(&Password::new(r"a:b\c"))).expect("it is written");
        assert_eq!(fs::read_to_string(&file).expect("it is read"), "fd00\\:\\:1:5432:*:rep:a\\:b\\\\c\n");
        assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
        let error = write(&file, "h", 1, "rep", Some(&Password::new("a\nb"))).expect_err("no line breaks");
        assert!(!error.to_string().contains("a\nb"), "{error}");
    }
}
