//! The complete environment of a real `domicile serve` on this machine.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use sha2::{Digest, Sha256};
use url::Url;

use crate::failure::{Failure, Outcome};

/// The subscription's secret token of every run.
pub const SECRET: &str = "the-secret-token-of-the-load-generator";

/// The three sockets of a service. They stay the same over its restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// For Zoom and browsers.
    pub public: SocketAddr,
    /// For the app.
    pub app: SocketAddr,
    /// For the cluster.
    pub ops: SocketAddr,
}

impl Addresses {
    /// Three sockets that are free now.
    pub fn free() -> Outcome<Self> {
        // Held together, so that they differ.
        let held: Vec<TcpListener> = (0..3)
            .map(|_| TcpListener::bind("127.0.0.1:0"))
            .collect::<Result<_, _>>()?;
        let address = |index: usize| {
            let listener = held.get(index).ok_or_else(|| Failure::new("no free port"))?;
            Ok::<_, Failure>(listener.local_addr()?)
        };
        Ok(Self {
            public: address(0)?,
            app: address(1)?,
            ops: address(2)?,
        })
    }
}

/// Every variable that the service needs, and no more; nothing else of this process's environment reaches it.
pub fn environment(
    addresses: &Addresses,
    database_url: &str,
    objects: &Path,
) -> Outcome<BTreeMap<String, String>> {
    let objects = Url::from_directory_path(objects)
        .map_err(|()| Failure::new(format!("{} is no absolute folder", objects.display())))?;
    // Nobody listens there; the load reaches no flow that calls out.
    let nobody = "http://127.0.0.1:9";
    let variables = [
        ("DOMICILE_REGION_ID", "eu".to_owned()),
        ("DOMICILE_REGION_NAME", "European Union".to_owned()),
        ("DOMICILE_REGION_ZOOM_CLUSTERS", "eu".to_owned()),
        ("DOMICILE_REGION_UNKNOWN_CLUSTER", "allow".to_owned()),
        ("DOMICILE_REGION_ADMISSION", "open".to_owned()),
        ("DOMICILE_HTTP_PUBLIC_URL", format!("http://{}", addresses.public)),
        ("DOMICILE_HTTP_PUBLIC_LISTEN", addresses.public.to_string()),
        ("DOMICILE_HTTP_APP_LISTEN", addresses.app.to_string()),
        ("DOMICILE_HTTP_OPS_LISTEN", addresses.ops.to_string()),
        ("DOMICILE_DATABASE_URL", database_url.to_owned()),
        ("DOMICILE_ZOOM_CLIENT_ID", "client-of-the-bench".to_owned()),
        (
            "DOMICILE_ZOOM_CLIENT_SECRET",
            "client-secret-of-the-bench".to_owned(),
        ),
        ("DOMICILE_ZOOM_WEBHOOK_SECRETS", SECRET.to_owned()),
        ("DOMICILE_ZOOM_OAUTH_URL", nobody.to_owned()),
        ("DOMICILE_ZOOM_API_URL", nobody.to_owned()),
        ("DOMICILE_ZOOM_HOSTS", "127.0.0.1".to_owned()),
        // 32 bytes that seal nothing but made-up events.
        (
            "DOMICILE_VAULT_KEYS",
            "k1:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=".to_owned(),
        ),
        ("DOMICILE_OBJECTS_URL", objects.to_string()),
        (
            "DOMICILE_APP_API_KEYS",
            format!("bench:{}", hex::encode(Sha256::digest("the-key-of-the-bench"))),
        ),
        ("DOMICILE_APP_START_URL", format!("{nobody}/start")),
        ("DOMICILE_APP_RETURN_URLS", format!("{nobody}/return")),
        ("DOMICILE_APP_IDENTITY", "confirm".to_owned()),
    ];
    Ok(variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

#[cfg(test)]
mod tests {
    use domicile::settings::{Environment, Settings};

    use super::*;

    #[test]
    fn the_environment_is_complete_and_without_a_fault() {
        let addresses = Addresses::free().unwrap();
        assert!(addresses.public != addresses.app && addresses.app != addresses.ops);
        let url = "postgres://user:password@127.0.0.1:5432/x?sslmode=disable";
        let variables = environment(&addresses, url, Path::new("/tmp")).unwrap();
        let environment: Environment = variables.into_iter().collect();
        if let Err(faults) = Settings::from_environment(&environment) {
            panic!("{faults}");
        }
    }
}
