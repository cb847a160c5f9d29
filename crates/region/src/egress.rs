//! What a region's processes may call: the list from which network policies follow, and which the fence enforces by itself.

use std::collections::BTreeSet;

use url::Url;

use crate::file::RegionFile;

/// A host that may be called, and on which port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    /// The host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether the hosts below it may be called too.
    pub and_below: bool,
}

impl Destination {
    /// The namespace of a Service of the region's own cluster: `<service>.<namespace>.svc`, perhaps with the cluster's domain.
    pub fn namespace(&self) -> Option<&str> {
        let name = self.host.strip_suffix(".cluster.local").unwrap_or(&self.host);
        let (_, namespace) = name.strip_suffix(".svc")?.rsplit_once('.')?;
        Some(namespace)
    }
}

/// Everything that the processes may call, the database too, each once and in order.
pub fn destinations(file: &RegionFile) -> Vec<Destination> {
    let mut list = List(BTreeSet::new());
    for host in &file.zoom.hosts {
        list.0.insert(Destination {
            host: host.clone(),
            port: 443,
            and_below: true,
        });
    }
    list.url(&file.zoom.oauth_url);
    list.url(&file.zoom.api_url);
    list.push(&file.database.host, file.database.port);
    storage(file, &mut list);
    keys(file, &mut list);
    let app = &file.app;
    list.urls(app.events_url.as_ref());
    list.urls(app.identity.jwt.as_ref().map(|jwt| &jwt.jwks_url));
    list.urls(file.telemetry.otlp_endpoint.as_ref());
    for host in &file.egress.allow {
        list.url(&format!("https://{host}"));
    }
    let list = list.0;
    list.iter().filter(|it| !covered(it, &list)).cloned().collect()
}

/// Whether a wider entry of the list says it already.
fn covered(one: &Destination, list: &BTreeSet<Destination>) -> bool {
    list.iter().any(|other| {
        other != one
            && other.and_below
            && other.port == one.port
            && (one.host == other.host || one.host.ends_with(&format!(".{}", other.host)))
    })
}

fn storage(file: &RegionFile, list: &mut List) {
    let objects = &file.objects;
    let url = Url::parse(&objects.url).ok().filter(|url| url.scheme() == "s3");
    let bucket = url.as_ref().and_then(Url::host_str);
    let server = objects
        .endpoint
        .clone()
        .or_else(|| Some(amazon("s3", objects.region.as_ref()?)));
    if let (Some(bucket), Some(server)) = (bucket, server) {
        let own = objects.endpoint.is_none() && !bucket.contains('.');
        if objects.virtual_hosted_style.unwrap_or(own) {
            let (scheme, host) = server.split_once("://").unwrap_or(("https", &server));
            list.url(&format!("{scheme}://{bucket}.{host}"));
        } else {
            list.url(&server);
        }
    }
    let identity = objects
        .credentials
        .as_ref()
        .and_then(|it| it.web_identity.as_ref());
    if let Some(identity) = identity {
        let amazons = || Some(amazon("sts", objects.region.as_ref()?));
        list.urls(identity.endpoint.clone().or_else(amazons).as_ref());
    }
}

fn keys(file: &RegionFile, list: &mut List) {
    let vault = &file.vault;
    for arn in vault.keys.iter().filter_map(|key| key.aws_kms.as_ref()) {
        let amazons = || {
            let place = arn.split(':').nth(3)?;
            let european = arn.starts_with("arn:aws-eusc:");
            Some(if european {
                format!("https://kms.{place}.amazonaws.eu")
            } else {
                amazon("kms", place)
            })
        };
        list.urls(vault.endpoint.clone().or_else(amazons).as_ref());
    }
}

/// Where a service of Amazon's is in this region of Amazon's.
fn amazon(service: &str, region: &str) -> String {
    let domain = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    format!("https://{service}.{region}.{domain}")
}

struct List(BTreeSet<Destination>);

impl List {
    fn push(&mut self, host: &str, port: u16) {
        self.0.insert(Destination {
            host: host.to_ascii_lowercase(),
            port,
            and_below: false,
        });
    }

    fn url(&mut self, text: &str) {
        if let Ok(url) = Url::parse(text)
            && let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default())
        {
            self.push(host, port);
        }
    }

    fn urls(&mut self, text: Option<&String>) {
        if let Some(text) = text {
            self.url(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(file: &RegionFile) -> Vec<String> {
        let told = |it: &Destination| {
            let below = if it.and_below { "*" } else { "" };
            format!("{below}{}:{}", it.host, it.port)
        };
        destinations(file).iter().map(told).collect()
    }

    #[test]
    fn the_list_is_what_the_file_names_and_implies() {
        let mut file: RegionFile = serde_saphyr::from_str(include_str!("../../../regions/eu.yaml")).unwrap();
        assert_eq!(
            listed(&file),
            [
                "app.eu.example.com:443",
                "domicile-rw.domicile-eu.svc:5432",
                "example-domicile-eu.s3.eu-central-1.amazonaws.com:443",
                "kms.eu-central-1.amazonaws.com:443",
                "otlp.eu.example.com:443",
                "sts.eu-central-1.amazonaws.com:443",
                "*zoom.us:443",
            ]
        );
        file.objects.endpoint = Some("https://minio.storage.svc:9000".to_owned());
        file.egress.allow = vec!["geo.example.com:8443".to_owned()];
        file.zoom.api_url = "https://api.zoomgov.com".to_owned();
        let list = listed(&file);
        for host in [
            "minio.storage.svc:9000",
            "geo.example.com:8443",
            "api.zoomgov.com:443",
        ] {
            assert!(list.contains(&host.to_owned()), "{host} in {list:?}");
        }
        let inside: Vec<_> = destinations(&file)
            .iter()
            .filter_map(|it| it.namespace().map(str::to_owned))
            .collect();
        assert_eq!(inside, ["domicile-eu", "storage"]);
    }
}
