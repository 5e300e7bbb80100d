//! SQL types and values, and how they look on the wire.

use bytes::{BufMut, BytesMut};

use crate::{
    Lsn,
    disk::tables::{ColumnType, Value},
};

/// The types expressions can have, with PostgreSQL's names and object ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PgType {
    Bool,
    Int4,
    Int8,
    Float8,
    Text,
    Timestamptz,
    PgLsn,
    /// `bit(n)`, at most 64 bits.
    Bit(u8),
    Inet,
    Void,
    /// A string literal or null whose type the context decides.
    Unknown,
}

/// A value.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(crate) enum Datum {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Microseconds since the Unix epoch.
    Timestamp(i64),
    Lsn(Lsn),
}

/// Seconds from the Unix epoch to PostgreSQL's, 2000-01-01.
const POSTGRES_EPOCH_S: i64 = 946_684_800;

impl PgType {
    pub fn oid(self) -> u32 {
        match self {
            Self::Bool => 16,
            Self::Int8 => 20,
            Self::Int4 => 23,
            Self::Text | Self::Unknown => 25,
            Self::Float8 => 701,
            Self::Inet => 869,
            Self::Timestamptz => 1184,
            Self::Bit(_) => 1560,
            Self::Void => 2278,
            Self::PgLsn => 3220,
        }
    }

    pub fn size(self) -> i16 {
        match self {
            Self::Bool => 1,
            Self::Int4 | Self::Void => 4,
            Self::Int8 | Self::Float8 | Self::Timestamptz | Self::PgLsn => 8,
            Self::Text | Self::Unknown | Self::Inet | Self::Bit(_) => -1,
        }
    }

    pub fn of_column(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Int4 => Self::Int4,
            ColumnType::Int8 => Self::Int8,
            ColumnType::Text => Self::Text,
            ColumnType::Bool => Self::Bool,
            ColumnType::Timestamptz => Self::Timestamptz,
        }
    }
}

impl Datum {
    pub fn of_value(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Text(text) => Self::Text(text.clone()),
            Value::Timestamp(at) => Self::Timestamp(*at),
        }
    }

    /// PostgreSQL's text output; `None` is null.
    pub fn to_text(&self, kind: PgType) -> Option<String> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(value) => if *value { "t" } else { "f" }.to_owned(),
            Self::Int(value) => match kind {
                PgType::Bit(width) => format!("{:0width$b}", value, width = usize::from(width)),
                _ => value.to_string(),
            },
            Self::Float(value) => value.to_string(),
            Self::Text(text) => text.clone(),
            Self::Timestamp(at) => timestamp_text(*at),
            Self::Lsn(lsn) => lsn.to_string(),
        })
    }

    /// Appends a column of a data row: length and bytes.
    pub fn encode(&self, kind: PgType, binary: bool, buffer: &mut BytesMut) {
        if *self == Self::Null {
            buffer.put_i32(-1);
            return;
        }
        match (binary, kind, self) {
            (true, PgType::Bool, Self::Bool(value)) => {
                buffer.put_i32(1);
                buffer.put_u8(u8::from(*value));
            }
            (true, PgType::Int4, Self::Int(value)) => {
                buffer.put_i32(4);
                // Wider values cannot be in an integer column: they are refused when they are stored or cast.
                buffer.put_i32(i32::try_from(*value).unwrap_or_default());
            }
            (true, PgType::Int8, Self::Int(value)) => {
                buffer.put_i32(8);
                buffer.put_i64(*value);
            }
            (true, PgType::Float8, Self::Float(value)) => {
                buffer.put_i32(8);
                buffer.put_f64(*value);
            }
            (true, PgType::PgLsn, Self::Lsn(lsn)) => {
                buffer.put_i32(8);
                buffer.put_u64(lsn.0);
            }
            (true, PgType::Timestamptz, Self::Timestamp(at)) => {
                buffer.put_i32(8);
                buffer.put_i64(at - POSTGRES_EPOCH_S * 1_000_000);
            }
            _ => {
                let text = self.to_text(kind).unwrap_or_default();
                buffer.put_i32(i32::try_from(text.len()).expect("values are far smaller than 2 GiB"));
                buffer.put_slice(text.as_bytes());
            }
        }
    }

    /// Reads a parameter sent in binary or text format.
    pub fn decode(bytes: &[u8], kind: PgType, binary: bool) -> Result<Self, String> {
        let wrong = || "incorrect binary data format in bind parameter".to_owned();
        if binary {
            return Ok(match kind {
                PgType::Int4 => Self::Int(i64::from(i32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?))),
                PgType::Int8 => Self::Int(i64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
                PgType::Bool => Self::Bool(bytes == [1]),
                PgType::PgLsn => Self::Lsn(Lsn(u64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?))),
                PgType::Timestamptz => {
                    let at = i64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?);
                    Self::Timestamp(at + POSTGRES_EPOCH_S * 1_000_000)
                }
                _ => Self::Text(String::from_utf8(bytes.to_vec()).map_err(|_| wrong())?),
            });
        }
        Ok(Self::Text(String::from_utf8(bytes.to_vec()).map_err(|_| wrong())?))
    }
}

/// `2026-01-31 12:00:00.123456+00`, as `timestamptz` is printed in UTC.
pub(crate) fn timestamp_text(us: i64) -> String {
    let (days, of_day) = (us.div_euclid(86_400_000_000), us.rem_euclid(86_400_000_000));
    let (year, month, day) = civil_from_days(days);
    let (seconds, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
    if fraction != 0 {
        text.push_str(format!(".{fraction:06}").trim_end_matches('0'));
    }
    text + "+00"
}

/// Gregorian date of a day number since 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_printed_as_postgresql_does_in_utc() {
        for (us, text) in [
            (0, "1970-01-01 00:00:00+00"),
            (951_782_400_000_000, "2000-02-29 00:00:00+00"),
            (1_790_000_000_123_400, "2026-09-21 14:13:20.1234+00"),
            (-1, "1969-12-31 23:59:59.999999+00"),
        ] {
            assert_eq!(timestamp_text(us), text);
        }
    }

    #[test]
    fn a_bit_string_keeps_its_leading_zeros() {
        assert_eq!(Datum::Int(5).to_text(PgType::Bit(8)).as_deref(), Some("00000101"));
    }
}
