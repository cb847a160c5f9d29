//! For tests and the workshop crates: an egress that never leaves this machine.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::client::{Egress, Timeouts};
use crate::fence::Fence;
use crate::resolver::{Resolver, SystemResolver};
use crate::rule::Rule;

/// Time-outs for calls to this machine.
pub const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(30),
    total: None,
};

/// An egress that may talk to 127.0.0.0/8, `::1`, `localhost` and `*.localhost`, any port, http or https, and to nothing
/// else.
///
/// # Panics
///
/// If the machine has no certificate authorities.
#[expect(
    clippy::expect_used,
    reason = "a test on a machine without certificates has to stop here"
)]
pub fn loopback() -> Egress {
    let fence = Fence::builder()
        .allow("egress::testing::loopback", Rule::any_loopback())
        .build();
    Egress::new(Arc::new(fence), Arc::new(SystemResolver)).expect("the system's certificate authorities")
}

/// A resolver that knows what the test told it.
#[derive(Debug, Clone, Default)]
pub struct StaticResolver(HashMap<String, Vec<IpAddr>>);

impl StaticResolver {
    /// The same resolver with one more name.
    #[must_use]
    pub fn with(mut self, host: &str, addresses: &[IpAddr]) -> Self {
        self.0.insert(host.to_owned(), addresses.to_vec());
        self
    }
}

#[async_trait]
impl Resolver for StaticResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.0
            .get(host)
            .cloned()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"))
    }
}
