//! When a server's certificate ends, read from its DER form (RFC 5280 section 4.1; X.690).

use chrono::{DateTime, NaiveDateTime, Utc};

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of the certificate's validity; `None` for bytes that are no certificate.
pub(crate) fn not_after(der: &[u8]) -> Option<DateTime<Utc>> {
    let (certificate, _) = expect(SEQUENCE, der)?;
    let (signed, _) = expect(SEQUENCE, certificate)?;
    let (first, after_first) = element(signed)?;
    // The version stands there unless it is the first one; then come serial number, algorithm and issuer.
    let mut rest = if first.tag == VERSION { after_first } else { signed };
    for _ in 0..3 {
        rest = element(rest)?.1;
    }
    let (validity, _) = expect(SEQUENCE, rest)?;
    let (_, after_begin) = element(validity)?;
    let (end, _) = element(after_begin)?;
    let text = std::str::from_utf8(end.content).ok()?;
    let text = match end.tag {
        // Two digits of the year: 50 to 99 are of the last century.
        UTC_TIME => format!("{}{text}", if text.get(..2)? < "50" { "20" } else { "19" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ")
        .ok()
        .map(|end| end.and_utc())
}

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
}

fn expect(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, rest) = element(bytes)?;
    (found.tag == tag).then_some((found.content, rest))
}

/// The first element, and what follows it.
fn element(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    let mut length = usize::from(*first);
    if *first > 0x80 {
        let digits = usize::from(first & 0x7f);
        if digits > 4 {
            return None;
        }
        let (number, after) = rest.split_at_checked(digits)?;
        length = number
            .iter()
            .fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = after;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((Element { tag: *tag, content }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_forms() {
        for (year, month, day) in [(2031, 5, 17), (2055, 1, 2)] {
            let mut params = CertificateParams::new(vec!["zoom.eu.example.com".to_owned()]).unwrap();
            params.not_after = date_time_ymd(year, month, day);
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let expected = format!("{year}-{month:02}-{day:02}T00:00:00Z");
            assert_eq!(not_after(certificate.der()), Some(expected.parse().unwrap()));
        }
    }

    #[test]
    fn other_bytes_have_no_end() {
        for bytes in [
            [].as_slice(),
            b"certificate",
            &[0x30, 0x03, 0x30, 0x01, 0x02],
            &[0x30, 0x85, 1, 1, 1, 1, 1],
        ] {
            assert_eq!(not_after(bytes), None);
        }
    }
}
