//! Names that are not known where they are: told where they belong.

use pgdrill_settings::places::{Document, belongs, known_as};

use crate::{At, Fields, Key, Reader, one_of};

/// More names than that are no help to anybody.
const MOST: usize = 14;
/// Of more fields, only the number is told: such a group is something else altogether.
const TOLD: usize = 10;

/// Complains about every field that nobody took: where it belongs if it is known elsewhere, the name that was meant if there is
/// one like it, else what is known here.
pub fn finish(reader: &mut Reader<'_>, fields: &Fields<'_>) {
    let known: Vec<&str> = fields.known().to_vec();
    for (key, _) in fields.rest().iter().take(TOLD) {
        unknown(reader, &fields.at, key, &known);
    }
    if let Some((key, _)) = fields.rest().get(TOLD) {
        let more = fields.rest().len() - TOLD;
        reader.problem(key.place, &fields.at.path, format!("{more} more fields that are not known"), shown(&known));
    }
}

/// Complains about one field.
pub fn unknown(reader: &mut Reader<'_>, at: &At<'_>, key: &Key, known: &[&str]) {
    let (path, found) = (reader.field(at, key), format!("the field {}", reader.name(key)));
    let advice = known_as(&at.path, &key.name, known, Document::File);
    let misplaced = !belongs(&at.path, &key.name).is_empty();
    let expected = match (&advice, misplaced) {
        (Some(place), true) => place.clone(),
        (Some(meant), false) => at.field(meant),
        (None, _) => shown(known),
    };
    let problem = reader.problem(key.place, &path, found, expected);
    problem.help = match (advice, misplaced) {
        (Some(_), true) => "it is a setting of another place: Patroni passes it over where it is".into(),
        (Some(meant), false) => format!("did you mean {meant}?"),
        (None, _) => String::new(),
    };
}

/// What is known, as far as that is of use.
fn shown(known: &[&str]) -> String {
    match known.get(..MOST) {
        Some(first) if known.len() > MOST => format!("{} or another of its {} fields", first.join(", "), known.len()),
        _ => one_of(known),
    }
}
