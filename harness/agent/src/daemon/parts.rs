//! What every part of the daemon works with: the ports, the adapters on them, and what they share.

use std::{
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
};

use pgdrill_ha::records::Keys;
use pgdrill_net::Net;
use serde_json::Value;
use tokio::sync::Notify;

use super::{callbacks::Callbacks, fencing::Fencing, shared::Shared};
use crate::{
    AgentConfig,
    clock::Clock,
    dcs::{Dcs, Kv},
    ports::{AgentEvent, ConfigSource, Fence, NoFence, NoPrograms, NoSource, Observer, Postgres, Programs, Watchdog},
    postgres::Sql,
    rest::client::Client,
};

/// The types behind the ports: one parameter instead of five.
pub trait Ports: Send + Sync + 'static {
    /// etcd.
    type Kv: Kv;
    /// The network.
    type Net: Net;
    /// The data directory and its server.
    type Postgres: Postgres;
    /// The watchdog device.
    type Watchdog: Watchdog;
    /// The dead-man process.
    type Fence: Fence;
    /// The log.
    type Observer: Observer;
}

/// A [`Ports`] of given types.
pub struct PortTypes<K, N, P, W, O, F = NoFence>(PhantomData<(K, N)>, PhantomData<(P, W, O, F)>);

impl<K: Kv, N: Net, P: Postgres, W: Watchdog, O: Observer, F: Fence> Ports for PortTypes<K, N, P, W, O, F> {
    type Kv = K;
    type Net = N;
    type Postgres = P;
    type Watchdog = W;
    type Fence = F;
    type Observer = O;
}

/// One agent's parts. Shared by the loop, its background tasks and the REST API.
pub struct Parts<T: Ports> {
    /// What the agent is told, as of its start or of the last reload.
    own: Mutex<Arc<AgentConfig>>,
    /// The same with what the cluster's dynamic configuration says about what is left open.
    config: Mutex<Arc<AgentConfig>>,
    /// Where that can be read again.
    pub(crate) source: Arc<dyn ConfigSource>,
    pub(crate) clock: Clock,
    pub(crate) net: T::Net,
    /// Asks the other members.
    pub(crate) members: Client<T::Net>,
    pub(crate) dcs: Dcs<T::Kv>,
    pub(crate) sql: Sql<T::Net>,
    pub(crate) postgres: T::Postgres,
    pub(crate) watchdog: T::Watchdog,
    pub(crate) fencing: Fencing<T::Fence>,
    pub(crate) observer: T::Observer,
    pub(crate) programs: Arc<dyn Programs>,
    pub(crate) callbacks: Callbacks,
    pub(crate) shared: Shared,
    /// Ends the loop's sleep.
    pub(crate) wake: Arc<Notify>,
}

impl<T: Ports> Parts<T> {
    pub(crate) fn new(
        config: AgentConfig,
        kv: T::Kv,
        net: T::Net,
        postgres: T::Postgres,
        watchdog: T::Watchdog,
        fence: T::Fence,
        observer: T::Observer,
    ) -> Self {
        let clock = Clock::new();
        let keys = Keys::new(&config.namespace, &config.scope);
        let superuser = config.postgresql.superuser.clone();
        Self {
            clock,
            members: Client::new(net.clone(), Some(&config.restapi), &config.ctl),
            dcs: Dcs::new(Arc::new(kv), keys, &config.name, clock),
            sql: Sql::new(net.clone(), config.postgresql.local_address.clone(), superuser)
                .with_options(&config.postgresql.connection.superuser),
            shared: Shared::new(&config, clock),
            wake: Arc::new(Notify::new()),
            fencing: Fencing::new(fence, config.fencing.clone()),
            own: Mutex::new(Arc::new(config.clone())),
            config: Mutex::new(Arc::new(config)),
            source: Arc::new(NoSource),
            net,
            postgres,
            watchdog,
            observer,
            programs: Arc::new(NoPrograms),
            callbacks: Callbacks::default(),
        }
    }

    /// With something that runs programs.
    pub(crate) fn with_programs(mut self, programs: Arc<dyn Programs>) -> Self {
        self.programs = programs;
        self
    }

    /// With something that its own configuration can be read from again.
    pub(crate) fn with_source(mut self, source: Arc<dyn ConfigSource>) -> Self {
        self.source = source;
        self
    }

    /// What counts: what the agent is told, and below it the cluster's dynamic configuration.
    pub(crate) fn config(&self) -> Arc<AgentConfig> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the agent itself is told.
    pub(crate) fn own_config(&self) -> Arc<AgentConfig> {
        Arc::clone(&self.own.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells the agent something else from now on; it counts with the next [`Self::overlay`].
    pub(crate) fn set_own_config(&self, config: AgentConfig) {
        self.members.set_user(Some(&config.restapi), &config.ctl);
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    /// Puts what the agent is told on top of the cluster's dynamic configuration.
    pub(crate) fn overlay(&self, dynamic: &Value) {
        let own = self.own_config();
        let postgresql = own.postgresql.with_dynamic(dynamic);
        if postgresql != self.config().postgresql {
            self.postgres.reconfigure(&postgresql);
            self.sql.set_address(&postgresql.local_address);
        }
        let config = AgentConfig { postgresql, ..AgentConfig::clone(&own) };
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    /// Reports something that went wrong and is survived.
    pub(crate) fn trouble(&self, source: &'static str, text: impl ToString) {
        self.observer.event(AgentEvent::Trouble { source, text: text.to_string() });
    }
}
