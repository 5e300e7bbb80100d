//! Results on the wire.

use bytes::BytesMut;
use pgdrill_net::Socket;
use pgwire::messages::{
    PgWireBackendMessage,
    data::{DataRow, FieldDescription, RowDescription},
    response::CommandComplete,
};

use super::types::{Datum, PgType};
use crate::{PgError, server::backend::Client};

/// A column of a result.
pub(crate) type OutputColumn = (String, PgType);

/// A result set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rows {
    pub columns: Vec<OutputColumn>,
    pub rows: Vec<Vec<Datum>>,
}

/// `RowDescription`; `formats` as in a `Bind` message: none, one for all, or one each.
pub(crate) fn describe(columns: &[OutputColumn], formats: &[i16]) -> PgWireBackendMessage {
    let field = |(index, (name, kind)): (usize, &OutputColumn)| {
        let modifier = if let PgType::Bit(width) = kind { i32::from(*width) } else { -1 };
        FieldDescription::new(name.clone(), 0, 0, kind.oid(), kind.size(), modifier, format(formats, index))
    };
    PgWireBackendMessage::RowDescription(RowDescription::new(columns.iter().enumerate().map(field).collect()))
}

/// `DataRow`.
pub(crate) fn data_row(columns: &[OutputColumn], row: &[Datum], formats: &[i16]) -> PgWireBackendMessage {
    let mut buffer = BytesMut::new();
    for (index, ((_, kind), datum)) in columns.iter().zip(row).enumerate() {
        datum.encode(*kind, format(formats, index) == 1, &mut buffer);
    }
    let count = i16::try_from(row.len()).expect("a result has few columns");
    PgWireBackendMessage::DataRow(DataRow::new(buffer, count))
}

fn format(formats: &[i16], index: usize) -> i16 {
    match formats {
        [] => 0,
        [all] => *all,
        each => each.get(index).copied().unwrap_or(0),
    }
}

/// Queues a whole result in text format.
pub(crate) async fn send_rows<S: Socket>(client: &mut Client<S>, rows: &Rows, tag: &str) -> Result<(), PgError> {
    client.feed(describe(&rows.columns, &[])).await?;
    for row in &rows.rows {
        client.feed(data_row(&rows.columns, row, &[])).await?;
    }
    client.feed(PgWireBackendMessage::CommandComplete(CommandComplete::new(tag.to_owned()))).await
}
