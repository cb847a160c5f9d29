//! As much of HTTP/1.1 as is needed to tell one answer from the next (RFC 9112).

use std::ops::RangeInclusive;

/// The status codes that an answer may have.
const STATUS_CODES: RangeInclusive<u16> = 200..=599;

/// What the head of an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// The length of head and body together, in bytes.
    pub length: usize,
    /// The connection takes another request.
    pub keep_alive: bool,
}

/// An answer that this parser does not understand; the connection is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotUnderstood;

/// Reads the head at the beginning of what arrived. `None`: it is not complete yet.
pub fn parse_head(bytes: &[u8]) -> Result<Option<Head>, NotUnderstood> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| NotUnderstood)?;
    let mut lines = head.split("\r\n");
    let status = status(lines.next().unwrap_or_default())?;
    let (mut body, mut keep_alive) = (None, true);
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(NotUnderstood)?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            body = Some(value.parse::<usize>().map_err(|_| NotUnderstood)?);
        } else if name.eq_ignore_ascii_case("connection") {
            keep_alive = !value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(NotUnderstood);
        }
    }
    let body = match (body, status) {
        (Some(length), _) => length,
        (None, 204 | 304) => 0,
        // The body would end with the connection.
        (None, _) => return Err(NotUnderstood),
    };
    Ok(Some(Head {
        status,
        length: (end + 4).checked_add(body).ok_or(NotUnderstood)?,
        keep_alive,
    }))
}

fn status(line: &str) -> Result<u16, NotUnderstood> {
    let code = line.strip_prefix("HTTP/1.1 ").ok_or(NotUnderstood)?;
    let code = code.split(' ').next().unwrap_or_default();
    let status = code.parse().map_err(|_| NotUnderstood)?;
    if code.len() == 3 && STATUS_CODES.contains(&status) {
        Ok(status)
    } else {
        Err(NotUnderstood)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: &[u8] =
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 12\r\nretry-after: 60\r\n\r\nplease again";

    #[test]
    fn an_answer_is_read_whole_and_not_before_its_head_is_there() {
        let head = Head {
            status: 503,
            length: ANSWER.len(),
            keep_alive: true,
        };
        for end in 0..ANSWER.len() {
            let expected = (end >= ANSWER.len() - 12).then_some(head);
            assert_eq!(parse_head(&ANSWER[..end]), Ok(expected), "after {end} bytes");
        }
        assert_eq!(
            parse_head(b"HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 0\r\n\r\n"),
            Ok(Some(Head {
                status: 200,
                length: 57,
                keep_alive: false
            }))
        );
        assert_eq!(
            parse_head(b"HTTP/1.1 204 \r\n\r\n").map(|head| head.map(|head| head.length)),
            Ok(Some(17))
        );
    }

    #[test]
    fn what_cannot_be_told_from_the_next_answer_is_not_understood() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            b"HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 0200 OK\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
            b"SSH-2.0-x\r\n\r\n",
            b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\xff: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n",
        ] {
            assert_eq!(parse_head(bytes), Err(NotUnderstood), "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_head(&bytes);
        }
    }
}
