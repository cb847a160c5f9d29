//! Which addresses a connection may be made to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Host;

/// What kind of place an address is, by the IANA special-purpose registries (RFC 6890 and its successors).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// Anywhere on the public Internet.
    Public,
    /// This machine: 127.0.0.0/8 and `::1`.
    Loopback,
    /// A private network: RFC 1918, unique local IPv6 (RFC 4193), carrier-grade NAT (RFC 6598).
    Private,
    /// Nothing that is ever called: link-local, cloud metadata, multicast, unspecified, reserved, documentation, and
    /// tunnels into any of the non-public kinds.
    Forbidden,
}

/// Metadata services of clouds that lie outside the link-local range: AWS over IPv6, Google over IPv6.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254),
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254),
];

/// The same over IPv4: Alibaba Cloud and Azure (the "wire server"). Oracle's lies in 192.0.0.0/24.
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];

/// The class of an address.
pub fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

/// True for `localhost`, names under `.localhost` (RFC 6761, section 6.3) and loopback addresses.
pub fn is_loopback_host(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => is_localhost_name(name),
        Host::Ipv4(v4) => classify_v4(*v4) == AddressClass::Loopback,
        Host::Ipv6(v6) => classify_v6(*v6) == AddressClass::Loopback,
    }
}

/// True for `localhost` and names under `.localhost`.
pub(crate) fn is_localhost_name(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    let [a, b, c, _] = address.octets();
    if METADATA_V4.contains(&address) {
        return AddressClass::Forbidden;
    }
    match (a, b, c) {
        (127, _, _) => AddressClass::Loopback,
        (10, _, _) | (192, 168, _) | (172, 16..=31, _) | (100, 64..=127, _) => AddressClass::Private,
        // This network, link-local, IETF protocols, three documentation nets, 6to4 relays, benchmarks, multicast on.
        (0 | 224.., _, _)
        | (169, 254, _)
        | (192, 0, 0 | 2)
        | (192, 88, 99)
        | (198, 18 | 19, _)
        | (198, 51, 100)
        | (203, 0, 113) => AddressClass::Forbidden,
        _ => AddressClass::Public,
    }
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    if METADATA_V6.contains(&address) {
        return AddressClass::Forbidden;
    }
    if address == Ipv6Addr::LOCALHOST {
        return AddressClass::Loopback;
    }
    // The operating system connects to a mapped address as IPv4, so its class is the class of that.
    if let Some(v4) = address.to_ipv4_mapped() {
        return classify_v4(v4);
    }
    if let Some(v4) = tunnelled(address) {
        return match classify_v4(v4) {
            AddressClass::Public => AddressClass::Public,
            _ => AddressClass::Forbidden,
        };
    }
    let [first, second, ..] = address.segments();
    match (first, second) {
        (0xfc00..=0xfdff, _) => AddressClass::Private,
        // Teredo and other IETF protocols (2001::/23), two documentation nets.
        (0x2001, 0..=0x01ff | 0x0db8) | (0x3fff, 0..=0x0fff) => AddressClass::Forbidden,
        // Global unicast; all the rest is link-local, site-local, multicast or not assigned.
        (0x2000..=0x3fff, _) => AddressClass::Public,
        _ => AddressClass::Forbidden,
    }
}

/// The IPv4 address to which a translator or tunnel would carry the packets: 6to4 (RFC 3056), NAT64's well-known prefix
/// (RFC 6052), ISATAP (RFC 5214).
fn tunnelled(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    if s[0] == 0x2002 {
        return Some(join(s[1], s[2]));
    }
    let nat64 = s[..6] == [0x0064, 0xff9b, 0, 0, 0, 0];
    let isatap = s[4] & 0xfdff == 0 && s[5] == 0x5efe;
    (nat64 || isatap).then(|| join(s[6], s[7]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn class(text: &str) -> AddressClass {
        classify(text.parse().unwrap())
    }

    #[test]
    fn the_special_networks_have_their_class() {
        for public in [
            "1.1.1.1",
            "170.114.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::808:808",
            "2002:0808:0808::1",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(class(public), AddressClass::Public, "{public}");
        }
        for private in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "fd12::1",
            "fc00::1",
            "::ffff:10.1.2.3",
        ] {
            assert_eq!(class(private), AddressClass::Private, "{private}");
        }
        for loopback in ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(class(loopback), AddressClass::Loopback, "{loopback}");
        }
        for forbidden in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::2",
            "::10.0.0.1",
            "::ffff:0:10.0.0.1",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "64:ff9b:1::a00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:0a00:0001::1",
            "2002:7f00:0001::1",
            "2606:4700::5efe:a00:1",
            "2606:4700::200:5efe:a00:1",
            "4000::1",
        ] {
            assert_eq!(class(forbidden), AddressClass::Forbidden, "{forbidden}");
        }
    }

    fn not_public() -> impl Strategy<Value = Ipv4Addr> {
        prop_oneof![
            any::<[u8; 3]>().prop_map(|[b, c, d]| Ipv4Addr::new(10, b, c, d)),
            any::<[u8; 3]>().prop_map(|[b, c, d]| Ipv4Addr::new(127, b, c, d)),
            any::<[u8; 3]>().prop_map(|[b, c, d]| Ipv4Addr::new(172, 16 + b % 16, c, d)),
            any::<[u8; 3]>().prop_map(|[b, c, d]| Ipv4Addr::new(100, 64 + b % 64, c, d)),
            any::<[u8; 2]>().prop_map(|[c, d]| Ipv4Addr::new(192, 168, c, d)),
            any::<[u8; 2]>().prop_map(|[c, d]| Ipv4Addr::new(169, 254, c, d)),
            any::<[u8; 4]>().prop_map(|[a, b, c, d]| Ipv4Addr::new(224 + a % 32, b, c, d)),
            any::<[u8; 3]>().prop_map(|[b, c, d]| Ipv4Addr::new(0, b, c, d)),
        ]
    }

    proptest! {
        #[test]
        fn no_ipv6_form_of_a_non_public_address_is_public(v4 in not_public(), tail in any::<u16>()) {
            prop_assert_ne!(classify(v4.into()), AddressClass::Public);
            let [a, b, c, d] = v4.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let forms = [
                v4.to_ipv6_mapped(),
                v4.to_ipv6_compatible(),
                Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, tail, 0, 0, 0, tail),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 1, tail, 0, 0, high, low),
                Ipv6Addr::new(0x2606, 0x4700, tail, 0, 0, 0x5efe, high, low),
                Ipv6Addr::new(0x2001, 0, tail, tail, 0, 0, !high, !low),
            ];
            for form in forms {
                prop_assert_ne!(classify(form.into()), AddressClass::Public, "{}", form);
            }
        }

        #[test]
        fn only_global_unicast_or_translated_addresses_are_public(bits in any::<u128>()) {
            let address = Ipv6Addr::from(bits);
            if classify(address.into()) == AddressClass::Public {
                let first = address.segments()[0];
                prop_assert!((0x2000..=0x3fff).contains(&first) || first == 0x64 || address.to_ipv4_mapped().is_some());
            }
        }
    }
}
