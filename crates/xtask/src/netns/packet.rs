//! Reading the heads of captured frames.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The numbers of IANA's registry of protocols.
pub(crate) const TCP: u8 = 6;
const UDP: u8 = 17;
const UDP_LITE: u8 = 136;
const SCTP: u8 = 132;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// So many bytes of a frame say all that is read here: Ethernet, the longest IPv4 head, the head of TCP.
pub(crate) const HEAD_BYTES: usize = 14 + 60 + 20;

/// Who talks to whom by which protocol. Ports are 0 where the protocol has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flow {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) protocol: u8,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// An IP packet.
    Ip {
        flow: Flow,
        /// True for the packet by which a TCP connection is asked for.
        opening: bool,
    },
    /// Something else, by its `EtherType`; 0 where there is none.
    Other(u16),
}

impl Flow {
    /// The same, seen from the other end.
    pub(crate) fn back(self) -> Self {
        Self {
            from: self.to,
            to: self.from,
            ..self
        }
    }
}

impl std::fmt::Display for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { from, to, protocol } = self;
        match *protocol {
            TCP => write!(f, "TCP {from} to {to}"),
            UDP => write!(f, "UDP {from} to {to}"),
            _ => write!(f, "IP protocol {protocol}, {} to {}", from.ip(), to.ip()),
        }
    }
}

/// Reads an Ethernet frame, of which only the head need be there.
pub(crate) fn read(frame: &[u8]) -> Frame {
    let ethertype = word(frame, 12).unwrap_or(0);
    let ip = match ethertype {
        ETHERTYPE_IPV4 => ipv4(frame.get(14..).unwrap_or_default()),
        ETHERTYPE_IPV6 => ipv6(frame.get(14..).unwrap_or_default()),
        _ => None,
    };
    ip.unwrap_or(Frame::Other(ethertype))
}

fn ipv4(packet: &[u8]) -> Option<Frame> {
    let head = usize::from(packet.first()? & 0x0f) * 4;
    let from = Ipv4Addr::from(packet.get(12..16)?.first_chunk::<4>().copied()?);
    let to = Ipv4Addr::from(packet.get(16..20)?.first_chunk::<4>().copied()?);
    // Only the first fragment, whose offset of 13 bits is 0, has the ports.
    let first = word(packet, 6)?.trailing_zeros() >= 13;
    let payload = if first { packet.get(head..)? } else { &[] };
    Some(ip(from.into(), to.into(), *packet.get(9)?, payload))
}

fn ipv6(packet: &[u8]) -> Option<Frame> {
    let from = Ipv6Addr::from(packet.get(8..24)?.first_chunk::<16>().copied()?);
    let to = Ipv6Addr::from(packet.get(24..40)?.first_chunk::<16>().copied()?);
    Some(ip(from.into(), to.into(), *packet.get(6)?, packet.get(40..)?))
}

fn ip(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Frame {
    let with_ports = matches!(protocol, TCP | UDP | UDP_LITE | SCTP);
    let port = |at| word(payload, at).filter(|_| with_ports).unwrap_or(0);
    let flow = Flow {
        from: SocketAddr::new(from, port(0)),
        to: SocketAddr::new(to, port(2)),
        protocol,
    };
    // SYN without ACK (RFC 9293, section 3.1).
    let opening = protocol == TCP && payload.get(13).is_some_and(|flags| flags & 0x12 == 0x02);
    Frame::Ip { flow, opening }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk::<2>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend(ethertype.to_be_bytes());
        frame.extend(payload);
        frame
    }

    /// An IPv4 head with options of four bytes, and what follows.
    fn v4(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x46, 0, 0, 0, 0, 0];
        packet.extend(fragment.to_be_bytes());
        packet.extend([64, protocol, 0, 0, 10, 77, 1, 2, 10, 77, 2, 2, 1, 1, 1, 1]);
        packet.extend(payload);
        ethernet(ETHERTYPE_IPV4, &packet)
    }

    fn tcp(flags: u8) -> [u8; 20] {
        let mut head = [0; 20];
        head[..4].copy_from_slice(&[0x9c, 0x40, 0x21, 0x34]);
        head[13] = flags;
        head
    }

    fn flow(from: &str, to: &str, protocol: u8) -> Flow {
        Flow {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            protocol,
        }
    }

    #[test]
    fn tcp_over_ipv4_is_read_with_ports_and_its_opening() {
        let there = flow("10.77.1.2:40000", "10.77.2.2:8500", TCP);
        for (flags, opening) in [
            (0x02, true),
            (0xc2, true),
            (0x12, false),
            (0x10, false),
            (0x04, false),
        ] {
            let expected = Frame::Ip { flow: there, opening };
            assert_eq!(read(&v4(TCP, 0x4000, &tcp(flags))), expected, "{flags:#x}");
        }
        assert_eq!(there.back(), flow("10.77.2.2:8500", "10.77.1.2:40000", TCP));
    }

    #[test]
    fn what_has_no_ports_has_none() {
        let none = |protocol| Frame::Ip {
            flow: flow("10.77.1.2:0", "10.77.2.2:0", protocol),
            opening: false,
        };
        assert_eq!(read(&v4(1, 0, &tcp(0x02))), none(1));
        // A later fragment, and a packet that ends with its head.
        assert_eq!(read(&v4(TCP, 0x0010, &tcp(0x02))), none(TCP));
        assert_eq!(read(&v4(UDP, 0, &[])), none(UDP));
    }

    #[test]
    fn ipv6_is_read() {
        let mut packet = vec![0x60, 0, 0, 0, 0, 20, TCP, 64];
        packet.extend("fe80::1".parse::<Ipv6Addr>().unwrap().octets());
        packet.extend("::1".parse::<Ipv6Addr>().unwrap().octets());
        packet.extend(tcp(0x02));
        let expected = Frame::Ip {
            flow: flow("[fe80::1]:40000", "[::1]:8500", TCP),
            opening: true,
        };
        assert_eq!(read(&ethernet(ETHERTYPE_IPV6, &packet)), expected);
    }

    #[test]
    fn other_frames_and_cut_ones_are_not_taken_for_packets() {
        assert_eq!(read(&ethernet(0x0806, &[0; 28])), Frame::Other(0x0806));
        let whole = v4(TCP, 0, &tcp(0x02));
        assert_eq!(read(&whole[..30]), Frame::Other(ETHERTYPE_IPV4));
        assert_eq!(read(&[]), Frame::Other(0));
    }

    #[test]
    fn the_head_is_enough() {
        let mut frame = v4(TCP, 0, &tcp(0x02));
        frame.truncate(HEAD_BYTES);
        assert!(matches!(read(&frame), Frame::Ip { opening: true, .. }));
    }
}
