//! Casts between the types the model knows.

use sqlparser::ast::DataType;

use super::{
    eval::Typed,
    types::{Datum, PgType},
};
use crate::{Lsn, PgError, disk::tables::ColumnType};

/// The type a cast names.
///
/// # Errors
/// 0A000 for a type the model does not know.
pub(super) fn target(data_type: &DataType) -> Result<PgType, PgError> {
    Ok(match data_type {
        DataType::Boolean | DataType::Bool => PgType::Bool,
        DataType::Int(_) | DataType::Int4(_) | DataType::Integer(_) => PgType::Int4,
        DataType::BigInt(_) | DataType::Int8(_) | DataType::Numeric(_) => PgType::Int8,
        DataType::Float8 | DataType::DoublePrecision => PgType::Float8,
        DataType::Text | DataType::Varchar(_) | DataType::CharacterVarying(_) => PgType::Text,
        DataType::Bit(width) => PgType::Bit(
            u8::try_from(width.unwrap_or(1))
                .ok()
                .filter(|w| *w <= 64)
                .ok_or_else(|| PgError::unsupported(format_args!("the type {data_type}")))?,
        ),
        DataType::Timestamp(_, _) => PgType::Timestamptz,
        DataType::Custom(name, _) => match name.to_string().to_ascii_lowercase().as_str() {
            "pg_lsn" | "pg_catalog.pg_lsn" => PgType::PgLsn,
            "timestamptz" => PgType::Timestamptz,
            "name" | "regclass" => PgType::Text,
            "oid" => PgType::Int8,
            "inet" => PgType::Inet,
            _ => return Err(PgError::unsupported(format_args!("the type {data_type}"))),
        },
        _ => return Err(PgError::unsupported(format_args!("the type {data_type}"))),
    })
}

/// Casts a value.
///
/// # Errors
/// 22P02 for text that is no such value, 22003 out of range, 42846 when there is no such cast.
pub(super) fn cast(value: Typed, to: PgType) -> Result<Typed, PgError> {
    let from = value.kind;
    let invalid =
        |text: &str| PgError::error("22P02", format!("invalid input syntax for type {}: \"{text}\"", name(to)));
    let datum = match (value.datum, to) {
        (Datum::Null, _) => Datum::Null,
        (Datum::Text(text), PgType::Bit(_)) => {
            let hexadecimal = text.strip_prefix(['x', 'X']).map(|digits| i64::from_str_radix(digits, 16));
            let bits = hexadecimal.unwrap_or_else(|| i64::from_str_radix(&text, 2));
            Datum::Int(bits.map_err(|_| invalid(&text))?)
        }
        (Datum::Text(text), PgType::Int4 | PgType::Int8) => {
            Datum::Int(text.trim().parse().map_err(|_| invalid(&text))?)
        }
        (Datum::Text(text), PgType::Float8) => Datum::Float(text.trim().parse().map_err(|_| invalid(&text))?),
        (Datum::Text(text), PgType::Bool) => Datum::Bool(boolean(&text).ok_or_else(|| invalid(&text))?),
        (Datum::Text(text), PgType::PgLsn) => {
            Datum::Lsn(text.parse::<Lsn>().map_err(|message| PgError::error("22P02", message))?)
        }
        (Datum::Text(text), PgType::Text | PgType::Inet | PgType::Unknown) => Datum::Text(text),
        (Datum::Int(bits), PgType::Int4) if matches!(from, PgType::Bit(32)) => {
            // The 32 bits are the integer, sign included.
            Datum::Int(i64::from((bits as u32).cast_signed()))
        }
        (Datum::Int(number), PgType::Int4) => {
            i32::try_from(number).map_err(|_| PgError::error("22003", "integer out of range"))?;
            Datum::Int(number)
        }
        (Datum::Int(number), PgType::Int8 | PgType::Bit(_)) => Datum::Int(number),
        (Datum::Int(number), PgType::Float8) => Datum::Float(number as f64),
        (Datum::Int(number), PgType::Bool) => Datum::Bool(number != 0),
        (Datum::Float(number), PgType::Int4 | PgType::Int8) => Datum::Int(number.round_ties_even() as i64),
        (Datum::Bool(value), PgType::Int4) => Datum::Int(i64::from(value)),
        // PostgreSQL spells booleans out when they are cast, and abbreviates them when they are printed.
        (Datum::Bool(value), PgType::Text) => Datum::Text(value.to_string()),
        (datum, PgType::Text) => Datum::Text(datum.to_text(from).unwrap_or_default()),
        (datum, _) if from == to => datum,
        (_, _) => {
            let message = format!("cannot cast type {} to {}", name(from), name(to));
            return Err(PgError::error("42846", message));
        }
    };
    Ok(Typed { datum, kind: to })
}

fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "true" | "on" | "yes" | "y" | "1" => Some(true),
        "f" | "false" | "off" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// A type's name in messages.
pub(super) fn name(kind: PgType) -> &'static str {
    match kind {
        PgType::Bool => "boolean",
        PgType::Int4 => "integer",
        PgType::Int8 => "bigint",
        PgType::Float8 => "double precision",
        PgType::Text => "text",
        PgType::Timestamptz => "timestamp with time zone",
        PgType::PgLsn => "pg_lsn",
        PgType::Bit(_) => "bit",
        PgType::Inet => "inet",
        PgType::Void => "void",
        PgType::Unknown => "unknown",
    }
}

/// The type of a table's column.
///
/// # Errors
/// 0A000 for a type the model does not store.
pub(super) fn column_type(data_type: &DataType) -> Result<ColumnType, PgError> {
    Ok(match target(data_type) {
        Ok(PgType::Int4) => ColumnType::Int4,
        Ok(PgType::Int8) => ColumnType::Int8,
        Ok(PgType::Text) => ColumnType::Text,
        Ok(PgType::Bool) => ColumnType::Bool,
        Ok(PgType::Timestamptz) => ColumnType::Timestamptz,
        _ => match data_type.to_string().to_ascii_lowercase().as_str() {
            "serial" | "bigserial" => return Err(PgError::unsupported("sequences (serial columns)")),
            _ => return Err(PgError::unsupported(format_args!("columns of type {data_type}"))),
        },
    })
}
