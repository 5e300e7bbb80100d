//! Where a body runs: a net, and somebody to run the server half.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    time::Duration,
};

use pgdrill_net::{Listener, Net, SocketOptions};
use tokio::time::sleep;

type Server = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The client's view of its world.
#[derive(Clone)]
pub struct Place<N: Net> {
    pub net: N,
    /// The name of the server's host.
    pub server: &'static str,
    /// Servers for another simulated host, which looks here now and then: channels do not wake across hosts.
    elsewhere: Option<Arc<Mutex<Vec<Server>>>>,
}

/// A running server half.
pub struct Running {
    pub port: u16,
    done: Arc<AtomicBool>,
}

impl<N: Net> Place<N> {
    pub fn new(net: N, server: &'static str, across: bool) -> Self {
        Self { net, server, elsewhere: across.then(Arc::default) }
    }

    /// Gives up within ten seconds.
    pub fn options() -> SocketOptions {
        SocketOptions::within(Duration::from_secs(10))
    }

    /// Listens on the server's host, on any port, and runs `server` there.
    pub async fn serve<F, R>(&self, server: F) -> Running
    where
        F: FnOnce(N, N::Listener) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let (port, done) = (Arc::new(AtomicU16::new(0)), Arc::new(AtomicBool::new(false)));
        let (set_port, set_done, net) = (Arc::clone(&port), Arc::clone(&done), self.net.clone());
        let half: Server = Box::pin(async move {
            let listener = net.listen("0.0.0.0", 0).await.expect("any port");
            set_port.store(listener.local_addr().expect("bound").port(), Ordering::SeqCst);
            server(net, listener).await;
            set_done.store(true, Ordering::SeqCst);
        });
        match &self.elsewhere {
            Some(servers) => servers.lock().expect("no panic holds it").push(half),
            None => drop(tokio::spawn(half)),
        }
        while port.load(Ordering::SeqCst) == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        Running { port: port.load(Ordering::SeqCst), done }
    }

    pub async fn connect(&self, server: &Running) -> N::Stream {
        self.net.connect(self.server, server.port, &Self::options()).await.expect("the server listens")
    }
}

impl Running {
    /// Waits for the end of the server half. If it has panicked this never returns, and the test times out.
    pub async fn finished(self) {
        while !self.done.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// The process that runs server halves on their own simulated host.
pub async fn run_servers<N: Net>(place: Place<N>) {
    loop {
        let waiting = match &place.elsewhere {
            Some(servers) => std::mem::take(&mut *servers.lock().expect("no panic holds it")),
            None => return,
        };
        for server in waiting {
            tokio::spawn(server);
        }
        sleep(Duration::from_millis(1)).await;
    }
}
