//! The properties that everything which the chart renders must have: one check each, over all renders, and beside it the ways
//! of breaking a render that it must find.

mod database;
mod network;
mod pods;
mod region;
mod shape;

use super::case::Case;

pub(super) struct Property {
    pub(super) name: &'static str,
    /// Every fault of a render.
    pub(super) check: fn(&Case) -> Vec<String>,
    /// Breaks a render; false where it has nothing of the kind.
    pub(super) broken: &'static [fn(&mut Case) -> bool],
}

pub(super) const ALL: &[Property] = &[
    Property {
        name: "pods have the rights of the restricted standard",
        check: pods::restricted,
        broken: pods::UNRESTRICTED,
    },
    Property {
        name: "no pod has a token of the cluster",
        check: pods::tokens,
        broken: pods::TOKENS,
    },
    Property {
        name: "probes ask what they should",
        check: pods::probes,
        broken: pods::PROBES,
    },
    Property {
        name: "resources are set aside and bounded",
        check: pods::resources,
        broken: pods::RESOURCES,
    },
    Property {
        name: "a roll-out loses nothing",
        check: pods::rollout,
        broken: pods::ROLLOUT,
    },
    Property {
        name: "the image is the file's, by its digest",
        check: pods::image,
        broken: pods::IMAGE,
    },
    Property {
        name: "no secret stands in an object",
        check: region::secrets,
        broken: region::SECRETS,
    },
    Property {
        name: "the environment is the region's",
        check: region::environment,
        broken: region::ENVIRONMENT,
    },
    Property {
        name: "the processes are handed the region's file as it stands",
        check: region::handed,
        broken: region::HANDED,
    },
    Property {
        name: "no object names another region",
        check: region::alone,
        broken: region::ALONE,
    },
    Property {
        name: "external secrets are exactly the file's",
        check: region::external,
        broken: region::EXTERNAL,
    },
    Property {
        name: "network policies hold exactly the egress list",
        check: network::egress,
        broken: network::EGRESS,
    },
    Property {
        name: "only who may come in can",
        check: network::ingress,
        broken: network::INGRESS,
    },
    Property {
        name: "what objects refer to is there",
        check: network::references,
        broken: network::REFERENCES,
    },
    Property {
        name: "labels are the recommended ones",
        check: shape::labels,
        broken: shape::LABELS,
    },
    Property {
        name: "names are valid and within their limits",
        check: shape::names,
        broken: shape::NAMES,
    },
    Property {
        name: "nothing is cluster-wide or in a foreign namespace",
        check: shape::namespaced,
        broken: shape::NAMESPACED,
    },
    Property {
        name: "what is not enabled is not there",
        check: shape::nothing_extra,
        broken: shape::EXTRA,
    },
    Property {
        name: "rendering twice is identical",
        check: shape::twice,
        broken: shape::TWICE,
    },
    Property {
        name: "the migration comes first and fails safely",
        check: shape::migration,
        broken: shape::MIGRATION,
    },
    Property {
        name: "the database that it makes is the file's",
        check: database::cluster,
        broken: database::CLUSTER,
    },
    Property {
        name: "rules and dashboards are the files",
        check: shape::monitoring,
        broken: shape::MONITORING,
    },
];
