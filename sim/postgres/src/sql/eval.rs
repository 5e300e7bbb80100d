//! Evaluation of expressions.

use std::{borrow::Cow, cmp::Ordering, net::SocketAddr};

use sqlparser::ast::{AccessExpr, BinaryOperator, CaseWhen, Expr, UnaryOperator, Value as Literal};

use super::{
    cast::{self, cast},
    functions,
    types::{Datum, PgType},
};
use crate::{PgError, server::state::Server};

/// A value with its type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Typed {
    pub datum: Datum,
    pub kind: PgType,
}

impl Typed {
    pub fn new(datum: Datum, kind: PgType) -> Self {
        Self { datum, kind }
    }

    pub fn null(kind: PgType) -> Self {
        Self::new(Datum::Null, kind)
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Datum::Text(text.into()), PgType::Text)
    }
}

/// What an expression can see.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub server: &'a Server,
    /// The session's own settings, over the server's.
    pub session: &'a std::collections::BTreeMap<String, String>,
    /// The address that the client connected to.
    pub local: SocketAddr,
    pub columns: &'a [(String, PgType)],
    /// The current row; `None` outside of rows.
    pub row: Option<&'a [Datum]>,
    /// All rows, for aggregates.
    pub group: Option<&'a [Vec<Datum>]>,
    /// Only types are wanted: functions are not called.
    pub describe: bool,
    /// Values of `$1`, `$2`...
    pub parameters: &'a [Typed],
}

impl Scope<'_> {
    /// Evaluates `expr`.
    ///
    /// # Errors
    /// As PostgreSQL; 0A000 for what the model does not know.
    pub fn eval(&self, expr: &Expr) -> Result<Typed, PgError> {
        match expr {
            Expr::Value(literal) => self.literal(&literal.value),
            Expr::Identifier(ident) => self.column(&ident.value.to_ascii_lowercase()),
            Expr::CompoundIdentifier(parts) => {
                self.column(&parts.last().map(|ident| ident.value.to_ascii_lowercase()).unwrap_or_default())
            }
            Expr::Nested(inner) => self.eval(inner),
            Expr::Cast { expr, data_type, .. } => cast(self.eval(expr)?, cast::target(data_type)?),
            Expr::UnaryOp { op, expr } => unary(op, self.eval(expr)?),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::IsNull(inner) => Ok(bool_of(self.eval(inner)?.datum == Datum::Null)),
            Expr::IsNotNull(inner) => Ok(bool_of(self.eval(inner)?.datum != Datum::Null)),
            Expr::IsTrue(inner) => Ok(bool_of(self.eval(inner)?.datum == Datum::Bool(true))),
            Expr::IsFalse(inner) => Ok(bool_of(self.eval(inner)?.datum == Datum::Bool(false))),
            Expr::Between { expr, negated, low, high } => {
                let (value, low, high) = (self.eval(expr)?, self.eval(low)?, self.eval(high)?);
                let from_low = compare(&value, &low)?.map(Ordering::is_ge);
                let to_high = compare(&value, &high)?.map(Ordering::is_le);
                let inside = from_low.zip(to_high).map(|(a, b)| (a && b) != *negated);
                Ok(Typed::new(inside.map_or(Datum::Null, Datum::Bool), PgType::Bool))
            }
            Expr::InList { expr, list, negated } => {
                let value = self.eval(expr)?;
                let mut found = false;
                for item in list {
                    found |= compare(&value, &self.eval(item)?)? == Some(Ordering::Equal);
                }
                Ok(bool_of(found != *negated))
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let mut arguments = vec![self.eval(expr)?];
                for bound in [substring_from, substring_for].into_iter().flatten() {
                    arguments.push(self.eval(bound)?);
                }
                functions::call(self, "substr", &arguments)
            }
            Expr::Function(function) => functions::eval(self, function),
            // The parser reads a qualified call of a function with its own syntax (`pg_catalog.substr(...)`) as a field.
            Expr::CompoundFieldAccess { root, access_chain } => {
                match (root.to_string().as_str(), access_chain.as_slice()) {
                    ("pg_catalog", [AccessExpr::Dot(call)]) => self.eval(call),
                    _ => Err(PgError::unsupported(format_args!("the expression {expr}"))),
                }
            }
            _ => Err(PgError::unsupported(format_args!("the expression {expr}"))),
        }
    }

    fn literal(&self, literal: &Literal) -> Result<Typed, PgError> {
        Ok(match literal {
            Literal::Number(digits, _) => match digits.parse::<i64>() {
                Ok(number) if i32::try_from(number).is_ok() => Typed::new(Datum::Int(number), PgType::Int4),
                Ok(number) => Typed::new(Datum::Int(number), PgType::Int8),
                Err(_) => {
                    let wrong = || PgError::error("42601", format!("invalid number {digits}"));
                    Typed::new(Datum::Float(digits.parse().map_err(|_| wrong())?), PgType::Float8)
                }
            },
            Literal::SingleQuotedString(text)
            | Literal::EscapedStringLiteral(text)
            | Literal::DollarQuotedString(sqlparser::ast::DollarQuotedString { value: text, .. }) => {
                Typed::new(Datum::Text(text.clone()), PgType::Unknown)
            }
            Literal::Boolean(value) => Typed::new(Datum::Bool(*value), PgType::Bool),
            Literal::Null => Typed::null(PgType::Unknown),
            Literal::Placeholder(name) => {
                let number: usize = name.trim_start_matches('$').parse().unwrap_or(0);
                let missing = || PgError::error("42P02", format!("there is no parameter {name}"));
                let known = number.checked_sub(1).and_then(|index| self.parameters.get(index)).cloned();
                if self.describe { known.unwrap_or(Typed::null(PgType::Text)) } else { known.ok_or_else(missing)? }
            }
            _ => return Err(PgError::unsupported(format_args!("the literal {literal}"))),
        })
    }

    fn column(&self, name: &str) -> Result<Typed, PgError> {
        let unknown = || PgError::error("42703", format!("column \"{name}\" does not exist"));
        let index = self.columns.iter().position(|(column, _)| column == name).ok_or_else(unknown)?;
        let kind = self.columns[index].1;
        match (self.row, self.describe) {
            (Some(row), false) => Ok(Typed::new(row[index].clone(), kind)),
            (None, false) if self.group.is_some() => {
                let message = "must appear in the GROUP BY clause or be used in an aggregate function";
                Err(PgError::error("42803", format!("column \"{name}\" {message}")))
            }
            _ => Ok(Typed::null(kind)),
        }
    }

    fn binary(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<Typed, PgError> {
        let (left, right) = (self.eval(left)?, self.eval(right)?);
        let ordered = |holds: fn(Ordering) -> bool| -> Result<Typed, PgError> {
            let result = compare(&left, &right)?.map_or(Datum::Null, |ordering| Datum::Bool(holds(ordering)));
            Ok(Typed::new(result, PgType::Bool))
        };
        match op {
            BinaryOperator::Eq => ordered(Ordering::is_eq),
            BinaryOperator::NotEq => ordered(Ordering::is_ne),
            BinaryOperator::Lt => ordered(Ordering::is_lt),
            BinaryOperator::LtEq => ordered(Ordering::is_le),
            BinaryOperator::Gt => ordered(Ordering::is_gt),
            BinaryOperator::GtEq => ordered(Ordering::is_ge),
            BinaryOperator::And => Ok(logic(&left.datum, &right.datum, false)),
            BinaryOperator::Or => Ok(logic(&left.datum, &right.datum, true)),
            BinaryOperator::StringConcat => {
                let (left, right) = (cast(left, PgType::Text)?, cast(right, PgType::Text)?);
                Ok(match (left.datum, right.datum) {
                    (Datum::Text(left), Datum::Text(right)) => Typed::text(left + &right),
                    _ => Typed::null(PgType::Text),
                })
            }
            BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply | BinaryOperator::Divide => {
                arithmetic(op, left, right)
            }
            _ => Err(PgError::unsupported(format_args!("the operator {op}"))),
        }
    }

    fn case(&self, operand: Option<&Expr>, whens: &[CaseWhen], otherwise: Option<&Expr>) -> Result<Typed, PgError> {
        let operand = operand.map(|operand| self.eval(operand)).transpose()?;
        for CaseWhen { condition, result } in whens {
            let condition = self.eval(condition)?;
            let holds = match &operand {
                Some(operand) => compare(operand, &condition)? == Some(Ordering::Equal),
                None => condition.datum == Datum::Bool(true),
            };
            // A description takes the first branch whose type says something.
            if holds || self.describe {
                let value = self.eval(result)?;
                if holds || value.kind != PgType::Unknown {
                    return self.unify_case(value, whens, otherwise);
                }
            }
        }
        match otherwise {
            Some(otherwise) => self.unify_case(self.eval(otherwise)?, whens, None),
            None => self.unify_case(Typed::null(PgType::Unknown), whens, None),
        }
    }

    /// Gives a literal the type of the other branches, without evaluating those.
    fn unify_case(&self, value: Typed, whens: &[CaseWhen], otherwise: Option<&Expr>) -> Result<Typed, PgError> {
        if value.kind != PgType::Unknown {
            return Ok(value);
        }
        let describe = Scope { describe: true, ..*self };
        for branch in whens.iter().map(|when| &when.result).chain(otherwise) {
            let kind = describe.eval(branch)?.kind;
            if kind != PgType::Unknown {
                return cast(value, kind);
            }
        }
        Ok(Typed { kind: PgType::Text, ..value })
    }
}

pub(super) fn bool_of(value: bool) -> Typed {
    Typed::new(Datum::Bool(value), PgType::Bool)
}

fn unary(op: &UnaryOperator, value: Typed) -> Result<Typed, PgError> {
    match (op, value.datum) {
        (_, Datum::Null) => Ok(Typed::null(value.kind)),
        (UnaryOperator::Not, Datum::Bool(inner)) => Ok(bool_of(!inner)),
        (UnaryOperator::Minus, Datum::Int(number)) => Ok(Typed::new(Datum::Int(-number), value.kind)),
        (UnaryOperator::Minus, Datum::Float(number)) => Ok(Typed::new(Datum::Float(-number), value.kind)),
        (UnaryOperator::Plus, datum) => Ok(Typed::new(datum, value.kind)),
        (op, _) => Err(PgError::unsupported(format_args!("the operator {op}"))),
    }
}

/// Three-valued AND and OR; `dominant` decides alone.
fn logic(left: &Datum, right: &Datum, dominant: bool) -> Typed {
    let decided = Datum::Bool(dominant);
    let datum = match (left, right) {
        (left, right) if *left == decided || *right == decided => decided,
        (Datum::Null, _) | (_, Datum::Null) => Datum::Null,
        _ => Datum::Bool(!dominant),
    };
    Typed::new(datum, PgType::Bool)
}

fn arithmetic(op: &BinaryOperator, left: Typed, right: Typed) -> Result<Typed, PgError> {
    let wide = if left.kind == PgType::Int4 && right.kind == PgType::Int4 { PgType::Int4 } else { PgType::Int8 };
    let overflow = || PgError::error("22003", "bigint out of range");
    match (left.datum, op, right.datum) {
        (Datum::Null, _, _) | (_, _, Datum::Null) => Ok(Typed::null(wide)),
        (Datum::Int(left), op, Datum::Int(right)) => {
            let result = match op {
                BinaryOperator::Plus => left.checked_add(right),
                BinaryOperator::Minus => left.checked_sub(right),
                BinaryOperator::Multiply => left.checked_mul(right),
                _ if right == 0 => return Err(PgError::error("22012", "division by zero")),
                _ => left.checked_div(right),
            };
            cast(Typed::new(Datum::Int(result.ok_or_else(overflow)?), PgType::Int8), wide)
        }
        // The difference of two positions is a number of bytes.
        (Datum::Lsn(left), BinaryOperator::Minus, Datum::Lsn(right)) => {
            Ok(Typed::new(Datum::Int(left.0.cast_signed().wrapping_sub(right.0.cast_signed())), PgType::Int8))
        }
        _ => Err(PgError::unsupported(format_args!("the operator {op} between these types"))),
    }
}

/// Compares two values; `None` when one is null.
///
/// # Errors
/// 42883 when the types cannot be compared.
pub(super) fn compare(left: &Typed, right: &Typed) -> Result<Option<Ordering>, PgError> {
    if left.datum == Datum::Null || right.datum == Datum::Null {
        return Ok(None);
    }
    // A string literal takes the type of what it is compared with.
    let (left, right) = match (left.kind, right.kind) {
        (PgType::Unknown, kind) if kind != PgType::Unknown => {
            (Cow::Owned(cast(left.clone(), kind)?), Cow::Borrowed(right))
        }
        (kind, PgType::Unknown) if kind != PgType::Unknown => {
            (Cow::Borrowed(left), Cow::Owned(cast(right.clone(), kind)?))
        }
        _ => (Cow::Borrowed(left), Cow::Borrowed(right)),
    };
    let ordering = match (&left.datum, &right.datum) {
        (Datum::Int(a), Datum::Float(b)) => (*a as f64).partial_cmp(b),
        (Datum::Float(a), Datum::Int(b)) => a.partial_cmp(&(*b as f64)),
        (a, b) if std::mem::discriminant(a) == std::mem::discriminant(b) => a.partial_cmp(b),
        _ => {
            let names = (cast::name(left.kind), cast::name(right.kind));
            return Err(PgError::error("42883", format!("operator does not exist: {} = {}", names.0, names.1)));
        }
    };
    Ok(ordering)
}
