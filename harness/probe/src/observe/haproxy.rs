//! Which servers HAProxy takes for up, from its own statistics.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use pgdrill_lab::event::What;
use pgdrill_net::{Net, SocketOptions};
use tokio::time::{sleep, timeout};

use crate::{Endpoint, Journal};

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(500);

/// The servers of the router, as it sees them. Clones are the same list.
#[derive(Clone, Debug, Default)]
pub struct Routed(Arc<Mutex<BTreeMap<String, bool>>>);

impl Routed {
    /// The servers that it routes to at present.
    #[must_use]
    pub fn servers(&self) -> Vec<String> {
        let servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        servers.iter().filter(|(_, up)| **up).map(|(name, _)| name.clone()).collect()
    }

    /// Takes what was found; the servers that changed.
    fn take(&self, found: BTreeMap<String, bool>) -> Vec<(String, bool)> {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = found.iter().filter(|(name, up)| servers.get(*name) != Some(*up));
        let changed = changed.map(|(name, up)| (name.clone(), *up)).collect();
        *servers = found;
        changed
    }
}

/// Looks for ever, and notes what changes. A router that does not answer is one of which nothing new is known.
pub async fn watch_haproxy<N: Net>(net: N, statistics: Endpoint, routed: Routed, journal: Journal) {
    loop {
        if let Ok(Ok(text)) = timeout(Duration::from_secs(2), fetch(&net, &statistics)).await {
            for (server, up) in routed.take(servers(&text)) {
                let text = format!("{server} is {}", if up { "up" } else { "down" });
                journal.record(&statistics.name, What::Note { text });
            }
        }
        sleep(PERIOD).await;
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn fetch<N: Net>(net: &N, at: &Endpoint) -> Result<String, Failure> {
    let socket = net.connect(&at.host, at.port, &SocketOptions::within(Duration::from_secs(1))).await?;
    let (mut sender, connection) = handshake(TokioIo::new(socket)).await?;
    // The connection's own error shows as the error of the request on it.
    tokio::spawn(async move { drop(connection.await) });
    let request = Request::get("/;csv").header(http::header::HOST, &at.host).body(Empty::<Bytes>::new())?;
    let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// From HAProxy's CSV (management guide, section 9.1): the servers of `primary`. `UP`, and `UP 1/3` on its way down.
fn servers(csv: &str) -> BTreeMap<String, bool> {
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().trim_start_matches("# ").split(',').collect();
    let column = |name: &str| header.iter().position(|h| *h == name);
    let (Some(proxy), Some(server), Some(status)) = (column("pxname"), column("svname"), column("status")) else {
        return BTreeMap::new();
    };
    lines
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|fields| fields.get(proxy) == Some(&"primary"))
        .filter_map(|fields| Some(((*fields.get(server)?).to_owned(), fields.get(status)?.starts_with("UP"))))
        .filter(|(name, _)| name != "FRONTEND" && name != "BACKEND")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "# pxname,svname,qcur,status,weight\n\
        primary,FRONTEND,,OPEN,\nprimary,pg1,0,UP,1\nprimary,pg2,0,DOWN,1\nprimary,pg3,0,UP 1/3,1\n\
        primary,BACKEND,0,UP,1\nstatistics,BACKEND,0,UP,0\n";

    #[test]
    fn the_servers_that_are_up_are_read_from_the_statistics() {
        let routed = Routed::default();
        assert_eq!(routed.take(servers(CSV)).len(), 3);
        assert_eq!(routed.servers(), ["pg1", "pg3"]);
        assert_eq!(routed.take(servers(&CSV.replace("UP 1/3", "DOWN"))), [("pg3".to_owned(), false)]);
    }

    #[test]
    fn what_is_no_such_table_names_no_server() {
        assert!(servers("").is_empty());
        assert!(servers("<html>").is_empty());
    }
}
