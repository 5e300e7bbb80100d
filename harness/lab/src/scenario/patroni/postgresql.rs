//! `postgresql`: the dynamic part that is kept in the DCS, and the local part that a scenario can say something about.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `postgresql`. Addresses, directories and passwords are the lab's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Postgresql {
    /// Parameters of `postgresql.conf`, as given: numbers, words or booleans.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// Whether a former primary is rewound. Patroni's default is false; here it is true, as in every deployment guide.
    pub use_pg_rewind: bool,
    /// Whether members stream through slots.
    pub use_slots: bool,
    /// Lines of `pg_hba.conf`; without any the lab's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pg_hba: Vec<String>,
    /// Lines of `pg_ident.conf`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pg_ident: Vec<String>,
    /// Further recovery settings of standbys.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub recovery_conf: Map<String, Value>,
    /// How long `pg_ctl` may take to start and stop, in seconds.
    pub pg_ctl_timeout: u32,
    /// Whether a data directory that could not be rewound is removed and copied anew.
    pub remove_data_directory_on_rewind_failure: bool,
    /// Whether a diverged data directory that cannot be rewound at all is removed and copied anew.
    pub remove_data_directory_on_diverged_timelines: bool,
}

impl Default for Postgresql {
    fn default() -> Self {
        Self {
            parameters: Map::new(),
            use_pg_rewind: true,
            use_slots: true,
            pg_hba: Vec::new(),
            pg_ident: Vec::new(),
            recovery_conf: Map::new(),
            pg_ctl_timeout: 60,
            remove_data_directory_on_rewind_failure: false,
            remove_data_directory_on_diverged_timelines: false,
        }
    }
}
