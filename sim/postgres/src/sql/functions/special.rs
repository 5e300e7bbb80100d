//! What looks like a function and is not called with evaluated arguments: aggregates, `COALESCE`, `GREATEST`, `LEAST`.

use sqlparser::ast::Expr;

use crate::{
    PgError,
    sql::{
        cast::cast,
        eval::{Scope, Typed, compare},
        types::{Datum, PgType},
    },
};

pub(super) fn aggregate(scope: &Scope<'_>, name: &str, arguments: &[Option<&Expr>]) -> Result<Typed, PgError> {
    let group = scope.group.unwrap_or(&[]);
    let argument = arguments.first().copied().flatten();
    if name == "count" && argument.is_none() {
        return Ok(Typed::new(Datum::Int(i64::try_from(group.len()).unwrap_or(i64::MAX)), PgType::Int8));
    }
    let argument = argument.ok_or_else(|| PgError::error("42883", format!("function {name}() does not exist")))?;
    let kind = Scope { describe: true, row: None, group: None, ..*scope }.eval(argument)?.kind;
    let mut values = Vec::new();
    for row in group {
        let value = Scope { row: Some(row), group: None, ..*scope }.eval(argument)?;
        if value.datum != Datum::Null {
            values.push(value);
        }
    }
    match name {
        "count" => Ok(Typed::new(Datum::Int(i64::try_from(values.len()).unwrap_or(i64::MAX)), PgType::Int8)),
        "sum" => {
            let add = |total: i64, value: &Typed| match value.datum {
                Datum::Int(number) => total.checked_add(number),
                _ => None,
            };
            if values.is_empty() {
                return Ok(Typed::null(PgType::Int8));
            }
            let total = values.iter().try_fold(0, add).ok_or_else(|| PgError::error("22003", "bigint out of range"))?;
            Ok(Typed::new(Datum::Int(total), PgType::Int8))
        }
        _ => {
            let mut best: Option<Typed> = None;
            for value in values {
                let better = match &best {
                    Some(best) => {
                        compare(&value, best)?.is_some_and(|o| if name == "max" { o.is_gt() } else { o.is_lt() })
                    }
                    None => true,
                };
                if better {
                    best = Some(value);
                }
            }
            Ok(best.unwrap_or(Typed::null(kind)))
        }
    }
}

pub(super) fn coalesce(scope: &Scope<'_>, exprs: &[Option<&Expr>]) -> Result<Typed, PgError> {
    let mut kind = PgType::Unknown;
    let mut found = None;
    for expr in exprs.iter().copied().flatten() {
        // Branches behind the answer are only asked for their type.
        let value = if found.is_some() { Scope { describe: true, ..*scope }.eval(expr)? } else { scope.eval(expr)? };
        if kind == PgType::Unknown {
            kind = value.kind;
        }
        if found.is_none() && value.datum != Datum::Null {
            found = Some(value);
        }
    }
    match found {
        Some(value) if value.kind == PgType::Unknown && kind != PgType::Unknown => cast(value, kind),
        Some(value) => Ok(value),
        None => Ok(Typed::null(kind)),
    }
}

pub(super) fn extreme(scope: &Scope<'_>, exprs: &[Option<&Expr>], greatest: bool) -> Result<Typed, PgError> {
    let mut best: Option<Typed> = None;
    for expr in exprs.iter().copied().flatten() {
        let value = scope.eval(expr)?;
        best = Some(match best {
            None => value,
            // Nulls are ignored.
            Some(best) => match compare(&value, &best)? {
                Some(ordering) if (greatest && ordering.is_gt()) || (!greatest && ordering.is_lt()) => value,
                None if best.datum == Datum::Null => value,
                _ => best,
            },
        });
    }
    best.ok_or_else(|| PgError::error("42601", "syntax error at or near \")\""))
}
