//! Whether a YAML file in a folder is meant to be a scenario: other tools keep YAML there, too.

use std::{fs, path::Path};

/// Fields that a scenario has, and hardly any other file at its top level. One of them is enough: whoever misspells another one
/// is told so.
const OWN: [&str; 5] = ["about", "timeline", "expect", "workload", "duration"];

/// More of a file is not looked at: a scenario is smaller.
const MOST: u64 = 1 << 20;

/// Whether the file in a folder is to be read as a scenario. What cannot be looked at is: reading it tells why.
pub(super) fn is_meant_for_a_scenario(file: &Path) -> bool {
    match fs::metadata(file) {
        Ok(about) if about.is_file() && about.len() <= MOST => {
            fs::read_to_string(file).map_or(true, |text| is_scenario(&text))
        }
        _ => true,
    }
}

/// By its text, since a file with a mistake is no YAML at all, and a template is none either.
fn is_scenario(text: &str) -> bool {
    let own = |key: &str| OWN.contains(&key.trim().trim_matches(['"', '\'']));
    let top = text.lines().filter(|line| !line.starts_with([' ', '\t', '#', '-']));
    let keys = top.filter_map(|line| line.split_once(':')).any(|(key, _)| own(key));
    // All of it in braces.
    let mut begins =
        text.lines().map(str::trim_start).skip_while(|line| line.is_empty() || line.starts_with(['#', '-']));
    let braces = begins.next().is_some_and(|line| line.starts_with('{') && !line.starts_with("{{"));
    keys || (braces && OWN.iter().any(|field| text.contains(field)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_told_from_what_other_tools_keep() {
        for scenario in [
            "name: a\nabout: B.\nduration: 5s\n",
            "# why\n---\nduraton: 5s\ntimeline: [\n",
            "'about': x\n",
            "{ name: a, about: b, duration: 5s }\n",
        ] {
            assert!(is_scenario(scenario), "{scenario}");
        }
        for other in [
            "",
            "scope: demo\nname: pg1\nbootstrap:\n  dcs:\n    ttl: 30\n",
            "services:\n  pg:\n    image: postgres\n",
            "name: tests\non: [push]\njobs: {}\n",
            "{{- if .Values.on }}\nkind: Job\nspec: { duration: 5 }\n{{- end }}\n",
            "- hosts: all\n  timeline: x\n",
            "something: else\n  # about: nothing\n",
        ] {
            assert!(!is_scenario(other), "{other}");
        }
    }
}
