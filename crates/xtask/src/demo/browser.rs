//! A browser without a window: one person's cookies and the forms of pages.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use url::{Url, form_urlencoded};

use super::html;
use crate::dev::http::{Answer, Http};
use crate::run::{Failure, Outcome};

/// One person at a browser.
pub(crate) struct Browser {
    http: Http,
    cookies: Vec<Cookie>,
}

/// Host-only cookies are all that this story has.
struct Cookie {
    host: String,
    path: String,
    name: String,
    value: String,
}

/// A page, and where it is.
pub(crate) struct Page {
    pub(crate) url: Url,
    pub(crate) answer: Answer,
}

impl Browser {
    pub(crate) fn new(http: Http) -> Self {
        Self {
            http,
            cookies: Vec::new(),
        }
    }

    /// Opens a URL and shows what it answers, redirects included.
    pub(crate) async fn open(&mut self, url: &Url) -> Outcome<Page> {
        let request = Request::get(url.as_str());
        self.send(url.clone(), request, Bytes::new()).await
    }

    /// Opens a URL and whatever it leads to.
    pub(crate) async fn visit(&mut self, url: &Url) -> Outcome<Page> {
        let mut page = self.open(url).await?;
        for _ in 0..10 {
            if !page.answer.status.is_redirection() {
                return page.shown();
            }
            let to = page.leads_to()?;
            page = self.open(&to).await?;
        }
        Err(Failure(format!("{} redirects without end", url.path())))
    }

    /// Sends the page's form to this path with its hidden fields and these, and shows what it answers.
    pub(crate) async fn submit(
        &mut self,
        page: &Page,
        action: &str,
        fields: &[(&str, &str)],
    ) -> Outcome<Page> {
        let form = html::form(&page.answer.text(), action).ok_or_else(|| {
            Failure(format!(
                "the page at {} has no form for {action}",
                page.url.path()
            ))
        })?;
        let url = page.url.join(action)?;
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&form.hidden)
            .extend_pairs(fields)
            .finish();
        let request = Request::builder()
            .method(Method::POST)
            .uri(url.as_str())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ORIGIN, page.url.origin().ascii_serialization());
        self.send(url, request, Bytes::from(body)).await
    }

    /// A request with this browser's cookies, for a body that is read piece by piece.
    pub(crate) fn request(&self, url: &Url) -> Outcome<Request<Bytes>> {
        let cookies = self.cookies_for(url);
        Ok(Request::get(url.as_str())
            .header(header::COOKIE, cookies)
            .body(Bytes::new())?)
    }

    async fn send(&mut self, url: Url, mut request: http::request::Builder, body: Bytes) -> Outcome<Page> {
        let cookies = self.cookies_for(&url);
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies);
        }
        let answer = self.http.call(request.body(body)?).await?;
        self.take_cookies(&url, &answer.headers);
        Ok(Page { url, answer })
    }

    fn cookies_for(&self, url: &Url) -> String {
        let host = url.host_str().unwrap_or_default();
        let fitting = self.cookies.iter();
        let fitting = fitting.filter(|cookie| cookie.host == host && is_below(url.path(), &cookie.path));
        fitting
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect::<Vec<_>>()
            .join("; ")
    }

    fn take_cookies(&mut self, url: &Url, headers: &HeaderMap) {
        let host = url.host_str().unwrap_or_default();
        let lines = headers
            .get_all(header::SET_COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok());
        for line in lines {
            let mut parts = line.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            let attributes: Vec<(String, &str)> = parts
                .map(|part| part.split_once('=').unwrap_or((part, "")))
                .map(|(name, value)| (name.to_ascii_lowercase(), value))
                .collect();
            let attribute = |wanted: &str| {
                attributes
                    .iter()
                    .find(|(name, _)| name == wanted)
                    .map(|(_, value)| *value)
            };
            let path = attribute("path")
                .filter(|path| path.starts_with('/'))
                .unwrap_or("/")
                .to_owned();
            self.cookies
                .retain(|it| !(it.host == host && it.name == name && it.path == path));
            if attribute("max-age") != Some("0") {
                let (host, name, value) = (host.to_owned(), name.to_owned(), value.to_owned());
                self.cookies.push(Cookie {
                    host,
                    path,
                    name,
                    value,
                });
            }
        }
    }
}

impl Page {
    /// Where it redirects to.
    pub(crate) fn leads_to(&self) -> Outcome<Url> {
        match self.answer.location() {
            Some(location) if self.answer.status.is_redirection() => Ok(self.url.join(location)?),
            _ => {
                let (path, status) = (self.url.path(), self.answer.status);
                Err(Failure(format!(
                    "{path} leads nowhere: {status}\n{}",
                    html::words(&self.answer.text())
                )))
            }
        }
    }

    /// The page, if it is one and no error.
    pub(crate) fn shown(self) -> Outcome<Self> {
        if self.answer.status == StatusCode::OK {
            return Ok(self);
        }
        let words = html::words(&self.answer.text());
        Err(Failure(format!(
            "{}: {}\n{words}",
            self.url.path(),
            self.answer.status
        )))
    }

    /// What it says, without its markup.
    pub(crate) fn words(&self) -> String {
        html::words(&self.answer.text())
    }
}

/// RFC 6265, section 5.1.4.
fn is_below(path: &str, cookie_path: &str) -> bool {
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || cookie_path.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn cookies_go_where_they_belong_and_end_when_told() {
        let mut browser = Browser::new(Http::new());
        let mut headers = HeaderMap::new();
        headers.append(header::SET_COOKIE, "a=1; Path=/; HttpOnly".parse().unwrap());
        headers.append(
            header::SET_COOKIE,
            "b=2; path=/oauth; Max-Age=600".parse().unwrap(),
        );
        browser.take_cookies(&url("http://127.0.0.1:1/x"), &headers);
        assert_eq!(
            browser.cookies_for(&url("http://127.0.0.1:2/oauth/callback")),
            "a=1; b=2"
        );
        assert_eq!(browser.cookies_for(&url("http://127.0.0.1:2/oauthx")), "a=1");
        assert_eq!(browser.cookies_for(&url("http://localhost:2/")), "");
        let mut headers = HeaderMap::new();
        headers.append(header::SET_COOKIE, "a=; Path=/; Max-Age=0".parse().unwrap());
        browser.take_cookies(&url("http://127.0.0.1:1/"), &headers);
        assert_eq!(browser.cookies_for(&url("http://127.0.0.1:1/oauth")), "b=2");
    }
}
