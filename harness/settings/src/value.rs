//! How a value is read, whatever way it is spelled: `30`, `"30"`, `30.0` and `0x1E` are one number, `true`, `"On"` and `1` one
//! switch. A value is what YAML or JSON gives: text, number, truth value or nothing.

use std::borrow::Cow;

use serde_json::Value;

use crate::quantity;

/// A switch (`parse_bool` of `patroni/utils.py`): `on`, `true`, `yes`, `1` and `off`, `false`, `no`, `0`, as text in any case.
#[must_use]
pub fn switch(value: &Value) -> Option<bool> {
    match written(value).to_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// A whole number (`parse_int`), converted to `base`, such as `s`, `kB` or `8kB`, when it has a unit of its own. Without a base a
/// unit makes it no number at all; that is how Patroni reads all of its own settings but `member_slots_ttl`.
#[must_use]
pub fn integer(value: &Value, base: Option<&str>) -> Option<i128> {
    quantity::integer(&written(value), base)
}

/// A number with a fraction (`parse_real`), with a unit as [`integer`].
#[must_use]
pub fn real(value: &Value, base: Option<&str>) -> Option<f64> {
    quantity::real(&written(value), base)
}

/// Python's `int(value)`, which is how Patroni reads `ttl`, `loop_wait` and `retry_timeout`: a fraction of a number is cut off, of a
/// text it makes it no number, and a text is in tens whatever it begins with.
#[must_use]
pub fn plain_integer(value: &Value) -> Option<i128> {
    match value {
        Value::Bool(flag) => Some(i128::from(*flag)),
        Value::Number(number) => {
            number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)).or_else(|| {
                #[allow(clippy::cast_possible_truncation)] // the cast saturates, and no setting is that large
                number.as_f64().map(|number| number.trunc() as i128)
            })
        }
        Value::String(text) => underscored(text.trim())?.parse().ok(),
        _ => None,
    }
}

/// Python lets single underscores stand between digits.
fn underscored(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('_') {
        return Some(text.into());
    }
    let digits = text.trim_start_matches(['+', '-']);
    (!digits.starts_with('_') && !digits.ends_with('_') && !digits.contains("__")).then(|| text.replace('_', "").into())
}

/// `watchdog.mode` as `parse_mode` of `patroni/watchdog/base.py` reads it: `off`, `automatic` or `required`. `None` for a word that
/// Patroni does not know, with which it uses no watchdog.
#[must_use]
pub fn watchdog_mode(value: &Value) -> Option<&'static str> {
    match written(value).to_lowercase().as_str() {
        "require" | "required" => Some("required"),
        "auto" | "automatic" => Some("automatic"),
        // YAML 1.1 reads a bare `off` as false.
        "off" | "disable" | "disabled" | "false" => Some("off"),
        _ => None,
    }
}

/// The value as Python's `str` writes it; what is no single value as nothing that can be read.
fn written(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => text.as_str().into(),
        Value::Number(number) => number.to_string().into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Null | Value::Array(_) | Value::Object(_) => "".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_switch_is_read_in_every_spelling() {
        for on in [json!(true), json!(1), json!("1"), json!("On"), json!("TRUE"), json!("yes")] {
            assert_eq!(switch(&on), Some(true), "{on}");
        }
        for off in [json!(false), json!(0), json!("0"), json!("oFF"), json!("False"), json!("no")] {
            assert_eq!(switch(&off), Some(false), "{off}");
        }
        for neither in
            [json!(2), json!("t"), json!("y"), json!(" on "), json!(""), json!(null), json!([true]), json!({})]
        {
            assert_eq!(switch(&neither), None, "{neither}");
        }
    }

    #[test]
    fn a_number_is_read_in_every_spelling() {
        for forty in [json!(40), json!("40"), json!(" +40 "), json!(40.0), json!("0x28"), json!("4e1"), json!("050")] {
            assert_eq!(integer(&forty, None), Some(40), "{forty}");
        }
        for none in [json!(true), json!("40s"), json!("4 0"), json!(null), json!([40]), json!("")] {
            assert_eq!(integer(&none, None), None, "{none}");
        }
        assert_eq!(integer(&json!("5min"), Some("s")), Some(300));
        assert_eq!(real(&json!("0.5ms"), Some("ms")), Some(0.5));
    }

    /// As `int(value)` of Python answers; `None` is its `ValueError`.
    #[test]
    fn times_of_the_lease_are_read_as_python_reads_integers() {
        for (value, expected) in [
            (json!(40), Some(40)),
            (json!(40.9), Some(40)),
            (json!(true), Some(1)),
            (json!("040"), Some(40)),
            (json!(" 4_0 "), Some(40)),
            (json!("-7"), Some(-7)),
            (json!("40.0"), None),
            (json!("0x28"), None),
            (json!("40s"), None),
            (json!("_40"), None),
            (json!(""), None),
            (json!(null), None),
        ] {
            assert_eq!(plain_integer(&value), expected, "{value}");
        }
    }
}
