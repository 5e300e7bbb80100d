//! From text to statements.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use sqlparser::{
    ast::{ObjectName, ObjectNamePart, Statement},
    dialect::PostgreSqlDialect,
    parser::Parser,
};

use crate::PgError;

/// A statement the session can run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Parsed {
    /// Anything `sqlparser` reads.
    Sql(Box<Statement>),
    /// `CHECKPOINT`.
    Checkpoint,
    /// `CREATE ROLE`, `CREATE USER`, `ALTER ROLE`, `ALTER USER`: attributes other than the password have no effect here.
    Role { create: bool, name: String, password: Option<String> },
    /// `RESET x`, `DISCARD ALL`, `DEALLOCATE`: nothing is kept that they could undo, but for settings.
    Reset(String),
}

/// Clients and observers send a few dozen texts over and over; what differs each time must not pile up.
const KEPT_TEXTS: usize = 128;

thread_local! {
    /// What texts were read as. A simulation is one thread, and a text means the same to every server in it.
    static KEPT: RefCell<BTreeMap<String, Arc<[Parsed]>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Splits and reads a query string, once for every text: reading one takes longer than running it.
///
/// # Errors
/// 42601 with the parser's words.
pub(crate) fn parse(text: &str) -> Result<Arc<[Parsed]>, PgError> {
    if let Some(kept) = KEPT.with_borrow(|kept| kept.get(text).map(Arc::clone)) {
        return Ok(kept);
    }
    let statements: Arc<[Parsed]> = read(text)?.into();
    if !statements.iter().all(recurs) {
        return Ok(statements);
    }
    KEPT.with_borrow_mut(|kept| {
        if kept.len() >= KEPT_TEXTS {
            kept.clear();
        }
        kept.insert(text.to_owned(), Arc::clone(&statements));
    });
    Ok(statements)
}

/// Whether the same text is likely to come again: what writes carries values in its text.
fn recurs(statement: &Parsed) -> bool {
    matches!(statement, Parsed::Sql(sql) if matches!(sql.as_ref(), Statement::Query(_) | Statement::ShowVariable { .. }))
}

fn read(text: &str) -> Result<Vec<Parsed>, PgError> {
    if let Some(utility) = utility(text)? {
        return Ok(vec![utility]);
    }
    let statements =
        Parser::parse_sql(&PostgreSqlDialect {}, text).map_err(|error| PgError::error("42601", error.to_string()))?;
    Ok(statements.into_iter().map(|statement| Parsed::Sql(Box::new(statement))).collect())
}

/// Commands that are simpler to read by their words.
fn utility(text: &str) -> Result<Option<Parsed>, PgError> {
    let text = text.trim().trim_end_matches(';').trim();
    let mut words = text.split_whitespace();
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is = |word: &str, expected: &str| word.eq_ignore_ascii_case(expected);
    if is(first, "CHECKPOINT") && second.is_empty() {
        return Ok(Some(Parsed::Checkpoint));
    }
    if is(first, "RESET") || is(first, "DISCARD") {
        return Ok(Some(Parsed::Reset(second.to_ascii_lowercase())));
    }
    let create = is(first, "CREATE");
    if !(create || is(first, "ALTER")) || !(is(second, "ROLE") || is(second, "USER")) {
        return Ok(None);
    }
    let name = words.next().ok_or_else(|| PgError::error("42601", "syntax error at end of input"))?;
    let password = text.to_ascii_uppercase().find("PASSWORD '").map(|at| {
        let rest = &text[at + "PASSWORD '".len()..];
        rest[..rest.find('\'').unwrap_or(rest.len())].to_owned()
    });
    Ok(Some(Parsed::Role { create, name: name.trim_matches('"').to_owned(), password }))
}

/// The last part of a possibly qualified name, folded as PostgreSQL folds it. Only `pg_catalog` and `public` exist.
///
/// # Errors
/// 3F000 for another schema.
pub(crate) fn plain_name(name: &ObjectName) -> Result<String, PgError> {
    let ident = |part: &ObjectNamePart| match part {
        ObjectNamePart::Identifier(ident) if ident.quote_style.is_some() => Ok(ident.value.clone()),
        ObjectNamePart::Identifier(ident) => Ok(ident.value.to_ascii_lowercase()),
        ObjectNamePart::Function(_) => Err(PgError::unsupported(format_args!("the name {name}"))),
    };
    match name.0.as_slice() {
        [single] => ident(single),
        [schema, last] => match ident(schema)?.as_str() {
            "pg_catalog" | "public" => ident(last),
            other => Err(PgError::error("3F000", format!("schema \"{other}\" does not exist"))),
        },
        _ => Err(PgError::unsupported(format_args!("the name {name}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utility_commands_are_recognised_by_their_words() {
        assert_eq!(read("checkpoint;"), Ok(vec![Parsed::Checkpoint]));
        let role = read("CREATE ROLE rep WITH LOGIN REPLICATION PASSWORD 'x y'");
        let expected = Parsed::Role { create: true, name: "rep".into(), password: Some("x y".into()) };
        assert_eq!(role, Ok(vec![expected]));
        assert_eq!(parse("SELECT 1; SELECT 2").map(|statements| statements.len()), Ok(2));
        assert_eq!(parse("SELEKT 1").expect_err("not SQL").code, "42601");
    }

    #[test]
    fn a_text_is_read_once_and_texts_that_differ_do_not_pile_up() {
        let first = parse("SELECT 'one'").expect("SQL");
        assert!(Arc::ptr_eq(&first, &parse("SELECT 'one'").expect("SQL")));
        for number in 0..3 * KEPT_TEXTS {
            assert_eq!(
                parse(&format!("SELECT {number}")).as_deref(),
                Ok(&*read(&format!("SELECT {number}")).expect("SQL"))
            );
        }
        assert!(KEPT.with_borrow(BTreeMap::len) <= KEPT_TEXTS);
        assert_eq!(parse("SELECT 'one'"), Ok(first));
    }
}
