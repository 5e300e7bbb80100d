//! What the machine may lack: descriptors, memory, processes. An operation that fails for want of one of them says nothing about
//! what it was tried on.

use std::{error::Error, fmt, io, path::Path};

use pgdrill_agent::ports::PostgresError;

/// An error with the name of the file that it is about, which keeps what the operating system said.
#[derive(Debug)]
struct Named {
    file: String,
    error: io::Error,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.error)
    }
}

impl Error for Named {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// The same error, naming the file.
pub(crate) fn named(file: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), Named { file: file.display().to_string(), error })
}

/// Whether an operation failed because the machine, or this process of it, has no more of something: descriptors (EMFILE, ENFILE),
/// memory (ENOMEM, ENOBUFS), processes or threads (EAGAIN).
pub(crate) fn is_lack(error: &io::Error) -> bool {
    let inner = || error.get_ref()?.downcast_ref::<Named>();
    pgdrill_net::is_lack(error) || inner().is_some_and(|named| is_lack(&named.error))
}

/// The error of an operation on the data directory or the server: lack of a resource as such, anything else as `otherwise` has it.
pub(crate) fn told(error: &io::Error, text: String, otherwise: fn(String) -> PostgresError) -> PostgresError {
    if is_lack(error) { PostgresError::Lacking(text) } else { otherwise(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_is_told_from_a_fault_also_under_a_files_name() {
        let of = |code| named(Path::new("/data"), named(Path::new("/data/x"), io::Error::from_raw_os_error(code)));
        for lack in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::EAGAIN, libc::ENOBUFS] {
            assert!(is_lack(&of(lack)) && is_lack(&io::Error::from_raw_os_error(lack)), "{lack}");
        }
        for fault in [libc::EIO, libc::EACCES, libc::ENOENT, libc::ENOSPC, libc::EROFS, libc::ESTALE] {
            assert!(!is_lack(&of(fault)), "{fault}");
        }
        assert!(!is_lack(&io::Error::other("something")));
        assert_eq!(of(libc::ENOENT).kind(), io::ErrorKind::NotFound);
        let error = of(libc::EMFILE);
        assert!(error.to_string().starts_with("/data: /data/x: Too many open files"), "{error}");
        let told = told(&error, error.to_string(), PostgresError::Failed);
        assert!(matches!(told, PostgresError::Lacking(_)), "{told}");
    }
}
