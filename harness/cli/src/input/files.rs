//! From the paths that a user names to scenario files and their names.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use pgdrill_yaml::on_one_line;

use super::looks::is_meant_for_a_scenario;

/// A scenario file and the name that reports use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScenarioFile {
    /// As the user named it, or below the folder that the user named.
    pub path: PathBuf,
    /// Theme and name: the file's folder and its name without `.yaml`.
    pub label: String,
}

/// What paths stand for.
pub(crate) struct Found {
    /// The scenarios.
    pub(crate) files: Vec<ScenarioFile>,
    /// YAML files in folders that are no scenarios: for the command to name.
    #[cfg_attr(not(feature = "command"), allow(dead_code))]
    pub(crate) others: Vec<PathBuf>,
}

/// The scenario files that the paths stand for: files as they are, folders with every scenario below them, by name. What other
/// tools keep in a folder is passed over.
///
/// # Errors
/// Everything that is wrong with the paths, one sentence each.
pub fn find(paths: &[PathBuf]) -> Result<Vec<ScenarioFile>, Vec<String>> {
    let (found, problems) = find_all(paths);
    if problems.is_empty() { Ok(found.files) } else { Err(problems) }
}

/// The same, with what was passed over, and with everything that is wrong with the paths beside what there is: whoever reads the files
/// can say what is wrong with them, too.
pub(crate) fn find_all(paths: &[PathBuf]) -> (Found, Vec<String>) {
    let mut files = Vec::new();
    let mut others = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        let mut found = Vec::new();
        let searched = if path.is_dir() { search(path, &mut found) } else { check_file(path, &mut found) };
        if path.is_dir() {
            let meant;
            (meant, found) = found.into_iter().partition(|file| is_meant_for_a_scenario(file));
            others.extend(std::mem::replace(&mut found, meant));
        }
        match searched {
            Err(error) => problems.push(format!("{}: {error}", path.display())),
            Ok(()) if found.is_empty() => {
                problems.push(format!("{}: no scenario (*.yaml, *.yml) in this folder", path.display()));
            }
            Ok(()) => files.extend(found),
        }
    }
    // Named twice, or a file and its folder: played once, where it was named first.
    let mut seen = std::collections::BTreeSet::new();
    files.retain(|file: &PathBuf| seen.insert(file.clone()));
    let mut seen = std::collections::BTreeSet::new();
    others.retain(|file: &PathBuf| seen.insert(file.clone()));
    let files = files.into_iter().map(|path| ScenarioFile { label: label(&path), path }).collect();
    (Found { files, others }, problems)
}

/// A file that was named is taken whatever its name ends in; it only has to be there.
fn check_file(path: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    fs::metadata(path)?;
    found.push(path.to_owned());
    Ok(())
}

fn search(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    // What the file system lists first differs from machine to machine.
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if hidden {
            continue;
        }
        // A link to a folder is not followed: it may lead in a circle.
        if path.is_dir() {
            if path.is_symlink() {
                continue;
            }
            search(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            found.push(path);
        }
    }
    Ok(())
}

/// `partition/leader-cut` for `.../partition/leader-cut.yaml`; only the name where the folder says nothing.
fn label(path: &Path) -> String {
    let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
    let theme = path.parent().and_then(Path::file_name).map(|theme| theme.to_string_lossy());
    let label = match theme {
        Some(theme) if theme != "scenarios" => format!("{theme}/{name}"),
        _ => name.into_owned(),
    };
    // It is printed in tables and lists.
    on_one_line(&label).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_theme_and_name() {
        let cases = [
            ("scenarios/partition/leader-cut.yaml", "partition/leader-cut"),
            ("/abs/crash/leader-killed.yml", "crash/leader-killed"),
            ("scenarios/plain.yaml", "plain"),
            ("plain.yaml", "plain"),
            ("x/\u{1b}[2J\n.yaml", "x/\u{241b}[2J\u{240a}"),
        ];
        for (path, expected) in cases {
            assert_eq!(label(Path::new(path)), expected);
        }
    }

    #[test]
    fn a_folder_stands_for_every_scenario_below_it_in_a_fixed_order() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for file in ["b/two.yaml", "a/one.yml", "a/notes.md", ".hidden/x.yaml", "a/.x.yaml"] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("it has a folder")).expect("can be made");
            fs::write(path, "about: Something.\n").expect("can be written");
        }
        let twice = [folder.path().to_owned(), folder.path().join("b/two.yaml")];
        let labels: Vec<String> = find(&twice).expect("found").into_iter().map(|f| f.label).collect();
        assert_eq!(labels, ["a/one", "b/two"]);
    }

    #[test]
    fn every_path_that_leads_nowhere_is_named() {
        let empty = tempfile::tempdir().expect("a temporary folder");
        let problems = find(&["no/such.yaml".into(), empty.path().to_owned()]).expect_err("nothing there");
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("no/such.yaml: "), "{problems:?}");
        assert!(problems[1].ends_with("no scenario (*.yaml, *.yml) in this folder"), "{problems:?}");
    }
}
