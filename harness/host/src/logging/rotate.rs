//! Log files that do not grow for ever: when one is full it becomes `.1`, that becomes `.2`, and so on (as Python's
//! `RotatingFileHandler`, which Patroni uses).

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tracing_subscriber::fmt::MakeWriter;

/// The present file, and how the ones before it are kept.
#[derive(Clone)]
pub(super) struct Files(Arc<Mutex<Current>>);

struct Current {
    path: PathBuf,
    mode: Option<u32>,
    /// From how many bytes on a new file is begun; 0: never.
    limit: u64,
    /// How many old files are kept; 0: no new file is begun.
    kept: u32,
    file: File,
    size: u64,
}

impl Files {
    /// Goes on in the file of that name.
    ///
    /// # Errors
    /// The operating system's, naming the file.
    pub fn open(path: PathBuf, mode: Option<u32>, limit: u64, kept: u32) -> io::Result<Self> {
        let (file, size) = open(&path, mode)?;
        Ok(Self(Arc::new(Mutex::new(Current { path, mode, limit, kept, file, size }))))
    }
}

fn open(path: &Path, mode: Option<u32>) -> io::Result<(File, u64)> {
    let opened = OpenOptions::new().create(true).append(true).open(path).and_then(|file| {
        if let Some(mode) = mode {
            file.set_permissions(fs::Permissions::from_mode(mode))?;
        }
        let size = file.metadata()?.len();
        Ok((file, size))
    });
    opened.map_err(|error| io::Error::new(error.kind(), format!("log.dir: {}: {error}", path.display())))
}

impl Current {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let length = line.len() as u64;
        if self.limit > 0 && self.kept > 0 && self.size > 0 && self.size + length > self.limit {
            // A folder that cannot be written to any more is no reason to lose the line.
            let _ = self.rotate();
        }
        self.file.write_all(line)?;
        self.size += length;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.kept).rev() {
            let (from, to) = (self.numbered(number), self.numbered(number + 1));
            if from.exists() {
                fs::rename(from, to)?;
            }
        }
        fs::rename(&self.path, self.numbered(1))?;
        (self.file, self.size) = open(&self.path, self.mode)?;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        PathBuf::from(format!("{}.{number}", self.path.display()))
    }
}

impl Write for Files {
    /// One line of the log: never split between two files.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(line).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Files {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_makes_room_and_the_oldest_goes() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("pgdrill.log");
        let mut files = Files::open(path.clone(), Some(0o640), 10, 2).expect("it is opened");
        for line in ["aaaaaa\n", "bbbbbb\n", "cccccc\n", "dddddd\n"] {
            files.write_all(line.as_bytes()).expect("it is written");
        }
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("it is there");
        assert_eq!(
            (read("pgdrill.log"), read("pgdrill.log.1"), read("pgdrill.log.2")),
            ("dddddd\n".into(), "cccccc\n".into(), "bbbbbb\n".into())
        );
        assert_eq!(fs::read_dir(dir.path()).expect("it is listed").count(), 3);
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_with_its_setting() {
        let error = Files::open("/nowhere/pgdrill.log".into(), None, 0, 0).err().expect("it is not there");
        assert!(error.to_string().starts_with("log.dir: /nowhere/pgdrill.log"), "{error}");
    }
}
