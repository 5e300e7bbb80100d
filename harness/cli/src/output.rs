//! Files that a command leaves: found out before anything is played whether they can be written, written beside their place, and
//! put there whole at the end. So a file is the old one or the new one, never half of one, and what goes wrong with one does
//! not keep the others from being written.
//!
//! `-` is standard output. Devices and pipes (`/dev/stdout`, `>(jq)`) are written to as they are.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Mutex,
};

use tempfile::NamedTempFile;

/// Every draft of this process, also those that have become files by now: nothing is at their names any more.
static DRAFTS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes what has not become a file yet: for who ends the process without coming back to where they would be dropped.
pub(crate) fn remove_drafts() {
    remove_those(|_| true);
}

fn remove_those(are_meant: impl Fn(&Path) -> bool) {
    // Whoever panicked while adding one has added it or not.
    let drafts = DRAFTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for draft in drafts.iter().filter(|draft| are_meant(draft)) {
        // It may be a file by now, and nobody is there to tell.
        let _ = fs::remove_file(draft);
    }
}

/// A file that a command will write, or standard output.
#[derive(Debug)]
pub(crate) struct Output {
    /// As the user named it.
    named: PathBuf,
    target: Target,
}

#[derive(Debug)]
enum Target {
    /// `-`.
    Standard,
    /// A device, a pipe, or a file in a folder that takes no other one.
    Open(File),
    /// Written beside its place first.
    Beside { draft: NamedTempFile, place: PathBuf },
}

impl Output {
    /// Opens what was named. Nothing that is there is changed yet.
    ///
    /// # Errors
    /// When it cannot be written, for the reason that the system gives.
    fn open(named: &Path) -> io::Result<Self> {
        let target = if is_standard(named) {
            Target::Standard
        } else if named.starts_with("/dev") || named.starts_with("/proc") {
            Target::Open(OpenOptions::new().write(true).open(named)?)
        } else {
            match fs::metadata(named) {
                Ok(about) if about.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
                Ok(about) if !about.is_file() => return Err(io::Error::other("it is no regular file")),
                _ => Self::beside(named)?,
            }
        };
        Ok(Self { named: named.to_owned(), target })
    }

    fn beside(named: &Path) -> io::Result<Target> {
        // Of a link, what it leads to is written.
        let place = place_of(named)?;
        // A folder that takes no new file may hold one that can be written.
        match draft_of(&place) {
            Ok(draft) => Ok(Target::Beside { draft, place }),
            Err(why) => match OpenOptions::new().write(true).open(&place) {
                Ok(file) => Ok(Target::Open(file)),
                Err(_) => Err(why),
            },
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// With the name and the reason; what was there before is still there then, as far as that can be.
    pub(crate) fn write(self, content: &[u8]) -> Result<(), String> {
        let written = match self.target {
            Target::Standard => match io::stdout().lock().write_all(content).and_then(|()| io::stdout().flush()) {
                // The reader has what it wanted.
                Err(why) if why.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                written => written,
            },
            Target::Open(mut file) => {
                let is_file = file.metadata().is_ok_and(|about| about.is_file());
                let emptied = if is_file { file.set_len(0) } else { Ok(()) };
                emptied.and_then(|()| file.write_all(content))
            }
            Target::Beside { draft, place } => put(draft, &place, content),
        };
        written.map_err(|why| cannot_write(&self.named, &why))
    }
}

fn is_standard(named: &Path) -> bool {
    named.as_os_str() == "-"
}

/// A new file in the folder of `place`, which takes its name later.
fn draft_of(place: &Path) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    // As a new file is made; the process's mask takes away what it does not want others to have.
    let mode = fs::metadata(place).map_or(0o666, |about| about.mode() & 0o777);
    let draft = tempfile::Builder::new()
        .prefix(&format!(".{name}.pgdrill-"))
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(folder_of(place))?;
    DRAFTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(draft.path().to_owned());
    Ok(draft)
}

fn put(mut draft: NamedTempFile, place: &Path, content: &[u8]) -> io::Result<()> {
    draft.write_all(content)?;
    draft.flush()?;
    match draft.persist(place) {
        Ok(_) => Ok(()),
        // A file that is mounted by itself, as CI systems do, cannot be replaced, only written.
        Err(_) => fs::write(place, content),
    }
}

/// Writes a file whole, beside its place first.
///
/// # Errors
/// With the name and the reason.
pub(crate) fn write_whole(file: &Path, content: &[u8]) -> Result<(), String> {
    Output::open(file).map_err(|why| cannot_write(file, &why))?.write(content)
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Where a file is, without links.
fn place_of(named: &Path) -> io::Result<PathBuf> {
    if let Ok(place) = fs::canonicalize(named) {
        return Ok(place);
    }
    let name = named.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(fs::canonicalize(folder_of(named))?.join(name))
}

fn cannot_write(file: &Path, why: &io::Error) -> String {
    format!("cannot write {}: {why}", file.display())
}

/// Opens all outputs of a command, and finds everything that is wrong with any of them.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    /// What each option names, by the place that is meant.
    taken: Vec<(Place, String)>,
    problems: Vec<String>,
}

/// A place that two names may stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Standard,
    At(PathBuf),
    /// Device and inode: of hard links.
    Same(u64, u64),
}

impl Outputs {
    /// A file that the command reads: not to be written over.
    pub(crate) fn reads(&mut self, file: &Path) {
        for place in places(file) {
            self.taken.push((place, format!("{}, which is read", file.display())));
        }
    }

    /// What an option names, if it was given; `None` also when it cannot be written, which is told by [`Outputs::opened`].
    pub(crate) fn open(&mut self, option: &str, named: Option<&Path>) -> Option<Output> {
        let named = named?;
        if !self.take(option, named) {
            return None;
        }
        match Output::open(named) {
            Ok(output) => Some(output),
            Err(why) => {
                self.problems.push(format!("{option}: {}", cannot_write(named, &why)));
                None
            }
        }
    }

    /// A folder, which is made where there is none.
    pub(crate) fn folder(&mut self, option: &str, named: &Path) {
        if self.take(option, named)
            && let Err(why) = fs::create_dir_all(named)
        {
            self.problems.push(format!("{option}: {}", cannot_write(named, &why)));
        }
    }

    /// Something else that is wrong.
    pub(crate) fn problem(&mut self, message: String) {
        self.problems.push(message);
    }

    /// Whether standard output is one of them: nothing else is printed there then.
    pub(crate) fn standard_output(&self) -> bool {
        self.taken.iter().any(|(place, _)| *place == Place::Standard)
    }

    /// That all of them can be written.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(crate) fn opened(self) -> Result<(), Vec<String>> {
        if self.problems.is_empty() { Ok(()) } else { Err(self.problems) }
    }

    /// Takes a place, unless somebody else has.
    fn take(&mut self, option: &str, named: &Path) -> bool {
        let wanted = places(named);
        if let Some((_, other)) = self.taken.iter().find(|(place, _)| wanted.contains(place)) {
            let name = if is_standard(named) { "standard output".to_owned() } else { named.display().to_string() };
            self.problems.push(format!("{option} {name}: found the same file as {other}, expected a file of its own"));
            return false;
        }
        self.taken.extend(wanted.into_iter().map(|place| (place, option.to_owned())));
        true
    }
}

fn places(named: &Path) -> Vec<Place> {
    if is_standard(named) || named == Path::new("/dev/stdout") {
        return vec![Place::Standard];
    }
    let inode =
        fs::metadata(named).ok().filter(|about| about.is_file()).map(|about| Place::Same(about.dev(), about.ino()));
    place_of(named).ok().map(Place::At).into_iter().chain(inode).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("it can be read");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_the_old_one_until_the_new_one_is_whole() {
        let folder = folder();
        let file = folder.path().join("out.json");
        fs::write(&file, "old").expect("written");
        let mut outputs = Outputs::default();
        let output = outputs.open("--json", Some(&file)).expect("it can be written");
        outputs.opened().expect("nothing is wrong");
        assert_eq!(fs::read_to_string(&file).expect("it is there"), "old");
        output.write(b"new").expect("it is written");
        assert_eq!(fs::read_to_string(&file).expect("it is there"), "new");
        drop(Output::open(&file).expect("it can be opened"));
        assert_eq!(names(folder.path()), ["out.json"], "what is given up leaves nothing");
    }

    #[test]
    fn a_new_file_can_be_read_by_whom_the_mask_lets_and_an_old_one_by_the_same_as_before() {
        let folder = folder();
        let (new, old, plain) = (folder.path().join("new"), folder.path().join("old"), folder.path().join("plain"));
        let mode = |file: &Path| fs::metadata(file).expect("it is there").mode() & 0o777;
        fs::write(&plain, "").expect("written");
        fs::write(&old, "").expect("written");
        fs::set_permissions(&old, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
        for file in [&new, &old] {
            write_whole(file, b"x").expect("written");
        }
        assert_eq!((mode(&new), mode(&old)), (mode(&plain), 0o600));
    }

    #[test]
    fn who_ends_at_once_leaves_no_draft_and_takes_no_file_away() {
        let folder = folder();
        write_whole(&folder.path().join("written"), b"x").expect("written");
        let open = Output::open(&folder.path().join("draft")).expect("it can be written");
        assert_eq!(names(folder.path()).len(), 2);
        remove_those(|draft| draft.starts_with(folder.path()));
        assert_eq!(names(folder.path()), ["written"]);
        drop(open);
    }

    #[test]
    fn a_link_is_kept_and_what_it_leads_to_is_written() {
        let folder = folder();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").expect("written");
        symlink(&file, &link).expect("linked");
        write_whole(&link, b"new").expect("written");
        assert!(link.is_symlink() && fs::read_to_string(&file).expect("it is there") == "new");
    }

    #[test]
    fn two_options_with_one_file_are_refused_by_whatever_name() {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("read.yaml"), "").expect("written");
        fs::write(at("there"), "").expect("written");
        symlink(at("there"), at("link")).expect("linked");
        fs::hard_link(at("there"), at("hard")).expect("linked");
        fs::create_dir(at("sub")).expect("made");
        let dotted = folder.path().join("sub/../new");
        for (one, two) in [
            (at("new"), at("new")),
            (at("new"), dotted),
            (at("there"), at("link")),
            (at("there"), at("hard")),
            ("-".into(), "-".into()),
            ("/dev/stdout".into(), "-".into()),
        ] {
            let mut outputs = Outputs::default();
            outputs.open("--junit", Some(&one));
            assert!(outputs.open("--json", Some(&two)).is_none(), "{one:?} {two:?}");
            let problems = outputs.opened().expect_err("one file");
            assert!(problems[0].contains("found the same file as --junit"), "{problems:?}");
        }
        let mut outputs = Outputs::default();
        outputs.reads(&at("read.yaml"));
        outputs.open("--json", Some(&at("read.yaml")));
        assert!(outputs.opened().expect_err("it is read")[0].contains("read.yaml, which is read"));
    }

    #[test]
    fn what_cannot_be_written_is_told_at_once_and_all_of_it() {
        let folder = folder();
        let mut outputs = Outputs::default();
        outputs.open("--junit", Some(&folder.path().join("no/such/out.xml")));
        outputs.open("--json", Some(folder.path()));
        let problems = outputs.opened().expect_err("nothing of it can be written");
        assert!(problems[0].starts_with("--junit: cannot write ") && problems[1].contains("irectory"), "{problems:?}");
    }
}
