//! This node's configuration: the dynamic one on top of which it puts its own, read again when somebody asks for it, and handed
//! on to the state machine, to etcd's client and to PostgreSQL.

use pgdrill_ha::{
    config as ha_config, enforces_feedback,
    view::{Cluster, DataDir, PostgresView},
};
use serde_json::{Value, json};

use super::{cycle::HaLoop, lifecycle, parameters, parts::Ports};
use crate::{
    AgentConfig,
    config::{FencingMode, WatchdogMode},
    dcs::Kv,
    ports::{AgentEvent, Observer, Postgres, Reread},
};

/// What a dynamic configuration says that is wrong, does not count there, or is replaced: each with the field, what was found and
/// what would be right. Patroni takes such a document without a word, and so does the REST API.
#[must_use]
pub fn remarks(dynamic: &Value) -> Vec<String> {
    let always = pgdrill_settings::check(dynamic).iter().map(ToString::to_string).collect::<Vec<_>>();
    always.into_iter().chain(parameters::replaced_parameters(dynamic)).collect()
}

impl<T: Ports> HaLoop<T> {
    /// Takes the dynamic configuration that the DCS has. A DCS that has none tells nothing new to an agent that knows one; for
    /// any other it is `bootstrap.dcs` (`Patroni.apply_dynamic_configuration`): before anything is decided, since the very first
    /// step takes the lock and acts upon it, while `/config` is only written with it.
    pub(super) async fn take_dynamic(&mut self, cluster: &Cluster) {
        if let Some(config) = &cluster.config {
            if std::mem::take(&mut self.before_config) || config.value != self.dynamic {
                self.dynamic = config.value.clone();
                self.configure().await;
            }
        } else if !self.dynamic_known
            && let Some(bootstrap) = &self.parts.config().bootstrap
            && bootstrap.dcs.is_object()
        {
            self.dynamic = bootstrap.dcs.clone();
            self.before_config = true;
            self.apply_dynamic().await;
        }
        self.dynamic_known = true;
    }

    /// Applies a changed dynamic configuration.
    pub(super) async fn configure(&mut self) {
        self.parts.shared.published().last_config = Some(self.dynamic.clone());
        self.apply_dynamic().await;
    }

    async fn apply_dynamic(&mut self) {
        for remark in remarks(&self.dynamic) {
            self.parts.trouble("config", format!("/config: {remark}"));
        }
        for remark in parameters::replaced_own(&self.parts.config(), &self.dynamic) {
            self.parts.trouble("config", remark);
        }
        if self.resolve() && self.adopted && !self.before_config {
            self.reload().await;
        }
    }

    /// Puts the layers of the configuration on top of each other again. Tells whether PostgreSQL's own configuration is another
    /// one now.
    fn resolve(&mut self) -> bool {
        self.parts.overlay(&self.dynamic);
        let own = self.parts.config();
        self.config = ha_config::resolve(&self.dynamic, &local_layer(&own), &Default::default());
        let (kv, _) = self.parts.dcs.kv();
        kv.set_timing(self.config.ttl, self.config.loop_wait, self.config.retry_timeout);
        self.parts.shared.published().config = self.config.clone();
        let mut desired = self.parts.shared.desired();
        let changed = desired.apply(&own, &self.dynamic);
        desired.apply_recovery(&own, &self.config) || changed
    }

    /// Keeps `hot_standby_feedback` on exactly as long as logical slots here, or on members that hang on this one, need it.
    pub(super) async fn keep_feedback(&mut self, cluster: &Cluster) {
        let own = self.parts.config();
        let enforces = enforces_feedback(cluster, &self.config, &own.name);
        let changed = {
            let mut desired = self.parts.shared.desired();
            let differs = std::mem::replace(&mut desired.enforces_feedback, enforces) != enforces;
            differs && desired.apply(&own, &self.dynamic)
        };
        if changed && self.adopted && !self.before_config {
            self.reload().await;
        }
    }

    /// Keeps the dead-man process from stopping a primary whose renewal may still be on its way.
    pub(super) fn limit_margin(&self) {
        let (ttl, loop_wait, retry) = (self.config.ttl, self.config.loop_wait, self.config.retry_timeout);
        let spare = ttl.saturating_sub(loop_wait + retry * 2);
        if let Some(spare) = self.parts.fencing.limit_margin(spare) {
            let text = format!(
                "pgdrill.fencing.safety_margin is {} s and counts as {} s: ttl ({} s) leaves no more after loop_wait ({} s) + 2 * \
                 retry_timeout ({} s), and an agent that works may need that to renew the lock; raise ttl or lower the margin",
                self.parts.config().fencing.safety_margin.as_secs(),
                spare.as_secs(),
                ttl.as_secs(),
                loop_wait.as_secs(),
                retry.as_secs()
            );
            self.parts.trouble("fencing", text);
        }
    }

    /// Reads this node's own configuration again and applies it. What is wrong with it is told, and then all stays as it is.
    pub async fn reread(&mut self) {
        match self.parts.source.reread(self.parts.own_config()).await {
            Ok(None) => {}
            Ok(Some(Reread { config, applied, needs_restart })) => {
                self.parts.set_own_config(config);
                self.resolve();
                self.parts.observer.event(AgentEvent::Reconfigured { applied, needs_restart });
            }
            Err(problems) => {
                for problem in &problems {
                    self.parts.trouble("config", problem);
                }
                self.parts.trouble("config", "the configuration was not read again: what the agent runs with stays");
            }
        }
    }

    /// Begins with the dynamic configuration of an earlier life, until the DCS says otherwise.
    pub async fn recall(&mut self) {
        let kept = match self.parts.postgres.kept_dynamic_config().await {
            Ok(kept) => kept,
            Err(error) => {
                self.was_managed = true;
                return self.parts.trouble("postgres", format!("the kept dynamic configuration: {error}"));
            }
        };
        let Some(text) = kept else { return };
        self.was_managed = true;
        match serde_json::from_str::<Value>(&text) {
            Ok(config) if config.is_object() => {
                self.kept = config.clone();
                self.dynamic = config;
                self.dynamic_known = true;
                self.configure().await;
            }
            _ => self.parts.trouble("config", "the kept dynamic configuration is no JSON object: it is not used"),
        }
    }

    /// Keeps a changed dynamic configuration for the next life.
    pub(super) async fn keep_dynamic(&mut self, postgres: &PostgresView) {
        // What is no cluster's configuration yet must not be taken for one by the next agent.
        let known = self.dynamic_known && !self.before_config;
        if self.dynamic == self.kept || !known || postgres.data_dir != DataDir::Present {
            return;
        }
        match self.parts.postgres.keep_dynamic_config(&self.dynamic.to_string()).await {
            Ok(()) => {}
            Err(error) => self.parts.trouble("postgres", format!("keeping the dynamic configuration: {error}")),
        }
        // Once told is enough: what cannot be written now cannot be written in the next cycle either.
        self.kept = self.dynamic.clone();
    }

    /// Writes PostgreSQL's configuration and has it read.
    pub async fn reload(&mut self) {
        let running = self.parts.postgres.postmaster().await.is_ok_and(|postmaster| postmaster.is_some());
        // A task that starts PostgreSQL writes the configuration itself.
        if !running || self.task.is_busy() {
            return;
        }
        self.look_for_pending_restart();
        let written = match lifecycle::write_config(&self.parts).await {
            Ok(()) => lifecycle::reload(&self.parts).await,
            error => error,
        };
        if let Err(reason) = written {
            self.parts.trouble("postgres", format!("reload: {reason}"));
        }
    }
}

/// This node's own layer of the configuration, as the state machine reads it.
pub(super) fn local_layer(config: &AgentConfig) -> Value {
    let mut postgresql = json!({
        "remove_data_directory_on_rewind_failure": config.postgresql.remove_data_directory_on_rewind_failure,
        "remove_data_directory_on_diverged_timelines": config.postgresql.remove_data_directory_on_diverged_timelines,
    });
    let methods = config.postgresql.replica_methods.iter().filter(|(_, method)| method.no_leader);
    postgresql["methods_without_leader"] = methods.map(|(name, _)| Value::from(name.as_str())).collect();
    postgresql["create_replica_methods"] = config.postgresql.create_replica_methods.clone().into();
    if !config.postgresql.recovery_conf.is_empty() {
        postgresql["recovery_conf"] = Value::Object(config.postgresql.recovery_conf.clone());
    }
    if let Some(command) = &config.postgresql.pre_promote {
        postgresql["pre_promote"] = command.as_str().into();
    }
    if let Some(use_pg_rewind) = config.postgresql.use_pg_rewind {
        postgresql["use_pg_rewind"] = use_pg_rewind.into();
    }
    let mode = match config.watchdog.mode {
        WatchdogMode::Off => "off",
        WatchdogMode::Automatic => "automatic",
        WatchdogMode::Required => "required",
    };
    let fencing = match config.fencing.mode {
        FencingMode::Off => "off",
        FencingMode::Automatic => "automatic",
        FencingMode::Required => "required",
    };
    let mut layer = json!({
        "postgresql": postgresql,
        "tags": config.tags,
        "watchdog": { "mode": mode },
        "pgdrill": { "fencing": { "mode": fencing } },
    });
    if let Some(bootstrap) = &config.bootstrap {
        layer["bootstrap"] = json!({ "dcs": bootstrap.dcs });
    }
    layer
}
