//! Values of a query's answer, from PostgreSQL's text to what a format shows.

use serde_json::Value;
use tokio_postgres::types::Type;

/// As `to_json` has it (PostgreSQL's documentation, "JSON Functions and Operators"): numbers and booleans as they are, JSON as it
/// is, NULL as null, everything else as text. A number that JSON's readers cannot keep to the last digit stays text.
pub(super) fn json(of: Option<&Type>, text: Option<&str>) -> Value {
    let Some(text) = text else { return Value::Null };
    let found = match of {
        Some(of) if *of == Type::BOOL => Some(Value::Bool(text == "t")),
        Some(of) if [Type::INT2, Type::INT4, Type::INT8, Type::OID].contains(of) => {
            text.parse::<i64>().ok().map(Into::into)
        }
        Some(of) if [Type::FLOAT4, Type::FLOAT8].contains(of) => text.parse::<f64>().ok().and_then(finite),
        Some(of) if *of == Type::NUMERIC => numeric(text),
        Some(of) if [Type::JSON, Type::JSONB].contains(of) => serde_json::from_str(text).ok(),
        _ => None,
    };
    found.unwrap_or_else(|| text.into())
}

/// `NaN` and `Infinity` are no numbers in JSON.
fn finite(number: f64) -> Option<Value> {
    serde_json::Number::from_f64(number).map(Value::Number)
}

/// A `numeric` that is exactly what a double or a 64-bit integer says.
fn numeric(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    // A double keeps 15 significant digits of any decimal number.
    (digits <= 15).then(|| text.parse().ok().and_then(finite)).flatten()
}

/// As Python shows it, and so patronictl in tables and tab-separated values: `None`, `True`, `False`, an offset with minutes.
pub(super) fn python(of: Option<&Type>, text: Option<&str>) -> String {
    let Some(text) = text else { return "None".to_owned() };
    match of {
        Some(of) if *of == Type::BOOL => if text == "t" { "True" } else { "False" }.to_owned(),
        Some(of) if *of == Type::TIMESTAMPTZ && text.len() > 3 => {
            let offset = text.rfind(['+', '-']).map_or("", |at| &text[at..]);
            if offset.len() == 3 { format!("{text}:00") } else { text.to_owned() }
        }
        Some(of)
            if [Type::FLOAT4, Type::FLOAT8].contains(of) && text.bytes().all(|b| b.is_ascii_digit() || b == b'-') =>
        {
            format!("{text}.0")
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::*;

    #[test]
    fn json_has_the_types_that_to_json_gives() {
        let cases = [
            (Type::BOOL, "t", value!(true)),
            (Type::INT8, "-9223372036854775808", value!(i64::MIN)),
            (Type::INT4, "7", value!(7)),
            (Type::FLOAT8, "0.5", value!(0.5)),
            (Type::FLOAT8, "NaN", value!("NaN")),
            (Type::NUMERIC, "12.50", value!(12.5)),
            (Type::NUMERIC, "3", value!(3)),
            (Type::NUMERIC, "12345678901234567890.5", value!("12345678901234567890.5")),
            (Type::JSONB, r#"{"a": [1, null]}"#, value!({"a": [1, null]})),
            (Type::TEXT, "7", value!("7")),
            (Type::TIMESTAMPTZ, "2026-11-30 17:00:00+00", value!("2026-11-30 17:00:00+00")),
            (Type::PG_LSN, "0/3000060", value!("0/3000060")),
        ];
        for (of, text, expected) in cases {
            assert_eq!(json(Some(&of), Some(text)), expected, "{of} {text}");
            assert_eq!(json(Some(&of), None), Value::Null, "{of}");
        }
        assert_eq!(json(None, Some("7")), value!("7"), "of an unknown type");
    }

    #[test]
    fn tables_show_values_as_python_does() {
        let cases = [
            (Type::BOOL, "f", "False"),
            (Type::TIMESTAMPTZ, "2026-11-30 17:00:00.5+00", "2026-11-30 17:00:00.5+00:00"),
            (Type::TIMESTAMPTZ, "2026-11-30 17:00:00-03", "2026-11-30 17:00:00-03:00"),
            (Type::TIMESTAMPTZ, "2026-11-30 17:00:00+05:30", "2026-11-30 17:00:00+05:30"),
            (Type::FLOAT8, "1", "1.0"),
            (Type::FLOAT8, "1.5", "1.5"),
            (Type::TEXT, "t", "t"),
        ];
        for (of, text, expected) in cases {
            assert_eq!(python(Some(&of), Some(text)), expected, "{of} {text}");
        }
        assert_eq!(python(Some(&Type::TEXT), None), "None");
    }
}
