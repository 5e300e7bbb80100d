//! Statements that change tables: what they turn into.

use sqlparser::ast::{
    ColumnOption, CreateTable, Expr, Insert, ObjectType, SetExpr, Statement, TableConstraint, TableObject,
};

use super::{
    cast,
    eval::Typed,
    parse::plain_name,
    select::Context,
    types::{Datum, PgType},
};
use crate::{
    PgError,
    disk::{
        record::Change,
        tables::{Column, Table, Value},
    },
    server::state::now_us,
};

/// The changes a statement makes, with its command tag.
///
/// # Errors
/// As PostgreSQL; 0A000 for what the model does not know.
pub(crate) fn changes(context: &Context<'_>, statement: &Statement) -> Result<(Vec<Change>, String), PgError> {
    match statement {
        Statement::CreateTable(create) => create_table(context, create),
        Statement::Insert(insert) => insert_rows(context, insert),
        Statement::Drop { object_type: ObjectType::Table, if_exists, names, .. } => {
            let mut changes = Vec::new();
            for name in names {
                let table = plain_name(name)?;
                let exists = context.server.state().db.tables.contains_key(&table);
                if !exists && !if_exists {
                    return Err(PgError::error("42P01", format!("table \"{table}\" does not exist")));
                }
                changes.extend(exists.then_some(Change::DropTable { table }));
            }
            Ok((changes, "DROP TABLE".to_owned()))
        }
        other => {
            let text = other.to_string();
            let words: Vec<&str> = text.split_whitespace().take(2).collect();
            Err(PgError::unsupported(format_args!("the statement {}", words.join(" "))))
        }
    }
}

fn create_table(context: &Context<'_>, create: &CreateTable) -> Result<(Vec<Change>, String), PgError> {
    let tag = "CREATE TABLE".to_owned();
    let table = plain_name(&create.name)?;
    if create.query.is_some() || create.temporary {
        return Err(PgError::unsupported("CREATE TABLE AS and temporary tables"));
    }
    if context.server.state().db.tables.contains_key(&table) {
        if create.if_not_exists {
            return Ok((Vec::new(), tag));
        }
        return Err(PgError::error("42P07", format!("relation \"{table}\" already exists")));
    }
    let mut columns = Vec::new();
    let mut primary_key = None;
    for (index, definition) in create.columns.iter().enumerate() {
        let mut column = Column {
            name: definition.name.value.to_ascii_lowercase(),
            kind: cast::column_type(&definition.data_type)?,
            default_now: false,
            not_null: false,
        };
        for option in &definition.options {
            match &option.option {
                ColumnOption::Null => {}
                ColumnOption::NotNull => column.not_null = true,
                ColumnOption::Unique { is_primary: true, .. } => {
                    column.not_null = true;
                    primary_key = Some(index);
                }
                ColumnOption::Default(Expr::Function(function))
                    if matches!(
                        plain_name(&function.name)?.as_str(),
                        "now" | "current_timestamp" | "clock_timestamp"
                    ) =>
                {
                    column.default_now = true;
                }
                other => return Err(PgError::unsupported(format_args!("the column option {other}"))),
            }
        }
        columns.push(column);
    }
    for constraint in &create.constraints {
        let TableConstraint::PrimaryKey { columns: keys, .. } = constraint else {
            return Err(PgError::unsupported(format_args!("the constraint {constraint}")));
        };
        let [key] = keys.as_slice() else { return Err(PgError::unsupported("primary keys of several columns")) };
        let key = key.to_string().to_ascii_lowercase();
        let index = columns.iter().position(|column| column.name == key);
        let index = index.ok_or_else(|| PgError::error("42703", format!("column \"{key}\" does not exist")))?;
        columns[index].not_null = true;
        primary_key = Some(index);
    }
    Ok((vec![Change::CreateTable { table, columns, primary_key }], tag))
}

/// The table an `INSERT` names, and for each value its column.
fn target(context: &Context<'_>, insert: &Insert) -> Result<(String, std::sync::Arc<Table>, Vec<usize>), PgError> {
    let TableObject::TableName(name) = &insert.table else {
        return Err(PgError::unsupported("INSERT INTO FUNCTION"));
    };
    let name = plain_name(name)?;
    let table = context.server.state().db.tables.get(&name).cloned();
    let table = table.ok_or_else(|| PgError::error("42P01", format!("relation \"{name}\" does not exist")))?;
    let find = |wanted: String| {
        let missing = || PgError::error("42703", format!("column \"{wanted}\" of relation \"{name}\" does not exist"));
        table.columns.iter().position(|column| column.name == wanted).ok_or_else(missing)
    };
    let columns = if insert.columns.is_empty() {
        (0..table.columns.len()).collect()
    } else {
        insert.columns.iter().map(|ident| find(ident.value.to_ascii_lowercase())).collect::<Result<_, _>>()?
    };
    Ok((name, table, columns))
}

fn insert_rows(context: &Context<'_>, insert: &Insert) -> Result<(Vec<Change>, String), PgError> {
    if insert.on.is_some() || insert.returning.is_some() {
        return Err(PgError::unsupported("ON CONFLICT and RETURNING"));
    }
    let (name, table, columns) = target(context, insert)?;
    let Some(SetExpr::Values(values)) = insert.source.as_ref().map(|query| query.body.as_ref()) else {
        return Err(PgError::unsupported("INSERT without VALUES"));
    };
    let scope = context.scope(&[]);
    let mut rows: Vec<Vec<Value>> = Vec::with_capacity(values.rows.len());
    for exprs in &values.rows {
        if exprs.len() != columns.len() {
            let which = if exprs.len() > columns.len() {
                "expressions than target columns"
            } else {
                "target columns than expressions"
            };
            return Err(PgError::error("42601", format!("INSERT has more {which}")));
        }
        let mut row: Vec<Value> = table.columns.iter().map(default_of).collect();
        for (expr, index) in exprs.iter().zip(&columns) {
            row[*index] = store(scope.eval(expr)?, &table.columns[*index])?;
        }
        check_row(&name, &table, &row, &rows)?;
        rows.push(row);
    }
    let tag = format!("INSERT 0 {}", rows.len());
    Ok((vec![Change::Insert { table: name, rows }], tag))
}

fn default_of(column: &Column) -> Value {
    if column.default_now { Value::Timestamp(now_us()) } else { Value::Null }
}

/// A value as the column stores it.
fn store(value: Typed, column: &Column) -> Result<Value, PgError> {
    Ok(match cast::cast(value, PgType::of_column(column.kind))?.datum {
        Datum::Null => Value::Null,
        Datum::Bool(value) => Value::Bool(value),
        Datum::Int(value) => Value::Int(value),
        Datum::Text(text) => Value::Text(text),
        Datum::Timestamp(at) => Value::Timestamp(at),
        other => return Err(PgError::unsupported(format_args!("storing {other:?}"))),
    })
}

fn check_row(name: &str, table: &Table, row: &[Value], earlier: &[Vec<Value>]) -> Result<(), PgError> {
    for (column, value) in table.columns.iter().zip(row) {
        if column.not_null && *value == Value::Null {
            let message = format!("null value in column \"{}\" of relation \"{name}\"", column.name);
            return Err(PgError::error("23502", message + " violates not-null constraint"));
        }
    }
    if let Some(key) = table.primary_key
        && (table.keys.contains(&row[key]) || earlier.iter().any(|other| other[key] == row[key]))
    {
        let value = Datum::of_value(&row[key]).to_text(PgType::of_column(table.columns[key].kind)).unwrap_or_default();
        let detail = format!("Key ({})=({value}) already exists.", table.columns[key].name);
        let message = format!("duplicate key value violates unique constraint \"{name}_pkey\"");
        return Err(PgError::error("23505", message).detail(detail));
    }
    Ok(())
}

/// Types of `$1`, `$2`...: of the column an `INSERT` puts them in, else text.
pub(crate) fn parameter_types(context: &Context<'_>, statement: &Statement) -> Result<Vec<PgType>, PgError> {
    let mut kinds = Vec::new();
    let mut note = |expr: &Expr, kind: PgType| {
        if let Expr::Value(value) = expr
            && let sqlparser::ast::Value::Placeholder(name) = &value.value
            && let Some(index) = name.trim_start_matches('$').parse::<usize>().ok().and_then(|n| n.checked_sub(1))
        {
            if kinds.len() <= index {
                kinds.resize(index + 1, PgType::Text);
            }
            kinds[index] = kind;
        }
    };
    if let Statement::Insert(insert) = statement {
        let (_, table, columns) = target(context, insert)?;
        if let Some(SetExpr::Values(values)) = insert.source.as_ref().map(|query| query.body.as_ref()) {
            for (expr, index) in values.rows.iter().flat_map(|row| row.iter().zip(&columns)) {
                note(expr, PgType::of_column(table.columns[*index].kind));
            }
        }
    }
    Ok(kinds)
}
