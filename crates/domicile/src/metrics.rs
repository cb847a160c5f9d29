//! What the roof says of the process.

use opentelemetry::{KeyValue, global};

use crate::server::Role;

/// Shows which build runs here, and what it does. With the region, which every series of the scrape carries, it tells
/// whether a role is missing and whether a roll-out is through.
pub(crate) fn show_build(role: Role) {
    global::meter("domicile.process")
        .u64_gauge("domicile.build.info")
        .with_description("Always 1: the version that runs, and its role")
        .build()
        .record(
            1,
            &[
                KeyValue::new("version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("role", role.as_str()),
            ],
        );
}
