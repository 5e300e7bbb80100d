//! `history`: where each timeline ended, and who led then.

use clap::Args;
use serde_json::Value;

use super::{
    ClusterArg, Done, FormatArg, Screen, Session,
    output::{self, Column},
    table::Align::{Left, Right},
};

const COLUMNS: [Column<'static>; 5] =
    [("TL", Right), ("LSN", Right), ("Reason", Left), ("Timestamp", Left), ("New Leader", Left)];

#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    #[command(flatten)]
    cluster: ClusterArg,
    #[command(flatten)]
    format: FormatArg,
}

/// `history`.
pub(super) async fn history(session: &Session, screen: &mut Screen, args: &HistoryArgs) -> Done {
    let cluster = session.cluster(&session.scope(&args.cluster)?).await?;
    let lines = cluster.history.unwrap_or_default().lines;
    let row = |line: &pgdrill_ha::records::HistoryLine| -> Vec<Value> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default().into();
        let lsn = line.switchpoint.0;
        vec![line.timeline.into(), lsn.into(), (&*line.reason).into(), text(&line.timestamp), text(&line.new_leader)]
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    screen.print(&output::rows(args.format.format, &COLUMNS, &rows, false));
    Ok(())
}
