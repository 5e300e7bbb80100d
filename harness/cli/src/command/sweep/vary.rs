//! `--vary FIELD=VALUES`: which field of a scenario takes which values.

use std::str::FromStr;

use pgdrill_lab::scenario::json_schema;
use pgdrill_yaml::did_you_mean;
use serde_json::Value;

/// So many values of a field are a slip of the finger.
const MOST: u64 = 1_000;

/// A field and its values, each as it is typed and as it is set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Vary {
    /// As it was typed: `ttl`.
    pub(crate) field: String,
    /// By the path that leads to it in a scenario file: `cluster.patroni.ttl`.
    pub(crate) path: String,
    /// As they were typed: `15`, `5ms`, `on`.
    pub(crate) values: Vec<String>,
}

impl FromStr for Vary {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "FIELD=VALUES, as in ttl=20,30 or ttl=15..60:5";
        let (field, values) = text.split_once('=').ok_or_else(|| format!("`{text}` has no `=`: {wanted}"))?;
        let field = field.trim();
        let mut all = Vec::new();
        for value in values.split(',').map(str::trim) {
            if value.is_empty() {
                return Err(format!("a value of `{text}` is empty: {wanted}"));
            }
            for value in expanded(value)? {
                if !all.contains(&value) {
                    all.push(value);
                }
            }
        }
        Ok(Self { path: path(field)?, field: field.to_owned(), values: all })
    }
}

/// A value as a scenario file would have it: numbers and booleans are such.
pub(crate) fn value(typed: &str) -> Value {
    serde_json::from_str(typed).ok().filter(|value: &Value| !value.is_object()).unwrap_or_else(|| typed.into())
}

/// `15..60:5` is 15, 20, ... 60: both ends, where the steps meet the second. `1ms..5ms:1ms` has units.
fn expanded(value: &str) -> Result<Vec<String>, String> {
    let Some((from, rest)) = value.split_once("..") else { return Ok(vec![value.to_owned()]) };
    let form =
        format!("`{value}` is no range: FROM..TO:STEP of whole numbers with one unit, as in 15..60:5 or 1ms..9ms:2ms");
    let (to, step) = rest.split_once(':').ok_or(&form)?;
    let (Some(from), Some(to), Some(step)) = (quantity(from), quantity(to), quantity(step)) else { return Err(form) };
    if from.unit != to.unit || from.unit != step.unit || step.number == 0 || to.number < from.number {
        return Err(form);
    }
    if (to.number - from.number) / step.number >= MOST {
        return Err(format!("`{value}` has more than {MOST} values"));
    }
    let numbers = (from.number..=to.number).step_by(usize::try_from(step.number).unwrap_or(usize::MAX));
    Ok(numbers.map(|number| format!("{number}{}", from.unit)).collect())
}

struct Quantity<'a> {
    number: u64,
    unit: &'a str,
}

fn quantity(text: &str) -> Option<Quantity<'_>> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some(Quantity { number: text[..digits].parse().ok()?, unit: &text[digits..] })
}

/// The groups of fields whose names need no path, in the order in which a name is looked for, with where each is and what the schema calls
/// it.
const GROUPS: [(&str, &str); 4] =
    [("cluster", "Cluster"), ("cluster.patroni", "Patroni"), ("workload", "Workload"), ("cluster.network", "Network")];

/// Where a field is. The whole path may be given (`cluster.network.latency`); of settings of a cluster, of Patroni, of the workload and
/// of the network the name is enough.
fn path(field: &str) -> Result<String, String> {
    let schema = json_schema().to_value();
    let first = field.split('.').next().unwrap_or_default();
    let names = |fields: &Value| -> Vec<String> {
        fields["properties"].as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
    };
    // What a scenario is called and what it expects costs nothing; its timeline is a list.
    let whole: Vec<String> = names(&schema).into_iter().filter(|name| VARIABLE.contains(&name.as_str())).collect();
    if whole.iter().any(|name| name == first) {
        return Ok(field.to_owned());
    }
    let mut known = whole;
    for (at, group) in GROUPS {
        let fields = names(&schema["$defs"][group]);
        // The version of PostgreSQL is one field, Patroni's settings of it are many.
        let is_group = group == "Cluster" && first != field;
        if !is_group && fields.iter().any(|name| name == first) {
            return Ok(format!("{at}.{field}"));
        }
        known.extend(fields);
    }
    let near = did_you_mean(first, known.iter().map(String::as_str));
    let hint = match near.as_str() {
        "" => {
            "a setting of Patroni (ttl), of the cluster (nodes, router), of the workload (rate), of the network (latency), or the path \
               that leads to it in a scenario file (cluster.patroni.postgresql.parameters.synchronous_commit)"
        }
        near => near,
    };
    Err(format!("there is no field `{field}`: {hint}"))
}

/// What of a scenario can vary as a whole.
const VARIABLE: [&str; 3] = ["cluster", "workload", "duration"];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_found_by_their_names_and_by_paths() {
        for (typed, path) in [
            ("ttl", "cluster.patroni.ttl"),
            ("nodes", "cluster.nodes"),
            ("router", "cluster.router"),
            ("postgresql", "cluster.postgresql"),
            ("postgresql.parameters.wal_keep_size", "cluster.patroni.postgresql.parameters.wal_keep_size"),
            ("rate", "workload.rate"),
            ("latency", "cluster.network.latency"),
            ("duration", "duration"),
            ("workload.writers", "workload.writers"),
        ] {
            let vary: Vary = format!("{typed}=1").parse().expect(typed);
            assert_eq!((vary.field.as_str(), vary.path.as_str()), (typed, path));
        }
    }

    #[test]
    fn values_are_single_ones_and_ranges_with_both_ends() {
        for (typed, values) in [
            ("15..60:15", vec!["15", "30", "45", "60"]),
            ("15..29:10", vec!["15", "25"]),
            ("5,10..20:10, 10", vec!["5", "10", "20"]),
            ("1ms..3ms:1ms", vec!["1ms", "2ms", "3ms"]),
            ("haproxy,direct", vec!["haproxy", "direct"]),
        ] {
            let vary: Vary = format!("ttl={typed}").parse().expect(typed);
            assert_eq!(vary.values, values, "{typed}");
        }
    }

    #[test]
    fn what_is_no_field_or_no_value_is_told_with_what_would_be_right() {
        for (typed, said) in [
            ("ttl", "has no `=`"),
            ("ttl=", "is empty"),
            ("ttl=1,,2", "is empty"),
            ("tll=1", "did you mean ttl?"),
            ("about=x", "there is no field `about`"),
            ("ttl=9..1:1", "is no range"),
            ("ttl=1..9", "is no range"),
            ("ttl=1..9:0", "is no range"),
            ("ttl=1ms..9s:1ms", "is no range"),
            ("ttl=0..18446744073709551615:1", "more than 1000 values"),
        ] {
            let why = typed.parse::<Vary>().expect_err(typed);
            assert!(why.contains(said), "{typed}: {why}");
        }
    }

    #[test]
    fn numbers_and_booleans_are_set_as_such() {
        assert_eq!(["30", "true", "5/s", "on"].map(value), [json!(30), json!(true), json!("5/s"), json!("on")]);
    }
}
