//! Downloads that redirect.

use domicile_kernel::Secret;
use http::{HeaderValue, Method, StatusCode, header};
use url::Url;

use crate::client::Client;
use crate::error::{EgressError, origin};
use crate::response::Response;
use crate::rule::HostRule;

/// A GET whose redirects are followed by hand.
pub struct GetFollowing<'a> {
    /// Where to begin. It came from outside, so rules marked internal do not count.
    pub url: Url,
    /// The token of the `Authorization` header.
    pub bearer: Option<&'a Secret<String>>,
    /// The only hosts that are ever shown the token.
    pub bearer_hosts: &'a [HostRule],
    /// How many redirects are followed; 5 is a good number.
    pub max_hops: u8,
}

impl Client {
    /// Gets a URL and follows its redirects, each hop through the fence and over https (or a loopback rule). The first
    /// request carries the token if its host is one of `bearer_hosts`. Later hops go without it first, since a signed
    /// URL may refuse it, and once more with it after a 401 or 403, if their host is one of `bearer_hosts`.
    pub async fn get_following(&self, get: GetFollowing<'_>) -> Result<Response, EgressError> {
        let GetFollowing {
            mut url,
            bearer,
            bearer_hosts,
            max_hops,
        } = get;
        let client = self.clone().for_foreign_urls();
        let bearer = bearer.map(authorization).transpose()?;
        let bearer_for = |url: &Url| {
            bearer
                .as_ref()
                .filter(|_| bearer_hosts.iter().any(|rule| rule.matches(url)))
        };
        let mut hops = 0;
        loop {
            let allowed = bearer_for(&url);
            let first = if hops == 0 { allowed } else { None };
            let mut response = client.get(&url, first).await?;
            let unauthorized = matches!(
                response.status(),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
            );
            if unauthorized && first.is_none() && hops > 0 && allowed.is_some() {
                response = client.get(&url, allowed).await?;
            }
            if !is_redirect(response.status()) {
                return Ok(response);
            }
            if hops == max_hops {
                return Err(EgressError::TooManyRedirects {
                    origin: origin(&url),
                    max_hops,
                });
            }
            hops += 1;
            url = location(&url, &response)?;
        }
    }

    async fn get(&self, url: &Url, authorization: Option<&HeaderValue>) -> Result<Response, EgressError> {
        let mut request = reqwest::Request::new(Method::GET, url.clone());
        if let Some(value) = authorization {
            request.headers_mut().insert(header::AUTHORIZATION, value.clone());
        }
        self.execute(request).await
    }
}

fn authorization(token: &Secret<String>) -> Result<HeaderValue, EgressError> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
        .map_err(|_| EgressError::InvalidRequest)?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn location(from: &Url, response: &Response) -> Result<Url, EgressError> {
    response
        .headers()
        .get(header::LOCATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| from.join(text).ok())
        .ok_or_else(|| EgressError::BadRedirect { origin: origin(from) })
}
