//! A folder for what a build needs on this machine, and what killed builds have left of theirs.

use std::path::Path;

use super::ImageError;

/// Begins the names of temporary folders; the process id follows.
const SCRATCH: &str = "pgdrill-images-";

/// A temporary folder that goes with the build.
pub(super) struct Scratch(tempfile::TempDir);

impl Scratch {
    /// An empty one, once those of builds that were killed are gone.
    pub(super) fn new() -> Result<Self, ImageError> {
        let place = std::env::temp_dir();
        sweep(&place);
        let prefix = format!("{SCRATCH}{}-", std::process::id());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(&place);
        folder.map(Self).map_err(ImageError::io(format!("cannot make a folder in {}", place.display())))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Removes folders of builds that were killed.
fn sweep(place: &Path) {
    let Ok(entries) = std::fs::read_dir(place) else { return };
    for folder in entries.flatten().map(|entry| entry.path()).filter(|folder| is_stale(folder)) {
        // Somebody else's, or not to be removed: none of our business.
        let _ = std::fs::remove_dir_all(folder);
    }
}

fn is_stale(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str());
    let Some((pid, _)) = name.and_then(|name| name.strip_prefix(SCRATCH)).and_then(|rest| rest.split_once('-')) else {
        return false;
    };
    pid.parse::<u32>().is_ok_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_dead_builds_are_swept() {
        let place = tempfile::tempdir().expect("a folder");
        let dead = place.path().join(format!("{SCRATCH}4194999-abc"));
        let alive = place.path().join(format!("{SCRATCH}{}-abc", std::process::id()));
        let other = place.path().join("something-4194999-abc");
        for folder in [&dead, &alive, &other] {
            std::fs::create_dir(folder).expect("made");
        }
        sweep(place.path());
        assert!(!dead.exists() && alive.exists() && other.exists());
    }
}
