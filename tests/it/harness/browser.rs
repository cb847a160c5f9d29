//! A browser, as far as linking needs one: a cookie jar, and redirects only when the test wants them.

use std::collections::BTreeMap;

use bytes::Bytes;
use domicile_egress::{Client, testing};
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use url::Url;

/// An answer, read whole.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The problem's id, such as `ticket_expired`.
    pub fn problem(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json");
        self.json()["type"]
            .as_str()
            .unwrap()
            .trim_start_matches("urn:domicile:problem:")
            .to_owned()
    }

    pub fn location(&self) -> Url {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text());
        Url::parse(self.headers[LOCATION].to_str().unwrap()).unwrap()
    }
}

/// Sends one request and reads the whole answer.
pub async fn call(client: &Client, request: Request<Bytes>) -> Answer {
    let response = client.send(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.bytes_limited(64 * 1024 * 1024).await.unwrap();
    Answer {
        status,
        headers,
        body,
    }
}

/// A client for loopback hosts alone.
pub fn client() -> Client {
    testing::loopback().client("test", testing::TIMEOUTS)
}

/// One person's browser.
pub struct Browser {
    client: Client,
    jar: BTreeMap<String, String>,
}

impl Browser {
    pub fn new() -> Self {
        Self {
            client: client(),
            jar: BTreeMap::new(),
        }
    }

    /// Opens a URL, keeps and forgets cookies as told, and follows nothing.
    pub async fn get(&mut self, url: &Url) -> Answer {
        self.open(url, None).await
    }

    /// The same with a cookie that a neighbouring host planted, which a browser sends before those of this host.
    pub async fn get_with_cookie_before(&mut self, url: &Url, cookie: &str) -> Answer {
        self.open(url, Some(cookie.to_owned())).await
    }

    async fn open(&mut self, url: &Url, planted: Option<String>) -> Answer {
        let mut request = Request::get(url.as_str()).header("accept", "text/html");
        let own = self.jar.iter().map(|(name, value)| format!("{name}={value}"));
        let cookies: Vec<_> = planted.into_iter().chain(own).collect();
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        let answer = call(&self.client, request.body(Bytes::new()).unwrap()).await;
        for cookie in answer.headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    pub fn cookies(&self) -> &BTreeMap<String, String> {
        &self.jar
    }

    pub fn forget_cookies(&mut self) {
        self.jar.clear();
    }

    pub fn forget(&mut self, name: &str) {
        self.jar.remove(name);
    }

    pub fn plant(&mut self, name: &str, value: &str) {
        self.jar.insert(name.to_owned(), value.to_owned());
    }
}
