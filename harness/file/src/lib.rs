//! From a path that somebody named to what is in the file, within limits: neither a pipe that nobody writes to, nor a device without
//! end, nor a file of the kernel's, nor one of gigabytes stops a command or takes the machine down.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::Path,
};

/// The largest file that a person writes: settings, scenarios, certificates, SQL. The longest of them have some tens of kilobytes.
pub const WRITTEN_BY_HAND: u64 = 1 << 20;

/// The largest file of certificates: a bundle of all authorities that a system trusts has a quarter of a megabyte.
pub const CERTIFICATES: u64 = 16 << 20;

/// The largest file that a program has written and that is read as a whole: results, calibrations.
pub const WRITTEN_BY_A_PROGRAM: u64 = 256 << 20;

/// The bytes of a regular file of at most `limit` bytes; links are followed.
///
/// # Errors
/// When it is not there or may not be read, when it is no regular file (a folder, a pipe, a device, a socket), or when it is longer.
/// Files of which the kernel says that they are empty count as empty (those in `/proc`): reading on may wait for ever.
pub fn bytes(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: opening some devices does something already (a watchdog, a tape).
    regular(&fs::metadata(path)?)?;
    // Looked at again when it is open: meanwhile it may have become a pipe, whose opening would wait for a writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let about = file.metadata()?;
    regular(&about)?;
    if about.len() > limit {
        return Err(too_long(about.len(), limit));
    }
    read(file, about.len())
}

/// The text of a regular file of at most `limit` bytes.
///
/// # Errors
/// As [`bytes`], or when it is no UTF-8.
pub fn text(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(bytes(path, limit)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::new(io::ErrorKind::InvalidData, format!("bytes that are no UTF-8 text, from byte {at} on"))
    })
}

/// What grows while it is read has its length of the beginning.
fn read(file: File, length: u64) -> io::Result<Vec<u8>> {
    let mut found = Vec::new();
    file.take(length).read_to_end(&mut found)?;
    Ok(found)
}

fn regular(about: &Metadata) -> io::Result<()> {
    let kind = about.file_type();
    let found = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a folder",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () if kind.is_char_device() || kind.is_block_device() => "a device",
        () => "something else",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{found}, expected a regular file")))
}

fn too_long(found: u64, limit: u64) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("{found} bytes, expected at most {} MiB", limit >> 20))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::net::UnixListener, path::Path};

    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    #[test]
    fn whatever_is_no_regular_file_is_refused_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR).expect("a pipe");
        let socket = folder.path().join("socket");
        let _listener = UnixListener::bind(&socket).expect("a socket");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).expect("a link");
        for (path, expected) in [
            (pipe.as_path(), "a pipe, expected a regular file"),
            (&socket, "a socket, expected a regular file"),
            (folder.path(), "a folder, expected a regular file"),
            (Path::new("/dev/zero"), "a device, expected a regular file"),
            (&link, "a device, expected a regular file"),
        ] {
            assert_eq!(text(path, WRITTEN_BY_HAND).expect_err("no file").to_string(), expected, "{}", path.display());
        }
    }

    /// Reading them waits for what the kernel has to say next, and takes it away from whom it is for.
    #[test]
    fn files_of_the_kernel_are_not_read() {
        for path in ["/proc/kmsg", "/proc/self/environ"] {
            let found = bytes(Path::new(path), WRITTEN_BY_HAND);
            assert!(found.as_ref().is_ok_and(Vec::is_empty) || found.is_err(), "{path}: {found:?}");
        }
    }

    #[test]
    fn only_what_is_within_the_limit_and_text_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, "ab").expect("written");
        assert_eq!(text(&path, 2).expect("it fits"), "ab");
        assert_eq!(text(&path, 1).expect_err("too long").kind(), io::ErrorKind::FileTooLarge);
        File::create(&path).and_then(|file| file.set_len(1 << 40)).expect("a hole");
        let said = text(&path, WRITTEN_BY_HAND).expect_err("too long").to_string();
        assert_eq!(said, "1099511627776 bytes, expected at most 1 MiB");
        fs::write(&path, b"a\xffb").expect("written");
        assert_eq!(text(&path, 9).expect_err("no text").to_string(), "bytes that are no UTF-8 text, from byte 1 on");
    }
}
