//! The schema and the reader agree: on every shipped file, and on thousands that are changed in one place.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{json_schema, validator::Validator};
use crate::scenario::read::{self, KEYWORDS, Reader};

/// What the reader says of a document by itself, before the checks of a file as a whole.
fn read_alone(document: &Value) -> Result<(), String> {
    let text = serde_json::to_string_pretty(document).expect("it is JSON");
    let name = document["name"].as_str().filter(|name| !name.is_empty()).unwrap_or("drill");
    let path = PathBuf::from(format!("{name}.yaml"));
    let root = pgdrill_yaml::parse(&path, &text, read::SCENARIO).map_err(|problem| problem.to_string())?;
    let mut reader = Reader::new(path.clone(), &text);
    read::scenario(&mut reader, &root, &path);
    let problems: Vec<String> = reader.problems.iter().map(ToString::to_string).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}

#[path = "../../../tests/scenario_reading/broken.rs"]
mod broken;

fn documents(folder: &Path, found: &mut Vec<(PathBuf, Value)>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            documents(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = fs::read_to_string(&path).expect("it can be read");
            let root = pgdrill_yaml::parse(&path, &text, read::SCENARIO).expect("it is YAML");
            found.push((path, root.to_json()));
        }
    }
}

fn shipped() -> Vec<(PathBuf, Value)> {
    let mut found = Vec::new();
    documents(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios"), &mut found);
    assert!(found.len() >= 70, "only {} files", found.len());
    found
}

/// A file in which every field and every action is.
fn everything() -> Value {
    let text = include_str!("everything.yaml");
    let root = pgdrill_yaml::parse(Path::new("everything.yaml"), text, read::SCENARIO).expect("it is YAML");
    let document = root.to_json();
    let actions: BTreeSet<&str> = document["timeline"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|step| step.as_object().expect("fields").keys().map(String::as_str))
        .collect();
    for keyword in KEYWORDS {
        assert!(actions.contains(keyword), "{keyword} is missing in everything.yaml");
    }
    document
}

#[test]
fn the_schema_takes_every_shipped_file() {
    let schema = json_schema();
    let validator = Validator::of(schema.as_value());
    for (path, document) in shipped() {
        let errors = validator.errors(&document);
        assert!(errors.is_empty(), "{}:\n{}", path.display(), errors.join("\n"));
    }
}

/// What a value is replaced by.
fn others() -> Vec<Value> {
    let mut others = vec![json!(null), json!(true), json!(false), json!([]), json!({})];
    others.extend([-1, 0, 1, 2, 4, 5, 20, 64, 65, 100, 86_401, 2_000_000].map(|n| json!(n)));
    others.extend([0.9, 1.5].map(|n| json!(n)));
    others.extend(
        [
            "",
            "x",
            "X y",
            "leader",
            "any replica",
            "any candidate",
            "any replicas",
            "etcd",
            "etcd leader + etcd1",
            "haproxy",
            "pg1",
            "pg0",
            "zone of leader",
            "nodes + ",
            "30s",
            "0s",
            "1.5s",
            "1m30s",
            "30s1m",
            "40 s",
            "-5s",
            "+5s",
            "40",
            "1ms..2ms",
            "on",
            "off",
            "yes",
            "quorum",
            "30%",
            "150%",
            "5/s",
            "0/s",
            "0.5/m",
            "4KiB",
            "1MiB/s",
            "10Mbit/s",
            "1.05",
            "500ppm",
            "9",
            "all",
            "cluster",
            "healthy",
            "two_writers",
            "postgres",
            "automatic",
            "own_hosts",
        ]
        .map(Value::from),
    );
    others.extend([
        json!(["leader", "etcd"]),
        json!(["pg1"]),
        json!(["x", "x"]),
        json!({ "on": "leader" }),
        json!({ "on": "nodes" }),
        json!({ "candidate": "pg2" }),
        json!({ "isolate": "leader" }),
        json!({ "isolate": "leader", "only": "inbound" }),
        json!({ "from": "leader" }),
        json!({ "process": "etcd", "on": "etcd1" }),
        json!({ "process": "deadman", "on": "pg1", "wipe": true }),
        json!({ "min": 1 }),
        json!({ "max": "9s" }),
        json!({ "members": 2 }),
        json!({ "mode": "off", "device": ["pg1"] }),
        json!({ "x": 1 }),
    ]);
    others
}

/// Every document that differs from this one in one place, by what is changed there; a list's items are all taken for alike.
fn changed(document: &Value, found: &mut BTreeMap<String, Value>) {
    let mut places = vec![(String::new(), String::new())];
    while let Some((pointer, path)) = places.pop() {
        let here = document.pointer(&pointer).expect("it was found there");
        let mut put = |what: String, value: Option<Value>, at: &str| {
            if found.contains_key(&what) {
                return;
            }
            let mut copy = document.clone();
            let (parent, name) = at.rsplit_once('/').expect("it is no root");
            let parent = copy.pointer_mut(parent).expect("it is there");
            match (parent, value) {
                (Value::Object(fields), Some(value)) => _ = fields.insert(name.to_owned(), value),
                (Value::Object(fields), None) => _ = fields.remove(name),
                (Value::Array(items), Some(value)) => items[name.parse::<usize>().expect("a number")] = value,
                (Value::Array(items), None) => _ = items.remove(name.parse().expect("a number")),
                _ => unreachable!("only groups and lists have anything in them"),
            }
            found.insert(what, copy);
        };
        if !pointer.is_empty() {
            for other in others() {
                put(format!("{path} = {other}"), Some(other), &pointer);
            }
            put(format!("{path} removed"), None, &pointer);
        }
        match here {
            Value::Object(fields) => {
                put(format!("{path}.unknown"), Some(json!(1)), &format!("{pointer}/unknown"));
                // An action's fields differ from those of another.
                places.extend(fields.keys().map(|name| (format!("{pointer}/{name}"), format!("{path}.{name}"))));
            }
            Value::Array(items) => {
                let of = |item: &Value| match item {
                    Value::Object(fields) => fields.keys().cloned().collect::<Vec<_>>().join("+"),
                    _ => String::new(),
                };
                places.extend(
                    items
                        .iter()
                        .enumerate()
                        .map(|(n, item)| (format!("{pointer}/{n}"), format!("{path}[{}]", of(item)))),
                );
            }
            _ => {}
        }
    }
}

/// What the reader refuses and no schema can: what depends on another field, on the file's name, on other files, or on the sum
/// of several units.
fn is_beyond_a_schema(refusal: &str) -> bool {
    let sum = refusal.contains("expected whole seconds from") && refusal.contains("found \"");
    let elsewhere = [
        "every host in one zone",
        "min up to max",
        "as the file is named",
        "the path of a patroni.yml",
        "from the larger unit to the smaller",
        "every field once",
        "at most 24h",
    ];
    sum || elsewhere.iter().any(|words| refusal.contains(words))
}

/// The document in pieces that are right by themselves, each with little in it: thousands of whole ones take minutes.
fn pieces(document: &Value) -> Vec<Value> {
    let whole = |name: &str, part: Value| {
        let mut piece = json!({ "name": "everything", "about": "Has one field.", "duration": "100s" });
        piece[name] = part;
        piece
    };
    let one = |name: &str, value: &Value| Value::Object([(name.to_owned(), value.clone())].into_iter().collect());
    let fields = |of: &Value| of.as_object().expect("fields").clone();
    let mut pieces = vec![whole("name", document["name"].clone())];
    for step in document["timeline"].as_array().expect("a list") {
        pieces.push(whole("timeline", json!([step])));
    }
    for section in ["workload", "expect", "cluster"] {
        for (name, value) in fields(&document[section]).iter().filter(|(name, _)| *name != "patroni") {
            pieces.push(whole(section, one(name, value)));
        }
    }
    for (name, value) in &fields(&document["cluster"]["patroni"]) {
        pieces.push(whole("cluster", json!({ "patroni": one(name, value) })));
    }
    pieces
}

#[test]
fn what_the_reader_takes_the_schema_takes_and_what_it_refuses_the_schema_refuses() {
    let schema = json_schema();
    let validator = Validator::of(schema.as_value());
    let mut documents = BTreeMap::new();
    for piece in pieces(&everything()) {
        changed(&piece, &mut documents);
    }
    assert!(documents.len() > 5_000, "only {}", documents.len());
    let (mut differences, mut refused) = (Vec::new(), 0);
    for (change, document) in &documents {
        match (read_alone(document), validator.errors(document).is_empty()) {
            (Ok(()), true) => {}
            (Err(_), false) => refused += 1,
            (Ok(()), false) => {
                let why = validator.errors(document).join("; ");
                differences.push(format!("only the schema refuses {change}: {why}"));
            }
            (Err(why), true) if is_beyond_a_schema(&why) => {}
            (Err(why), true) => differences.push(format!("only the reader refuses {change}: {why}")),
        }
    }
    assert!(refused > 4_000, "only {refused} were refused");
    let count = differences.len();
    differences.truncate(60);
    assert!(differences.is_empty(), "{count} of {} differ:\n{}", documents.len(), differences.join("\n"));
}

#[test]
fn every_broken_file_is_refused_by_both_or_only_for_what_is_elsewhere() {
    let schema = json_schema();
    let validator = Validator::of(schema.as_value());
    let mut refused_by_both = 0;
    for (mistake, text) in broken::MISTAKES {
        let text = format!("name: drill\nabout: Shows something.\n{text}");
        let root = pgdrill_yaml::parse(Path::new("drill.yaml"), &text, read::SCENARIO).expect("it is YAML");
        let document = root.to_json();
        let errors = validator.errors(&document);
        match read_alone(&document) {
            Err(why) if errors.is_empty() => assert!(is_beyond_a_schema(&why), "{mistake}: {why}"),
            Err(_) => refused_by_both += 1,
            // What is wrong with it is found when the file as a whole is checked, or was lost on the way to JSON.
            Ok(()) => assert!(errors.is_empty(), "{mistake}: {errors:?}"),
        }
    }
    assert!(refused_by_both >= 20, "only {refused_by_both}");
}

#[test]
fn a_wrong_field_of_a_line_is_named_and_not_the_line() {
    let schema = json_schema();
    let validator = Validator::of(schema.as_value());
    let errors = |step: Value| {
        let document = json!({ "name": "drill", "about": "A.", "duration": "9s", "timeline": [step] });
        validator.errors(&document).join("\n")
    };
    for (step, place, words) in [
        (json!({ "at": "5s", "loss": { "isolate": "pg1", "probability": 2 } }), "/timeline/0/loss/probability", "2"),
        (json!({ "at": "5s", "power_off": "any replicas" }), "/timeline/0/power_off", "any replicas"),
        (json!({ "at": "5s", "cutt": "leader" }), "/timeline/0", "cutt"),
        (json!({ "at": "5s", "kill": { "process": "patroni", "on": "pg1" } }), "/timeline/0/kill/process", "patroni"),
    ] {
        let found = errors(step);
        assert!(found.contains(place) && found.contains(words), "{found}");
    }
}

#[test]
fn no_description_has_a_link_that_only_rustdoc_follows() {
    let text = serde_json::to_string_pretty(&json_schema()).expect("it is JSON");
    for line in text.lines().filter(|line| line.contains("\"description\"")) {
        assert!(!line.contains("[`") && !line.contains("]("), "{line}");
    }
}
