//! The form of what the Helm chart reads, and that it fits the rest of the file.

use std::net::IpAddr;

use url::Url;

use super::Finder;
use super::values::{is_host, is_label, is_plain, is_secret_name};
use crate::file::RegionFile;
use crate::file::chart::{Autoscaling, Chart, DatabaseResources, Postgres, Resources};
use crate::rule::Rule;

pub(super) fn check(finder: &mut Finder<'_>, file: &RegionFile) {
    let chart = &file.chart;
    for (path, role) in [("chart.serve", &chart.serve), ("chart.work", &chart.work)] {
        if role.replicas == 0 {
            finder.value(format!("{path}.replicas"), "it is 0", "write at least 1");
        }
        let Resources {
            requests,
            memory_limit,
        } = &role.resources;
        let texts = [requests.cpu.as_str(), &requests.memory, memory_limit];
        quantities(finder, &format!("{path}.resources"), texts);
        autoscaling(finder, &format!("{path}.autoscaling"), &role.autoscaling);
    }
    names(finder, chart);
    ways_in(finder, file);
    networks(finder, chart);
    if chart.external_secrets.enabled && chart.external_secrets.store.is_none() {
        finder.find(
            Rule::Contradiction,
            "chart.externalSecrets.store",
            "external secrets need a store",
            "name the SecretStore of the region's namespace",
        );
    }
    if chart.postgres.enabled {
        postgres(finder, file, &chart.postgres);
    }
}

fn quantities(finder: &mut Finder<'_>, path: &str, [cpu, memory, limit]: [&str; 3]) {
    for (field, text) in [
        ("requests.cpu", cpu),
        ("requests.memory", memory),
        ("memoryLimit", limit),
    ] {
        if !is_quantity(text) {
            finder.value(
                format!("{path}.{field}"),
                "it is no quantity",
                "write such as 250m for processor time, 256Mi for memory",
            );
        }
    }
}

/// Digits and a unit, as Kubernetes writes them.
fn is_quantity(text: &str) -> bool {
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    digits.parse::<f64>().is_ok_and(|number| number > 0.0)
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && ["", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"].contains(&unit)
}

fn autoscaling(finder: &mut Finder<'_>, path: &str, scaling: &Autoscaling) {
    if !(1..=scaling.max_replicas).contains(&scaling.min_replicas) {
        finder.find(
            Rule::Contradiction,
            format!("{path}.minReplicas"),
            "it is 0 or more than maxReplicas",
            "write the least number of processes first",
        );
    }
    if !(1..=100).contains(&scaling.cpu_percent) {
        finder.value(
            format!("{path}.cpuPercent"),
            "it is no share",
            "write a number from 1 to 100",
        );
    }
}

/// Names of objects that the chart refers to.
fn names(finder: &mut Finder<'_>, chart: &Chart) {
    let mut names = vec![
        ("chart.priorityClass".to_owned(), chart.priority_class.as_ref()),
        (
            "chart.ingress.className".to_owned(),
            chart.ingress.class_name.as_ref(),
        ),
        (
            "chart.ingress.tlsSecret".to_owned(),
            chart.ingress.tls_secret.as_ref(),
        ),
        (
            "chart.externalSecrets.store".to_owned(),
            chart.external_secrets.store.as_ref(),
        ),
        (
            "chart.postgres.storageClass".to_owned(),
            chart.postgres.storage_class.as_ref(),
        ),
    ];
    if let Some(app) = &chart.ingress.app {
        names.push(("chart.ingress.app.className".to_owned(), Some(&app.class_name)));
        names.push(("chart.ingress.app.tlsSecret".to_owned(), Some(&app.tls_secret)));
    }
    for (index, parent) in chart.gateway.parents.iter().enumerate() {
        let path = format!("chart.gateway.parents[{index}]");
        names.push((format!("{path}.name"), Some(&parent.name)));
        names.push((format!("{path}.sectionName"), parent.section_name.as_ref()));
    }
    for (index, name) in chart.image_pull_secrets.iter().enumerate() {
        names.push((format!("chart.imagePullSecrets[{index}]"), Some(name)));
    }
    for (path, name) in names {
        if name.is_some_and(|name| !is_secret_name(name)) {
            finder.value(
                path,
                "it is no name of an object",
                "write lower-case letters, digits, '-' and '.'",
            );
        }
    }
}

fn ways_in(finder: &mut Finder<'_>, file: &RegionFile) {
    let chart = &file.chart;
    if chart.gateway.enabled && chart.gateway.parents.is_empty() {
        finder.find(
            Rule::Contradiction,
            "chart.gateway.parents",
            "a route needs a gateway",
            "name the gateway, and its namespace where it is another",
        );
    }
    if let Some(app) = &chart.ingress.app {
        let public = Url::parse(&file.http.public_url).ok();
        let is_public = public.as_ref().and_then(Url::host_str) == Some(app.host.as_str());
        if !is_host(&app.host) || is_public {
            finder.value(
                "chart.ingress.app.host",
                "it is no host, or the public one",
                "write a host of its own inside of the region's network",
            );
        }
        if chart.ingress.class_name.as_ref() == Some(&app.class_name) {
            finder.find(
                Rule::Contradiction,
                "chart.ingress.app.className",
                "it is the class of the public controller",
                "write the class of a controller that is reached from inside alone",
            );
        }
    }
}

fn networks(finder: &mut Finder<'_>, chart: &Chart) {
    let policy = &chart.network_policy;
    for (field, namespaces) in [
        ("publicFrom", &policy.public_from),
        ("appFrom", &policy.app_from),
        ("opsFrom", &policy.ops_from),
    ] {
        for (index, namespace) in namespaces.iter().enumerate() {
            if !is_label(namespace) {
                finder.value(
                    format!("chart.networkPolicy.{field}[{index}]"),
                    "it is no namespace",
                    "write such as ingress-nginx",
                );
            }
        }
    }
    for (index, network) in policy.private_cidrs.iter().enumerate() {
        if !is_network(network) {
            finder.value(
                format!("chart.networkPolicy.privateCidrs[{index}]"),
                "it is no network",
                "write such as 10.20.0.0/16, never all addresses",
            );
        }
    }
}

fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| (1..=most).contains(&bits))
}

/// The database of the file must be the one that the chart makes.
fn postgres(finder: &mut Finder<'_>, file: &RegionFile, postgres: &Postgres) {
    let service = format!("-rw.{}.svc", file.deployment.namespace);
    let host = &file.database.host;
    let host = host.strip_suffix(".cluster.local").unwrap_or(host);
    let cluster = host.strip_suffix(service.as_str()).unwrap_or_default();
    // The operator makes names of its own from it.
    if !is_label(cluster) || cluster.len() > 50 || file.database.port != 5432 {
        finder.find(
            Rule::Contradiction,
            "chart.postgres.enabled",
            format!("the database is not <cluster>{service}:5432"),
            "write that host and port under database, or leave PostgreSQL to others",
        );
    }
    if file.chart.database_ca.is_some() {
        finder.find(
            Rule::Contradiction,
            "chart.databaseCa",
            "the cluster has a certificate authority of its own",
            "remove it",
        );
    }
    if postgres.instances == 0 {
        finder.value("chart.postgres.instances", "it is 0", "write 3");
    }
    let sizes = [
        ("storageSize", Some(&postgres.storage_size)),
        ("walStorageSize", postgres.wal_storage_size.as_ref()),
    ];
    for (field, size) in sizes {
        if size.is_some_and(|size| !is_quantity(size)) {
            finder.value(
                format!("chart.postgres.{field}"),
                "it is no size",
                "write such as 50Gi",
            );
        }
    }
    let DatabaseResources {
        requests,
        memory_limit,
    } = &postgres.resources;
    let texts = [requests.cpu.as_str(), &requests.memory, memory_limit];
    quantities(finder, "chart.postgres.resources", texts);
    if postgres
        .image
        .as_ref()
        .is_some_and(|image| !image.contains("@sha256:"))
    {
        finder.value(
            "chart.postgres.image",
            "it has no digest",
            "write registry, name, @ and the digest",
        );
    }
    if postgres.backup.enabled {
        backup(finder, file);
    }
}

fn backup(finder: &mut Finder<'_>, file: &RegionFile) {
    let backup = &file.chart.postgres.backup;
    let recordings = Url::parse(&file.objects.url)
        .ok()
        .filter(|url| url.scheme() == "s3")
        .map(|url| url.path().trim_matches('/').to_owned());
    let prefix = backup.prefix.trim_matches('/');
    let within = |a: &str, b: &str| a == b || b.is_empty() || a.starts_with(&format!("{b}/"));
    let apart = recordings.is_some_and(|it| !within(prefix, &it) && !within(&it, prefix));
    if !apart {
        finder.find(
            Rule::Contradiction,
            "chart.postgres.backup.prefix",
            "it does not lie beside the recordings in a bucket",
            "give recordings and backups a prefix each, neither within the other",
        );
    }
    if backup.schedule.split_whitespace().count() != 6 {
        finder.value(
            "chart.postgres.backup.schedule",
            "it has not six fields",
            "write such as 0 30 2 * * *, seconds first",
        );
    }
    let count = backup.retention.get(..backup.retention.len().saturating_sub(1));
    let is_kept = backup.retention.ends_with(['d', 'w', 'm'])
        && count.is_some_and(|it| it.parse::<u32>().is_ok_and(|count| count > 0));
    if !is_kept || !is_plain(&backup.retention) {
        finder.value(
            "chart.postgres.backup.retention",
            "it is no time",
            "write such as 30d",
        );
    }
}
