//! Arguments and results of calls.

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};

use crate::{
    Lsn, PgError,
    sql::{
        cast::cast,
        eval::Typed,
        types::{Datum, PgType},
    },
};

/// Arguments; `None` is `*`.
pub(super) fn argument_exprs(function: &Function) -> Result<Vec<Option<&Expr>>, PgError> {
    let FunctionArguments::List(list) = &function.args else { return Ok(Vec::new()) };
    list.args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
            | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. } => Ok(Some(expr)),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => Ok(None),
            other => Err(PgError::unsupported(format_args!("the argument {other}"))),
        })
        .collect()
}

pub(super) fn text_argument(arguments: &[Typed], index: usize) -> Result<String, PgError> {
    let argument = arguments.get(index).ok_or_else(|| PgError::error("42883", "too few arguments"))?;
    Ok(argument.datum.to_text(argument.kind).unwrap_or_default())
}

pub(super) fn lsn_argument(arguments: &[Typed], index: usize) -> Result<Option<Lsn>, PgError> {
    let argument = arguments.get(index).ok_or_else(|| PgError::error("42883", "too few arguments"))?;
    match cast(argument.clone(), PgType::PgLsn)?.datum {
        Datum::Lsn(lsn) => Ok(Some(lsn)),
        _ => Ok(None),
    }
}

pub(super) fn lsn(lsn: Lsn) -> Typed {
    Typed::new(Datum::Lsn(lsn), PgType::PgLsn)
}

pub(super) fn optional<T>(value: Option<T>, kind: PgType, datum: impl FnOnce(T) -> Datum) -> Typed {
    Typed::new(value.map_or(Datum::Null, datum), kind)
}
