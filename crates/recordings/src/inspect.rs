//! Whether a body is the file that Zoom announced: first bytes and size.
//!
//! Zoom serves some refusals as a page of HTML with status 200, so the status alone proves nothing.

use crate::format::Format;

/// How many bytes of a body are looked at; fewer only where the body is shorter.
pub(crate) const HEAD_BYTES: usize = 512;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Why a body is not the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// A page of HTML: mostly "only the host can download this recording".
    Html,
    /// Nothing at all, although the file has a size.
    Empty,
    /// The first bytes are not those of the format.
    WrongContent,
    /// More or fewer bytes than Zoom announced.
    WrongSize,
}

/// Judges the first bytes: [`HEAD_BYTES`] of them, or the whole body if it is shorter.
pub(crate) fn check_head(format: Format, head: &[u8], announced: Option<u64>) -> Result<(), Rejection> {
    let text = skip_blank(head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head));
    if is_html(text) {
        return Err(Rejection::Html);
    }
    if head.is_empty() && announced != Some(0) {
        return Err(Rejection::Empty);
    }
    let fits = match format {
        Format::Mpeg4 => head.get(4..8) == Some(b"ftyp"),
        Format::WebVtt => is_webvtt(head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head)),
        Format::Json => matches!(text.first(), Some(b'{' | b'[')),
        Format::Text => !head.contains(&0),
        Format::Jpeg => head.starts_with(b"\xFF\xD8\xFF"),
        Format::Png => head.starts_with(b"\x89PNG\r\n\x1A\n"),
        Format::Unknown => true,
    };
    fits.then_some(()).ok_or(Rejection::WrongContent)
}

/// Judges a count of bytes against the announced one. While more may come, only too many is wrong.
pub(crate) fn check_size(announced: Option<u64>, counted: u64, complete: bool) -> Result<(), Rejection> {
    match announced {
        Some(size) if counted > size || (complete && counted != size) => Err(Rejection::WrongSize),
        _ => Ok(()),
    }
}

/// True for the media types of web pages.
pub(crate) fn is_html_type(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("text/html") || essence.eq_ignore_ascii_case("application/xhtml+xml")
}

fn is_html(text: &[u8]) -> bool {
    [&b"<!doctype html"[..], b"<html", b"<head", b"<body"]
        .iter()
        .any(|tag| {
            text.get(..tag.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(tag))
        })
}

// The signature stands alone: WEBVTTX is something else.
fn is_webvtt(text: &[u8]) -> bool {
    text.strip_prefix(b"WEBVTT")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b' ' | b'\t' | b'\n' | b'\r')))
}

fn skip_blank(text: &[u8]) -> &[u8] {
    let start = text
        .iter()
        .position(|byte| !byte.is_ascii_whitespace())
        .unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORMATS: [Format; 7] = [
        Format::Mpeg4,
        Format::WebVtt,
        Format::Json,
        Format::Text,
        Format::Jpeg,
        Format::Png,
        Format::Unknown,
    ];

    fn good(format: Format) -> &'static [u8] {
        match format {
            Format::Mpeg4 => b"\0\0\0\x18ftypisom",
            Format::WebVtt => b"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nhi",
            Format::Json => b" {\"timeline\":[]}",
            Format::Text => b"09:00:01 From A to Everyone: <html is a language>",
            Format::Jpeg => b"\xFF\xD8\xFF\xE0\0\x10JFIF",
            Format::Png => b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR",
            Format::Unknown => b"\0\x01\x02",
        }
    }

    #[test]
    fn each_format_knows_its_own_first_bytes() {
        for format in FORMATS {
            assert_eq!(check_head(format, good(format), None), Ok(()), "{format:?}");
        }
    }

    #[test]
    fn a_format_refuses_the_first_bytes_of_another() {
        for format in [
            Format::Mpeg4,
            Format::WebVtt,
            Format::Json,
            Format::Jpeg,
            Format::Png,
        ] {
            for other in FORMATS.into_iter().filter(|other| *other != format) {
                assert_eq!(
                    check_head(format, good(other), None),
                    Err(Rejection::WrongContent),
                    "{format:?} {other:?}"
                );
            }
        }
        assert_eq!(
            check_head(Format::Text, good(Format::Mpeg4), None),
            Err(Rejection::WrongContent)
        );
    }

    #[test]
    fn a_byte_order_mark_is_no_fault() {
        for format in [Format::WebVtt, Format::Json, Format::Text] {
            let marked = [BYTE_ORDER_MARK, good(format)].concat();
            assert_eq!(check_head(format, &marked, None), Ok(()), "{format:?}");
        }
    }

    #[test]
    fn a_page_is_known_whatever_file_was_wanted() {
        for page in [
            "<!DOCTYPE html><html>",
            "\r\n  <!doctype HTML>",
            "<HTML lang=en>",
            "\u{feff}<html>",
        ] {
            for format in FORMATS {
                assert_eq!(check_head(format, page.as_bytes(), None), Err(Rejection::Html));
            }
        }
        assert!(is_html_type("text/html; charset=utf-8") && is_html_type("TEXT/HTML"));
        assert!(!is_html_type("video/mp4") && !is_html_type(""));
    }

    #[test]
    fn nothing_is_a_file_only_where_it_was_announced() {
        assert_eq!(check_head(Format::Text, b"", Some(0)), Ok(()));
        assert_eq!(check_head(Format::Text, b"", None), Err(Rejection::Empty));
        assert_eq!(check_head(Format::Unknown, b"", Some(3)), Err(Rejection::Empty));
        assert_eq!(
            check_head(Format::Mpeg4, b"", Some(0)),
            Err(Rejection::WrongContent)
        );
    }

    #[test]
    fn a_webvtt_signature_stands_alone() {
        assert_eq!(check_head(Format::WebVtt, b"WEBVTT", None), Ok(()));
        assert_eq!(
            check_head(Format::WebVtt, b"WEBVTTX", None),
            Err(Rejection::WrongContent)
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_follows_the_signature_does_not_matter(
            tail in proptest::collection::vec(1_u8.., 0..64),
            any in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            for format in FORMATS {
                let _ = check_head(format, &any, None);
                let whole = [good(format), &tail].concat();
                prop_assert_eq!(check_head(format, &whole, None), Ok(()), "{:?}", format);
            }
        }

        #[test]
        fn blanks_and_case_never_hide_a_page(blank in "[ \t\r\n]{0,40}", upper: bool, rest in "\\PC{0,40}") {
            let tag = if upper { "<!DOCTYPE HTML>" } else { "<!doctype html>" };
            let page = format!("{blank}{tag}{rest}");
            for format in FORMATS {
                prop_assert_eq!(check_head(format, page.as_bytes(), None), Err(Rejection::Html));
            }
        }

        #[test]
        fn a_size_is_right_only_when_it_is_the_announced_one(announced: Option<u32>, counted: u32) {
            let announced = announced.map(u64::from);
            let counted = u64::from(counted);
            let whole = check_size(announced, counted, true).is_ok();
            prop_assert_eq!(whole, announced.is_none_or(|size| size == counted));
            let so_far = check_size(announced, counted, false).is_ok();
            prop_assert_eq!(so_far, announced.is_none_or(|size| counted <= size));
        }
    }
}
