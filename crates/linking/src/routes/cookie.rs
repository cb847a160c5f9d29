//! The cookie that ties a connect session to the browser that started it (RFC 6265bis, `__Host-`).

use std::collections::BTreeSet;

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use chrono::TimeDelta;
use domicile_kernel::{ConnectSessionId, Secret};
use url::Url;

/// Over plain http, which is for loopback alone, browsers take neither `Secure` nor the prefix.
fn secure(public_url: &Url) -> bool {
    public_url.scheme() == "https"
}

/// So many of our cookies a browser keeps; the sessions that it began before lose theirs.
const MOST: usize = 4;

/// What stands before the session's id.
fn prefix(public_url: &Url) -> &'static str {
    if secure(public_url) {
        "__Host-domicile-connect-"
    } else {
        "domicile-connect-"
    }
}

fn name(session: ConnectSessionId, public_url: &Url) -> String {
    format!("{}{}", prefix(public_url), session.as_uuid().simple())
}

/// The cookie for a browser that starts.
pub(super) fn set(
    session: ConnectSessionId,
    value: &Secret<String>,
    life: TimeDelta,
    public_url: &Url,
) -> Cookie<'static> {
    let life = Duration::seconds(life.num_seconds().max(0));
    built(
        name(session, public_url),
        value.expose().clone(),
        life,
        public_url,
    )
}

fn built(name: String, value: String, life: Duration, public_url: &Url) -> Cookie<'static> {
    Cookie::build(name, value)
        .path("/")
        .secure(secure(public_url))
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(life)
        .finish()
}

/// Takes our cookies away that a browser has beyond the cap, the oldest first, when it gets one more. Their names end in
/// ids that begin with the time, so they sort by age.
pub(super) fn surplus(
    cookies: &[(String, String)],
    newest: ConnectSessionId,
    public_url: &Url,
) -> Vec<Cookie<'static>> {
    let kept = name(newest, public_url);
    let ours: BTreeSet<&str> = cookies
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| *name != kept && name.starts_with(prefix(public_url)))
        .collect();
    let beyond = (ours.len() + 1).saturating_sub(MOST);
    ours.into_iter()
        .take(beyond)
        .map(|name| built(name.to_owned(), String::new(), Duration::ZERO, public_url))
        .collect()
}

/// Takes the cookie of a session away that is spent.
pub(super) fn spent(session: ConnectSessionId, public_url: &Url) -> Cookie<'static> {
    built(
        name(session, public_url),
        String::new(),
        Duration::ZERO,
        public_url,
    )
}

/// The value that the browser sent for this session. Sent twice, by whomever, it is not believed.
pub(super) fn value(
    cookies: &[(String, String)],
    session: ConnectSessionId,
    public_url: &Url,
) -> Option<String> {
    let name = name(session, public_url);
    let mut values = cookies
        .iter()
        .filter(|(sent, _)| *sent == name)
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn id(number: u128) -> ConnectSessionId {
        Uuid::from_u128(number).into()
    }

    #[test]
    fn over_https_a_cookie_is_for_this_host_alone() {
        let set = set(
            id(1),
            &Secret::from("v"),
            TimeDelta::minutes(10),
            &url("https://zoom.eu.example"),
        );
        let text = set.to_string();
        assert!(
            text.starts_with("__Host-domicile-connect-00000000000000000000000000000001=v;"),
            "{text}"
        );
        for attribute in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=600"] {
            assert!(text.contains(attribute), "{attribute}: {text}");
        }
        assert!(!text.contains("Domain"), "{text}");
    }

    #[test]
    fn a_cookie_that_a_neighbouring_host_could_set_is_not_read() {
        let https = url("https://zoom.eu.example");
        let plain = vec![(name(id(1), &url("http://127.0.0.1")), "tossed".to_owned())];
        assert_eq!(value(&plain, id(1), &https), None);
        let twice = vec![
            (name(id(1), &https), "a".to_owned()),
            (name(id(1), &https), "b".to_owned()),
        ];
        assert_eq!(value(&twice, id(1), &https), None);
        assert_eq!(value(&twice[..1], id(1), &https).as_deref(), Some("a"));
    }

    #[test]
    fn the_oldest_cookies_beyond_the_cap_are_taken_away() {
        let https = url("https://zoom.eu.example");
        let cookies: Vec<_> = [3, 1, 5, 2, 4]
            .map(|number| (name(id(number), &https), "v".to_owned()))
            .into_iter()
            .chain([("session".to_owned(), "of another".to_owned())])
            .collect();
        let gone: Vec<_> = surplus(&cookies, id(6), &https)
            .iter()
            .map(|cookie| cookie.name().to_owned())
            .collect();
        assert_eq!(gone, [name(id(1), &https), name(id(2), &https)]);
        assert_eq!(
            surplus(&cookies, id(5), &https).len(),
            1,
            "a second start makes no more"
        );
        assert!(surplus(&cookies[..3], id(6), &https).is_empty());
    }
}
