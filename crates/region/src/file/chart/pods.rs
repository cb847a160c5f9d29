//! Pods: how many, how large, and where.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The processes of one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Role {
    /// How many run while they are not scaled automatically.
    #[schemars(range(min = 1, max = 100))]
    pub replicas: u32,
    /// What each asks of its node, and what it may use at most.
    pub resources: Resources,
    /// How their number follows their load.
    pub autoscaling: Autoscaling,
}

impl Default for Role {
    fn default() -> Self {
        Self {
            replicas: 3,
            resources: Resources::default(),
            autoscaling: Autoscaling::default(),
        }
    }
}

/// What a process asks of its node, and what it may use at most. There is no limit of processor time: it would delay answers
/// while the node has time to spare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Resources {
    /// What is set aside for it.
    pub requests: Quantities,
    /// The most memory that it may use.
    pub memory_limit: String,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            requests: Quantities::default(),
            memory_limit: "512Mi".to_owned(),
        }
    }
}

/// Quantities as Kubernetes writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Quantities {
    /// Processor time, such as 250m.
    pub cpu: String,
    /// Memory, such as 256Mi.
    pub memory: String,
}

impl Default for Quantities {
    fn default() -> Self {
        Self {
            cpu: "250m".to_owned(),
            memory: "256Mi".to_owned(),
        }
    }
}

/// What a database server asks of its node, and what it may use at most. A part that is left out has the database's default,
/// which is another than that of a process: so these are types of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DatabaseResources {
    /// What is set aside for it.
    pub requests: DatabaseQuantities,
    /// The most memory that it may use.
    pub memory_limit: String,
}

impl Default for DatabaseResources {
    fn default() -> Self {
        Self {
            requests: DatabaseQuantities::default(),
            memory_limit: "2Gi".to_owned(),
        }
    }
}

/// Quantities of a database server as Kubernetes writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DatabaseQuantities {
    /// Processor time, such as 1.
    pub cpu: String,
    /// Memory, such as 2Gi.
    pub memory: String,
}

impl Default for DatabaseQuantities {
    fn default() -> Self {
        Self {
            cpu: "1".to_owned(),
            memory: "2Gi".to_owned(),
        }
    }
}

/// A `HorizontalPodAutoscaler`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Autoscaling {
    /// Whether there is one; `replicas` has no meaning then.
    pub enabled: bool,
    /// The least number of processes.
    #[schemars(range(min = 1, max = 100))]
    pub min_replicas: u32,
    /// The largest.
    #[schemars(range(min = 1, max = 100))]
    pub max_replicas: u32,
    /// The share of the requested processor time that is aimed at, in per cent.
    #[schemars(range(min = 1, max = 100))]
    pub cpu_percent: u32,
}

impl Default for Autoscaling {
    fn default() -> Self {
        Self {
            enabled: false,
            min_replicas: 3,
            max_replicas: 10,
            cpu_percent: 60,
        }
    }
}

/// What happens where pods cannot be spread evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Spread {
    /// They run all the same.
    #[default]
    ScheduleAnyway,
    /// They wait.
    DoNotSchedule,
}

/// A taint that the pods bear, in Kubernetes' own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Toleration {
    /// The taint's key; without it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Exists or Equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// The taint's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`; without it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
}
