//! From names to the addresses that the fence lets through.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address::is_localhost_name;
use crate::fence::{Fence, NamedBy};

/// Finds the addresses of a name.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// All addresses of the name, in the order in which they are to be tried.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0))
            .await?
            .map(|address| address.ip())
            .collect())
    }
}

/// Stands between the HTTP library and the resolver: what comes out has passed the fence, so a name that changes its
/// address between check and connection gains nothing.
pub(crate) struct FencedResolver {
    pub(crate) fence: Arc<Fence>,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) named_by: NamedBy,
}

impl Resolve for FencedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (fence, resolver, named_by) = (self.fence.clone(), self.resolver.clone(), self.named_by);
        Box::pin(async move {
            let host = name.as_str().to_ascii_lowercase();
            let found = if is_localhost_name(&host) {
                // RFC 6761, section 6.3: these names never go to the DNS.
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            } else {
                resolver.resolve(&host).await?
            };
            let allowed = fence.filter(&host, found, named_by)?;
            if allowed.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into());
            }
            Ok(Box::new(allowed.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}
