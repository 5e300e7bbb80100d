//! Where a configuration is from: files and variables, merged as Patroni merges them (`Config._load_config_path` and
//! `patch_config`), each value knowing its place.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use pgdrill_yaml::{Document, Node, Place, Problem, Reader, Value, cannot_read, parse, text_of};

use super::Environment;

/// What is expected of every one of the files.
pub(super) const PATRONI_YML: Document = Document {
    what: "patroni.yml",
    fields: "fields: scope, name, etcd3, restapi, bootstrap, postgresql, ...",
    yaml_1_1: true,
};

/// The texts that a configuration is read from.
pub(super) struct Sources {
    /// Names and texts; variables have none.
    texts: Vec<(PathBuf, String)>,
    /// A tree for each of the files.
    trees: Vec<Node>,
}

impl Sources {
    /// Reads all of them.
    pub fn gather(path: Option<&Path>, environment: &Environment) -> Result<Self, Vec<Problem>> {
        let texts = match path {
            Some(path) => texts(path)?,
            None => environment.whole().into_iter().map(|text| ("PATRONI_CONFIGURATION".into(), text)).collect(),
        };
        let (mut trees, mut problems) = (Vec::new(), Vec::new());
        for (n, (name, text)) in texts.iter().enumerate() {
            match parse(name, text, PATRONI_YML) {
                Ok(mut tree) => {
                    tree.set_source(n);
                    trees.push(tree);
                }
                Err(problem) => problems.push(*problem),
            }
        }
        let mut all = Self { texts, trees };
        all.texts.extend(environment.names().map(|name| (PathBuf::from(name), String::new())));
        if problems.is_empty() { Ok(all) } else { Err(problems) }
    }

    /// A reader of all of them.
    pub fn reader(&self) -> Reader<'_> {
        Reader::of_all(self.texts.iter().map(|(name, text)| (name.clone(), text.as_str())).collect())
    }

    /// The merged tree. Variables are over files; over `PATRONI_CONFIGURATION` they are not.
    pub fn root(&self, reader: &mut Reader<'_>, from_files: bool, environment: &Environment) -> Node {
        let files = self.trees.len();
        let mut root = Node { value: Value::Map(Vec::new()), place: Place::default() };
        for (n, tree) in self.trees.iter().enumerate() {
            if n == 0 {
                root = tree.clone();
            } else {
                twice(reader, tree, "");
                root.patch(tree.clone());
            }
        }
        // A section of which only the name is left counts as none.
        if let Value::Map(fields) = &mut root.value {
            fields.retain(|(_, node)| node.value != Value::Null);
        }
        if from_files || files == 0 {
            root.patch(environment.tree(reader, files));
        } else {
            environment.unused(reader, files);
        }
        root
    }

    /// Warns of files with passwords that every user of the machine can read.
    pub fn readable_by_all(&self, reader: &mut Reader<'_>) {
        for (n, (file, _)) in self.texts.iter().take(self.trees.len()).enumerate() {
            let Ok(about) = std::fs::metadata(file) else { continue };
            let mode = about.permissions().mode() & 0o777;
            if mode & 0o004 != 0 && self.trees.get(n).is_some_and(holds_password) {
                reader.warning(|reader| {
                    let place = Place { source: n, ..Place::default() };
                    let found = format!("passwords in a file with permissions {mode:04o}");
                    reader.problem(place, "", found, "permissions 0600").help =
                        "every user of this machine can read them; variables such as PATRONI_SUPERUSER_PASSWORD are another way"
                            .into();
                });
            }
        }
    }
}

fn holds_password(node: &Node) -> bool {
    match &node.value {
        Value::Map(fields) => fields.iter().any(|(key, node)| {
            (key.name.ends_with("password") && matches!(node.value, Value::Text(_) | Value::Number(_)))
                || holds_password(node)
        }),
        Value::List(items) => items.iter().any(holds_password),
        _ => false,
    }
}

/// The texts of a file, or of the YAML files in a folder by name.
fn texts(path: &Path) -> Result<Vec<(PathBuf, String)>, Vec<Problem>> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        files = folder(path).map_err(|error| vec![*cannot_read(path, &error)])?;
        if files.is_empty() {
            return Err(vec![Problem::of_file(
                path.to_owned(),
                "a folder without *.yml and *.yaml",
                "patroni.yml in it",
            )]);
        }
    }
    let (mut texts, mut problems) = (Vec::new(), Vec::new());
    for file in files {
        match text_of(&file, PATRONI_YML.what) {
            Ok(text) => texts.push((file, text)),
            Err(problem) => problems.push(*problem),
        }
    }
    if problems.is_empty() { Ok(texts) } else { Err(problems) }
}

fn folder(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        let yaml = file.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
        if yaml && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Fields that are twice in a file that is merged into another: the merge would hide them.
fn twice(reader: &mut Reader<'_>, node: &Node, path: &str) {
    if matches!(node.value, Value::Map(_)) {
        let at = pgdrill_yaml::At { node, path: path.to_owned() };
        for (key, node) in reader.fields(&at).rest() {
            twice(reader, node, &at.field(&key.name));
        }
    }
}
