//! `tags`: Patroni's own, and any others.

use pgdrill_settings::value;
use pgdrill_yaml::{At, Reader, Value, did_you_mean};
use serde_json::{Map, Value as Json};

use super::value::{switch, whole, word};

const FLAGS: [&str; 5] = ["nofailover", "nosync", "noloadbalance", "clonefrom", "nostream"];
const NUMBERS: [&str; 2] = ["failover_priority", "sync_priority"];

/// The section, as it is written to the member key: values as they are spelled, as Patroni shows them. A flag that is off is
/// spelled one way, since Patroni takes the text `"off"` for on.
pub(super) fn tags(reader: &mut Reader<'_>, at: &At<'_>) -> Map<String, Json> {
    let mut all = Map::new();
    let mut fields = reader.fields(at);
    for name in FLAGS {
        let Some(at) = fields.take_set(name) else { continue };
        let flag = switch(reader, &at).map(|flag| if flag { at.node.to_json() } else { false.into() });
        all.extend(flag.map(|flag| (name.to_owned(), flag)));
    }
    for name in NUMBERS {
        let Some(at) = fields.take_set(name) else { continue };
        let number = whole::<i64>(reader, &at, -1_000_000..=1_000_000, "").map(|_| at.node.to_json());
        all.extend(number.map(|number| (name.to_owned(), number)));
    }
    let from = fields.take_set("replicatefrom").and_then(|at| word(reader, &at, "the name of another member"));
    all.extend(from.map(|from| ("replicatefrom".to_owned(), from.into())));
    for (flag, priority) in [("nofailover", "failover_priority"), ("nosync", "sync_priority")] {
        contradiction(reader, at, &all, flag, priority);
    }
    for (key, node) in fields.rest() {
        let tags = at;
        let at = At { node, path: at.field(&key.name) };
        if matches!(node.value, Value::List(_) | Value::Map(_) | Value::Null) {
            reader.wrong(&at, "a single value");
            continue;
        }
        let known = FLAGS.into_iter().chain(NUMBERS).chain(["replicatefrom"]);
        let meant = did_you_mean(&key.name, known);
        if !meant.is_empty() {
            reader.warning(|reader| {
                let path = reader.field(tags, key);
                let found = format!("the tag {}", reader.name(key));
                reader.problem(key.place, &path, found, "one of Patroni's tags").help =
                    format!("{meant} as it is, it means nothing to the agent");
            });
        }
        all.insert(key.name.clone(), node.to_json());
    }
    all
}

/// Patroni warns of it and follows the flag.
fn contradiction(reader: &mut Reader<'_>, at: &At<'_>, all: &Map<String, Json>, flag: &str, priority: &str) {
    let (Some(never), Some(n)) =
        (all.get(flag).and_then(value::switch), all.get(priority).and_then(|n| value::integer(n, None)))
    else {
        return;
    };
    if never == (n > 0) {
        let place = at.node.locate(priority).place;
        reader.warning(|reader| {
            let found = format!("{priority} {n} beside {flag} {never}");
            reader.problem(place, &at.field(priority), found, "one of the two").help =
                format!("they contradict each other; {flag} counts");
        });
    }
}
