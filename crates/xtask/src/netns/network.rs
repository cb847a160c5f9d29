//! Links between namespaces: a router with one leg into each, over which all of them reach each other.

use std::net::Ipv4Addr;
use std::process::Stdio;

use tokio::process::Command;

use super::space::Space;
use crate::run::{Failure, Outcome};

/// One side of the router: a network of its own, 10.77.`number`.0/24.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Side {
    pub(crate) name: &'static str,
    number: u8,
}

/// The two regions and the simulated Zoom.
pub(crate) const EU: Side = Side::new("eu", 1);
pub(crate) const US: Side = Side::new("us", 2);
pub(crate) const ZOOM: Side = Side::new("zoom", 3);

impl Side {
    const fn new(name: &'static str, number: u8) -> Self {
        Self { name, number }
    }

    /// The one address of the side's namespace, loopback aside.
    pub(crate) const fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.number, 2)
    }

    /// The router's address on this side.
    const fn router(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.number, 1)
    }

    /// True for all addresses of the side's network.
    pub(crate) fn contains(self, address: Ipv4Addr) -> bool {
        address.octets()[..3] == self.address().octets()[..3]
    }
}

/// Joins the sides' namespaces by the router's. Nothing is filtered: every side reaches every other.
pub(crate) async fn join(router: &Space, sides: [(Side, &Space); 3]) -> Outcome {
    let legs = sides.map(|(side, space)| (side, space.thread_id.to_string()));
    let legs = async move {
        ip("link set lo up").await?;
        for (side, thread) in legs {
            let (name, address) = (side.name, side.router());
            ip(&format!(
                "link add {name} type veth peer name uplink netns {thread}"
            ))
            .await?;
            ip(&format!("address add {address}/24 dev {name}")).await?;
            ip(&format!("link set {name} up")).await?;
        }
        // The kernel shows each namespace its own value.
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
        Ok(())
    };
    router.run(legs).await?;
    for (side, space) in sides {
        let uplink = async move {
            ip("link set lo up").await?;
            ip(&format!("address add {}/24 dev uplink", side.address())).await?;
            ip("link set uplink up").await?;
            ip(&format!("route add default via {}", side.router())).await
        };
        space.run(uplink).await?;
    }
    Ok(())
}

/// Says why this machine cannot link namespaces, if so.
pub(crate) async fn probe(space: &Space) -> Outcome {
    space
        .run(async { ip("link add left type veth peer name right").await })
        .await
}

async fn ip(arguments: &str) -> Outcome {
    let mut command = Command::new("ip");
    command
        .args(arguments.split(' '))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure(format!("`ip {arguments}` failed: {}", said.trim())))
}
