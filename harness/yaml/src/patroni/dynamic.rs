//! The values of `bootstrap.dcs`: which are legal is said by those who use them.

use pgdrill_settings::{Problem, Taken, check, postgresql::removed_in};

use crate::{At, Reader};

/// Tells what is wrong with the values of a dynamic configuration. What makes no sense is as grave as the reader says; what is
/// only raised, lowered or passed over is a warning, since Patroni runs with it.
pub fn values(reader: &mut Reader<'_>, at: &At<'_>) {
    for problem in check::values(&at.node.to_json()) {
        // What to write instead of a removed parameter is told with the other warts.
        let parameter = problem.field.strip_prefix("postgresql.parameters.");
        if parameter.is_none_or(|name| removed_in(name).is_none()) {
            tell(reader, at, &problem);
        }
    }
}

/// Tells a problem with something below `at`.
pub(super) fn tell(reader: &mut Reader<'_>, at: &At<'_>, problem: &Problem) {
    let (path, place) = (at.field(&problem.field), at.node.locate(&problem.field).place);
    let (found, expected) = (problem.found.clone(), problem.expected.clone());
    match &problem.taken {
        Taken::Senseless { .. } => {
            reader.problem(place, &path, found, expected);
        }
        Taken::Otherwise(_) | Taken::Ignored => reader.warning(|reader| {
            reader.problem(place, &path, found, expected).help = match problem.instead() {
                Some(instead) if instead.ends_with("instead") => format!("{instead}, as with Patroni"),
                other => other.unwrap_or_default(),
            };
        }),
    }
}
