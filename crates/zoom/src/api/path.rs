use domicile_kernel::MeetingUuid;

/// A meeting's uuid as one segment of a path (Zoom: `GET /meetings/{meetingId}/recordings`): percent-encoded, and
/// encoded twice when it begins with `/` or holds `//`, because Zoom's router decodes once too often.
pub fn encode_meeting_uuid(uuid: &MeetingUuid) -> String {
    let once = encode_segment(uuid.as_str());
    if uuid.as_str().starts_with('/') || uuid.as_str().contains("//") {
        encode_segment(&once)
    } else {
        once
    }
}

/// Percent-encodes every byte that is not unreserved (RFC 3986 section 2.3). `.` and `..` are encoded twice, because a
/// URL parser takes even `%2E%2E` for a step up.
pub(crate) fn encode_segment(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if matches!(text, "." | "..") {
        return text.replace('.', "%252E");
    }
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(byte >> 4)]));
            encoded.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use url::Url;

    fn encode(uuid: &str) -> String {
        encode_meeting_uuid(&MeetingUuid::new(uuid))
    }

    #[test]
    fn a_uuid_is_encoded_once_or_where_zoom_needs_it_twice() {
        assert_eq!(encode("ajXp112QmuoKj4854875=="), "ajXp112QmuoKj4854875%3D%3D");
        assert_eq!(encode("aj/Xp+12=="), "aj%2FXp%2B12%3D%3D");
        assert_eq!(encode("/ajXp=="), "%252FajXp%253D%253D");
        assert_eq!(encode("aj//Xp=="), "aj%252F%252FXp%253D%253D");
    }

    proptest! {
        #[test]
        fn any_text_stays_one_segment_and_can_be_read_back(text in "\\PC{1,40}|[./]{1,4}|[A-Za-z0-9+/=]{1,24}") {
            let encoded = encode(&text);
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
            let url = Url::parse(&format!("https://api.zoom.us/v2/meetings/{encoded}/recordings")).unwrap();
            let segments: Vec<_> = url.path_segments().unwrap().collect();
            prop_assert_eq!(segments, ["v2", "meetings", &encoded, "recordings"]);
            let decode = |text: &str| {
                url::form_urlencoded::parse(format!("x={}", text.replace('+', "%2B")).as_bytes())
                    .next()
                    .map(|(_, value)| value.into_owned())
                    .unwrap_or_default()
            };
            let once = decode(&encoded);
            prop_assert!(once == text || decode(&once) == text);
        }
    }
}
