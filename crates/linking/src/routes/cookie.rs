//! The cookie that ties a connect session to the browser that started it (RFC 6265bis, `__Host-`).

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use chrono::TimeDelta;
use domicile_kernel::{ConnectSessionId, Secret};
use url::Url;

/// Over plain http, which is for loopback alone, browsers take neither `Secure` nor the prefix.
fn secure(public_url: &Url) -> bool {
    public_url.scheme() == "https"
}

fn name(session: ConnectSessionId, public_url: &Url) -> String {
    let prefix = if secure(public_url) { "__Host-" } else { "" };
    format!("{prefix}domicile-connect-{}", session.as_uuid().simple())
}

/// The cookie for a browser that starts.
pub(super) fn set(
    session: ConnectSessionId,
    value: &Secret<String>,
    life: TimeDelta,
    public_url: &Url,
) -> Cookie<'static> {
    Cookie::build(name(session, public_url), value.expose().clone())
        .path("/")
        .secure(secure(public_url))
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(Duration::seconds(life.num_seconds().max(0)))
        .finish()
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
