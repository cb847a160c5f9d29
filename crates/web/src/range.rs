//! Byte ranges (RFC 9110 section 14): one range of one file, as players and resuming downloads ask for.

use std::ops::Range;

/// The bytes of a file from `first` to `last`, both included, both below its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    first: u64,
    last: u64,
}

/// What a `Range` header asks of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requested {
    /// The whole file, status 200: no header, or one that RFC 9110 section 14.2 tells us to ignore. Several ranges at
    /// once are such a one, because a server need not serve them and each costs a pass over the file.
    Whole,
    /// A part, status 206.
    Part(ByteRange),
    /// Nothing of the file, status 416 with [`unsatisfied_content_range`].
    Unsatisfiable,
}

impl ByteRange {
    /// The first byte, counted from 0.
    pub fn first(self) -> u64 {
        self.first
    }

    /// The last byte, included.
    pub fn last(self) -> u64 {
        self.last
    }

    /// How many bytes; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a range holds at least one byte")]
    pub fn len(self) -> u64 {
        self.last - self.first + 1
    }

    /// The same with an end that is not included.
    pub fn half_open(self) -> Range<u64> {
        self.first..self.last + 1
    }

    /// The value of `Content-Range` for a file of this size.
    pub fn content_range(self, size_bytes: u64) -> String {
        format!("bytes {}-{}/{size_bytes}", self.first, self.last)
    }
}

/// The value of `Content-Range` in an answer 416.
pub fn unsatisfied_content_range(size_bytes: u64) -> String {
    format!("bytes */{size_bytes}")
}

/// Reads a `Range` header for a file of this size.
pub fn parse(header: Option<&str>, size_bytes: u64) -> Requested {
    header.map_or(Requested::Whole, |header| {
        requested(header, size_bytes).unwrap_or(Requested::Whole)
    })
}

fn requested(header: &str, size_bytes: u64) -> Option<Requested> {
    let (unit, set) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    if first.is_empty() {
        let suffix = number(last)?;
        let first = size_bytes.saturating_sub(suffix);
        return Some(part(first, size_bytes.checked_sub(1)));
    }
    let first = number(first)?;
    let last = match last {
        "" => u64::MAX,
        last => number(last)?,
    };
    if first > last {
        return None;
    }
    Some(part(first, size_bytes.checked_sub(1).map(|end| end.min(last))))
}

fn part(first: u64, last: Option<u64>) -> Requested {
    match last {
        Some(last) if first <= last => Requested::Part(ByteRange { first, last }),
        _ => Requested::Unsatisfiable,
    }
}

// More digits than a u64 holds are merely a very large position.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(first: u64, last: u64) -> Requested {
        Requested::Part(ByteRange { first, last })
    }

    #[test]
    fn the_forms_of_rfc_9110_are_read() {
        for (header, expected) in [
            ("bytes=0-0", part(0, 0)),
            ("bytes=0-99", part(0, 99)),
            ("bytes=10-", part(10, 99)),
            ("bytes=90-1000", part(90, 99)),
            ("bytes=90-99999999999999999999999", part(90, 99)),
            ("bytes=-1", part(99, 99)),
            ("bytes=-1000", part(0, 99)),
            ("Bytes= 5-6", part(5, 6)),
            ("bytes=100-", Requested::Unsatisfiable),
            ("bytes=99999999999999999999999-", Requested::Unsatisfiable),
            ("bytes=-0", Requested::Unsatisfiable),
        ] {
            assert_eq!(parse(Some(header), 100), expected, "{header}");
        }
    }

    #[test]
    fn what_is_no_single_range_of_bytes_is_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-4",
            "bytes=+1-2",
            "bytes=1-2,4-5",
            "items=0-1",
            "bytes=1 - 2",
        ] {
            assert_eq!(parse(Some(header), 100), Requested::Whole, "{header}");
        }
        assert_eq!(parse(None, 100), Requested::Whole);
    }

    #[test]
    fn an_empty_file_has_no_part() {
        for header in ["bytes=0-", "bytes=0-0", "bytes=-5"] {
            assert_eq!(parse(Some(header), 0), Requested::Unsatisfiable, "{header}");
        }
    }

    #[test]
    fn the_answers_header_counts_from_nought_and_names_the_size() {
        let Requested::Part(range) = parse(Some("bytes=10-19"), 100) else {
            panic!("a part")
        };
        assert_eq!(range.content_range(100), "bytes 10-19/100");
        assert_eq!((range.len(), range.half_open()), (10, 10..20));
        assert_eq!(unsatisfied_content_range(100), "bytes */100");
    }

    proptest! {
        #[test]
        fn a_part_always_lies_within_the_file(header in "bytes=[0-9]{0,21}-[0-9]{0,21}", size in any::<u64>()) {
            if let Requested::Part(range) = parse(Some(&header), size) {
                prop_assert!(range.first() <= range.last() && range.last() < size);
                prop_assert!(range.len() >= 1);
            }
        }

        #[test]
        fn no_header_panics(header in "\\PC{0,40}", size in any::<u64>()) {
            let _ = parse(Some(&header), size);
        }
    }
}
