//! Meeting ids in paths: a number, or a uuid encoded once or twice (platform: API).

/// Undoes percent-encoding until nothing is left to undo, at most twice, and says how often it did.
pub(crate) fn decoded(segment: &str) -> (String, u8) {
    let mut text = segment.to_owned();
    for times in 0..2 {
        match decode_once(&text) {
            Some(next) => text = next,
            None => return (text, times),
        }
    }
    (text, 2)
}

/// Zoom finds a uuid that begins with `/` or holds `//` only if it was encoded twice.
pub(crate) fn is_found(uuid: &str, times_encoded: u8) -> bool {
    times_encoded == 2 || !(uuid.starts_with('/') || uuid.contains("//"))
}

/// Nothing where there is nothing to decode.
fn decode_once(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let mut found = false;
    while at < bytes.len() {
        let pair = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        if let Some(byte) = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            out.push(byte);
            at += 3;
            found = true;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    found.then(|| String::from_utf8(out).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(text: &str) -> String {
        text.bytes().fold(String::new(), |mut text, byte| {
            use std::fmt::Write as _;
            let _ = write!(text, "%{byte:02X}");
            text
        })
    }

    proptest! {
        #[test]
        fn a_uuid_comes_back_however_often_it_was_encoded(uuid in "[A-Za-z0-9+/]{22}==") {
            prop_assert_eq!(decoded(&uuid), (uuid.clone(), 0));
            prop_assert_eq!(decoded(&encoded(&uuid)), (uuid.clone(), 1));
            prop_assert_eq!(decoded(&encoded(&encoded(&uuid))), (uuid.clone(), 2));
        }

        #[test]
        fn no_text_is_a_panic(text in "\\PC*") {
            decoded(&text);
        }
    }

    #[test]
    fn slashes_at_the_start_or_doubled_need_two_encodings() {
        assert!(!is_found("/abc==", 1));
        assert!(!is_found("a//b==", 1));
        assert!(is_found("/abc==", 2));
        assert!(is_found("a/b==", 1));
    }
}
