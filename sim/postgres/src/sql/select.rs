//! `SELECT` over one relation or none.

use std::{borrow::Cow, cmp::Ordering, collections::BTreeMap, net::SocketAddr};

use sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, LimitClause, OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr,
    TableFactor, Value as Literal, ValueWithSpan,
};

use super::{
    catalog,
    eval::{Scope, Typed, compare},
    output::{OutputColumn, Rows},
    parse::plain_name,
    types::{Datum, PgType},
};
use crate::{PgError, server::state::Server};

/// What a query runs in.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub server: &'a Server,
    pub session: &'a BTreeMap<String, String>,
    /// The address that the client connected to.
    pub local: SocketAddr,
    pub parameters: &'a [Typed],
    /// Only the columns are wanted: nothing is executed.
    pub describe: bool,
}

impl<'a> Context<'a> {
    pub fn scope<'b>(&self, columns: &'b [OutputColumn]) -> Scope<'b>
    where
        'a: 'b,
    {
        Scope {
            server: self.server,
            session: self.session,
            local: self.local,
            columns,
            row: None,
            group: None,
            describe: self.describe,
            parameters: self.parameters,
        }
    }
}

/// Runs a query.
///
/// # Errors
/// As PostgreSQL; 0A000 for what the model does not know.
pub(crate) fn run(context: &Context<'_>, query: &Query) -> Result<Rows, PgError> {
    if query.with.is_some() || query.fetch.is_some() {
        return Err(PgError::unsupported("WITH and FETCH"));
    }
    let SetExpr::Select(select) = query.body.as_ref() else {
        return Err(PgError::unsupported(format_args!("the query {}", query.body)));
    };
    check_clauses(select)?;
    let Rows { columns, rows } = source(context, select)?;
    let scope = context.scope(&columns);
    let mut rows = filter(&scope, rows, select.selection.as_ref())?;
    let items = expand(select, &columns)?;
    if items.iter().any(|(_, expr)| is_aggregate(expr)) {
        let group = Scope { group: Some(&rows), ..scope };
        let values: Vec<Typed> = items.iter().map(|(_, expr)| group.eval(expr)).collect::<Result<_, _>>()?;
        let columns = columns_of(&items, values.iter().map(|value| value.kind));
        return Ok(Rows { columns, rows: vec![values.into_iter().map(|value| value.datum).collect()] });
    }
    if let Some(order_by) = &query.order_by {
        sort(&scope, &mut rows, order_by, &items)?;
    }
    limit(&scope, &mut rows, query.limit_clause.as_ref())?;
    project(&scope, &rows, &items)
}

fn check_clauses(select: &Select) -> Result<(), PgError> {
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(exprs, _) if exprs.is_empty());
    if select.distinct.is_some() || grouped || select.having.is_some() || select.into.is_some() {
        return Err(PgError::unsupported("DISTINCT, GROUP BY, HAVING and INTO"));
    }
    Ok(())
}

fn source(context: &Context<'_>, select: &Select) -> Result<Rows, PgError> {
    let name = match select.from.as_slice() {
        [] => return Ok(Rows { columns: Vec::new(), rows: vec![Vec::new()] }),
        [single] if single.joins.is_empty() => match &single.relation {
            TableFactor::Table { name, .. } => plain_name(name)?,
            other => return Err(PgError::unsupported(format_args!("FROM {other}"))),
        },
        _ => return Err(PgError::unsupported("joins")),
    };
    if let Some(relation) = catalog::relation_named(context.server, context.session, &name) {
        return Ok(relation);
    }
    let missing = || PgError::error("42P01", format!("relation \"{name}\" does not exist"));
    catalog::table(&context.server.state(), &name, equality(select)).ok_or_else(missing)
}

/// `column = integer` as the whole condition: such a table is read as through an index, without copying the other rows.
fn equality(select: &Select) -> Option<(String, i64)> {
    match select.selection.as_ref()? {
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => match (left.as_ref(), right.as_ref()) {
            (Expr::Identifier(column), Expr::Value(ValueWithSpan { value: Literal::Number(digits, _), .. })) => {
                Some((column.value.to_ascii_lowercase(), digits.parse().ok()?))
            }
            _ => None,
        },
        _ => None,
    }
}

fn filter(scope: &Scope<'_>, rows: Vec<Vec<Datum>>, condition: Option<&Expr>) -> Result<Vec<Vec<Datum>>, PgError> {
    let Some(condition) = condition else { return Ok(rows) };
    if scope.describe {
        scope.eval(condition)?;
        return Ok(rows);
    }
    let mut kept = Vec::new();
    for row in rows {
        if (Scope { row: Some(&row), ..*scope }).eval(condition)?.datum == Datum::Bool(true) {
            kept.push(row);
        }
    }
    Ok(kept)
}

/// An output column's name and expression.
type Item<'a> = (String, Cow<'a, Expr>);

/// The select list as names and expressions, `*` expanded.
fn expand<'a>(select: &'a Select, columns: &[OutputColumn]) -> Result<Vec<Item<'a>>, PgError> {
    let mut items = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::ExprWithAlias { expr, alias } => items.push((alias.value.clone(), Cow::Borrowed(expr))),
            SelectItem::UnnamedExpr(expr) => items.push((output_name(expr), Cow::Borrowed(expr))),
            SelectItem::Wildcard(_) => items.extend(columns.iter().map(|(name, _)| {
                let expr = Expr::Identifier(sqlparser::ast::Ident::new(name.clone()));
                (name.clone(), Cow::Owned(expr))
            })),
            other => return Err(PgError::unsupported(format_args!("the select list item {other}"))),
        }
    }
    Ok(items)
}

/// The name PostgreSQL gives an output column (`FigureColname`).
fn output_name(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => ident.value.to_ascii_lowercase(),
        Expr::CompoundIdentifier(parts) => parts.last().map(|i| i.value.to_ascii_lowercase()).unwrap_or_default(),
        Expr::Function(function) => plain_name(&function.name).unwrap_or_default(),
        Expr::Nested(inner) => output_name(inner),
        Expr::Cast { expr, data_type, .. } => match output_name(expr).as_str() {
            "?column?" => data_type.to_string().to_ascii_lowercase(),
            name => name.to_owned(),
        },
        Expr::Case { .. } => "case".to_owned(),
        Expr::Substring { .. } => "substring".to_owned(),
        _ => "?column?".to_owned(),
    }
}

fn is_aggregate(expr: &Expr) -> bool {
    match expr {
        Expr::Function(function) => {
            let aggregate =
                plain_name(&function.name).is_ok_and(|name| matches!(name.as_str(), "count" | "max" | "min" | "sum"));
            let inside = |argument: &sqlparser::ast::FunctionArg| match argument {
                sqlparser::ast::FunctionArg::Unnamed(sqlparser::ast::FunctionArgExpr::Expr(expr)) => is_aggregate(expr),
                _ => false,
            };
            let nested = match &function.args {
                sqlparser::ast::FunctionArguments::List(list) => list.args.iter().any(inside),
                _ => false,
            };
            aggregate || nested
        }
        Expr::Cast { expr, .. } | Expr::Nested(expr) | Expr::UnaryOp { expr, .. } => is_aggregate(expr),
        Expr::BinaryOp { left, right, .. } => is_aggregate(left) || is_aggregate(right),
        _ => false,
    }
}

fn sort(scope: &Scope<'_>, rows: &mut [Vec<Datum>], order_by: &OrderBy, items: &[Item<'_>]) -> Result<(), PgError> {
    let OrderByKind::Expressions(keys) = &order_by.kind else { return Err(PgError::unsupported("ORDER BY ALL")) };
    if scope.describe {
        return Ok(());
    }
    // Output names and numbers stand for their expressions.
    let resolve = |expr: &Expr| {
        let text = expr.to_string();
        let by_number = text.parse::<usize>().ok().and_then(|number| items.get(number.wrapping_sub(1)));
        let by_name = || items.iter().find(|(name, _)| *name == text);
        by_number.or_else(by_name).map_or_else(|| expr.clone(), |(_, expr)| expr.as_ref().clone())
    };
    for key in keys.iter().rev() {
        let expr = resolve(&key.expr);
        let descending = key.options.asc == Some(false);
        let nulls_first = key.options.nulls_first.unwrap_or(descending);
        let values: Vec<Typed> =
            rows.iter().map(|row| Scope { row: Some(row), ..*scope }.eval(&expr)).collect::<Result<_, _>>()?;
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|a, b| {
            let nulls = (values[*a].datum == Datum::Null, values[*b].datum == Datum::Null);
            match nulls {
                (true, true) => Ordering::Equal,
                (true, false) => {
                    if nulls_first {
                        Ordering::Less
                    } else {
                        Ordering::Greater
                    }
                }
                (false, true) => {
                    if nulls_first {
                        Ordering::Greater
                    } else {
                        Ordering::Less
                    }
                }
                (false, false) => {
                    // Values of one column have one type: they compare.
                    let ordering = compare(&values[*a], &values[*b]).ok().flatten().unwrap_or(Ordering::Equal);
                    if descending { ordering.reverse() } else { ordering }
                }
            }
        });
        let sorted: Vec<Vec<Datum>> = order.into_iter().map(|index| rows[index].clone()).collect();
        rows.clone_from_slice(&sorted);
    }
    Ok(())
}

fn limit(scope: &Scope<'_>, rows: &mut Vec<Vec<Datum>>, clause: Option<&LimitClause>) -> Result<(), PgError> {
    match clause {
        None => Ok(()),
        Some(LimitClause::LimitOffset { limit: Some(limit), offset: None, .. }) => {
            if let Datum::Int(count) = scope.eval(limit)?.datum {
                rows.truncate(usize::try_from(count).unwrap_or(0));
            }
            Ok(())
        }
        Some(_) => Err(PgError::unsupported("OFFSET")),
    }
}

fn columns_of(items: &[Item<'_>], kinds: impl Iterator<Item = PgType>) -> Vec<OutputColumn> {
    let known = |kind| if kind == PgType::Unknown { PgType::Text } else { kind };
    items.iter().map(|(name, _)| name.clone()).zip(kinds.map(known)).collect()
}

fn project(scope: &Scope<'_>, rows: &[Vec<Datum>], items: &[Item<'_>]) -> Result<Rows, PgError> {
    let describe = Scope { describe: true, ..*scope };
    let kinds: Vec<PgType> =
        items.iter().map(|(_, expr)| describe.eval(expr).map(|value| value.kind)).collect::<Result<_, _>>()?;
    let columns = columns_of(items, kinds.into_iter());
    if scope.describe {
        return Ok(Rows { columns, rows: Vec::new() });
    }
    let project_row = |row: &Vec<Datum>| {
        let scope = Scope { row: Some(row), ..*scope };
        items.iter().map(|(_, expr)| scope.eval(expr).map(|value| value.datum)).collect::<Result<Vec<_>, _>>()
    };
    let rows = rows.iter().map(project_row).collect::<Result<_, _>>()?;
    Ok(Rows { columns, rows })
}
