//! What can only be judged when a whole scenario has been read: selectors that can match nobody, events that come too late,
//! expectations that contradict the timeline, settings that Patroni would refuse.

mod expectations;
mod selectors;
mod settings;
mod size;
mod timing;
mod undoing;

pub use selectors::HostKind;
pub(super) use size::wrong_for_size;

use super::{
    Scenario,
    read::{Node, Reader},
};

/// Every check.
pub(super) fn scenario(reader: &mut Reader<'_>, root: &Node, scenario: &Scenario) {
    places(reader, root, scenario);
    expectations::check(reader, root, scenario);
    settings::check(reader, root, scenario);
    size::check(reader, root, scenario);
    timing::warn_of_length(reader, root, scenario);
}

/// The checks of the timeline's single lines: these hold even when something else could not be read. Not done when a line is
/// missing, because then lines and labels no longer match the file.
pub(super) fn places(reader: &mut Reader<'_>, root: &Node, scenario: &Scenario) {
    if !reader.problems.iter().any(|problem| problem.field.starts_with("timeline")) {
        timing::check(reader, root, scenario);
        undoing::check(reader, root, scenario);
        if !reader.problems.iter().any(|problem| problem.field.starts_with("cluster")) {
            selectors::check(reader, root, scenario);
        }
    }
}

/// Notes a problem with the value at a path of the file.
fn wrong<'r>(
    reader: &'r mut Reader<'_>,
    root: &Node,
    path: &str,
    found: impl Into<String>,
    expected: impl Into<String>,
) -> &'r mut super::Problem {
    reader.problem(root.locate(path).place, path, found, expected)
}
