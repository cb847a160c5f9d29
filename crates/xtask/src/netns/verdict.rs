//! What the captures prove, and what in them should not be there.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::capture::Table;
use super::network::{EU, Side, US, ZOOM};
use super::packet::{Flow, TCP};

const ETHERTYPE_ARP: u16 = 0x0806;

/// What is expected to be called, and by what name a person knows it.
pub(crate) type Destinations = BTreeMap<SocketAddr, String>;

/// What one capture says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Packets from one region to the other, those of the controls aside.
    pub(crate) crossing: u64,
    /// Packets of the controls, which show that the capture sees what crosses.
    pub(crate) controls: u64,
    /// How many TCP connections were asked for, by where they led.
    pub(crate) connections: BTreeMap<SocketAddr, u64>,
    /// What should not be there.
    pub(crate) findings: Vec<String>,
}

/// Judges what the router saw: packets between a region and Zoom, and nothing else.
pub(crate) fn router(table: &Table, controls: &[Flow]) -> Verdict {
    judge(table, controls, |flow| {
        let sides = (side_of(flow.from.ip()), side_of(flow.to.ip()));
        match sides {
            (Some(from), Some(to)) if (from == ZOOM) != (to == ZOOM) && flow.protocol == TCP => Ok(()),
            _ => Err("passes the router"),
        }
    })
}

/// Judges what was seen in a region's namespace: connections within it and with Zoom, to these destinations alone.
pub(crate) fn region(table: &Table, side: Side, controls: &[Flow], expected: &Destinations) -> Verdict {
    let within = |ip: IpAddr| ip.is_loopback() || ip == IpAddr::V4(side.address());
    let mut verdict = judge(table, controls, |flow| {
        let known = |ip| within(ip) || ip == IpAddr::V4(ZOOM.address());
        if !known(flow.from.ip()) || !known(flow.to.ip()) {
            return Err("is with somebody unknown");
        }
        if flow.protocol == TCP {
            Ok(())
        } else {
            Err("is no TCP")
        }
    });
    for to in verdict.connections.keys().filter(|to| !expected.contains_key(to)) {
        verdict.findings.push(format!(
            "a connection was made to {to}, where nothing is expected"
        ));
    }
    verdict
}

fn judge(table: &Table, controls: &[Flow], allowed: impl Fn(&Flow) -> Result<(), &'static str>) -> Verdict {
    let mut verdict = Verdict::default();
    for (flow, seen) in &table.flows {
        if controls
            .iter()
            .any(|control| control == flow || control.back() == *flow)
        {
            verdict.controls += seen.packets;
            continue;
        }
        if is_chatter(flow) {
            continue;
        }
        let regions = [side_of(flow.from.ip()), side_of(flow.to.ip())];
        if regions == [Some(EU), Some(US)] || regions == [Some(US), Some(EU)] {
            verdict.crossing += seen.packets;
        }
        if let Err(reason) = allowed(flow) {
            verdict
                .findings
                .push(format!("{} packets: {flow} {reason}", seen.packets));
        }
        if seen.opening {
            *verdict.connections.entry(flow.to).or_default() += 1;
        }
    }
    for (ethertype, count) in &table.others {
        if *ethertype != ETHERTYPE_ARP {
            verdict.findings.push(format!(
                "{count} frames of type {ethertype:#06x} are no IP packets"
            ));
        }
    }
    if table.lost > 0 {
        verdict.findings.push(format!(
            "{} frames were lost: the capture is not whole",
            table.lost
        ));
    }
    verdict
}

/// What kernels say on a link by themselves: IPv6's neighbour discovery and multicast groups (RFC 4861, RFC 3810). No
/// router forwards it.
fn is_chatter(flow: &Flow) -> bool {
    match (flow.from.ip(), flow.to.ip()) {
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let link_local = |segment: u16| segment & 0xffc0 == 0xfe80;
            flow.protocol != TCP
                && (from.is_unspecified() || link_local(from.segments()[0]))
                && (to.segments()[0] == 0xff02 || link_local(to.segments()[0]))
        }
        _ => false,
    }
}

fn side_of(address: IpAddr) -> Option<Side> {
    let v4: Option<Ipv4Addr> = match address {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(v6) => v6.to_ipv4_mapped(),
    };
    v4.and_then(|v4| [EU, US, ZOOM].into_iter().find(|side| side.contains(v4)))
}

#[cfg(test)]
mod tests {
    use super::super::capture::Seen;
    use super::*;

    fn flow(from: &str, to: &str, protocol: u8) -> Flow {
        Flow {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            protocol,
        }
    }

    /// Both directions of each flow, three packets each.
    fn table(flows: &[Flow]) -> Table {
        let mut table = Table::default();
        for flow in flows {
            let seen = |opening| Seen { packets: 3, opening };
            table.flows.insert(*flow, seen(flow.protocol == TCP));
            table.flows.insert(flow.back(), seen(false));
        }
        table.others.insert(ETHERTYPE_ARP, 4);
        table
    }

    fn zoom() -> Flow {
        flow("10.77.1.2:40000", "10.77.3.2:4400", TCP)
    }

    fn control() -> Flow {
        flow("10.77.1.2:40001", "10.77.2.2:8500", TCP)
    }

    fn expected() -> Destinations {
        let named = ["10.77.3.2:4400", "127.0.0.1:5432"].map(|it| (it.parse().unwrap(), it.to_owned()));
        named.into()
    }

    #[test]
    fn what_is_with_zoom_or_within_is_well() {
        let chatter = flow("[fe80::1]:0", "[ff02::2]:0", 58);
        let verdict = router(&table(&[zoom(), control(), chatter]), &[control()]);
        assert_eq!((verdict.crossing, verdict.controls), (0, 6));
        assert_eq!(verdict.findings, [""; 0]);
        let own = flow("127.0.0.1:40002", "127.0.0.1:5432", TCP);
        let verdict = region(&table(&[zoom(), own, control()]), EU, &[control()], &expected());
        assert_eq!(verdict.findings, [""; 0]);
        assert_eq!(verdict.connections.values().sum::<u64>(), 2);
    }

    #[test]
    fn one_packet_between_the_regions_is_found() {
        for protocol in [TCP, 17, 1] {
            let crossing = flow("10.77.2.2:9", "10.77.1.2:40009", protocol);
            let mut seen = Table::default();
            seen.flows.insert(
                crossing,
                Seen {
                    packets: 1,
                    opening: false,
                },
            );
            for verdict in [
                router(&seen, &[control()]),
                region(&seen, EU, &[control()], &expected()),
            ] {
                assert_eq!((verdict.crossing, verdict.findings.len()), (1, 1), "{verdict:?}");
            }
        }
    }

    #[test]
    fn another_connection_than_the_control_is_no_control() {
        let mut other = control();
        other.from.set_port(40_002);
        let verdict = router(&table(&[control(), other]), &[control()]);
        assert_eq!((verdict.controls, verdict.crossing), (6, 6));
    }

    #[test]
    fn strangers_names_servers_and_unknown_ports_are_found() {
        for (stranger, reason) in [
            (flow("10.77.1.2:40003", "192.0.2.7:443", TCP), "somebody unknown"),
            (flow("10.77.1.2:40003", "10.77.1.1:22", TCP), "somebody unknown"),
            (flow("127.0.0.1:40003", "127.0.0.53:53", 17), "is no TCP"),
            (flow("[::1]:40003", "[::1]:25", TCP), "nothing is expected"),
            (
                flow("10.77.1.2:40003", "10.77.3.2:22", TCP),
                "nothing is expected",
            ),
            (
                flow("[2001:db8::1]:1", "[2001:db8::2]:2", TCP),
                "somebody unknown",
            ),
        ] {
            let verdict = region(&table(&[stranger]), EU, &[], &expected());
            let found = verdict.findings.join("\n");
            assert!(found.contains(reason), "{stranger}: {found}");
        }
        let passing = flow("10.77.1.2:40003", "192.0.2.7:443", TCP);
        assert_eq!(router(&table(&[passing]), &[]).findings.len(), 2);
    }

    #[test]
    fn a_capture_with_holes_proves_nothing() {
        let holes = Table {
            lost: 1,
            ..table(&[zoom()])
        };
        assert!(router(&holes, &[]).findings[0].contains("not whole"));
        let mut strange = table(&[zoom()]);
        strange.others.insert(0x88cc, 1);
        assert_eq!(router(&strange, &[]).findings.len(), 1);
    }
}
