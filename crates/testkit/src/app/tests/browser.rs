//! A browser without a window: a cookie jar, forms, no redirects by itself.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use domicile_egress::Client;
use http::{HeaderMap, Method, Request, StatusCode, header};
use url::{Url, form_urlencoded};

/// What came back.
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Page {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(super) fn leads_to(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text());
        self.header("location")
    }

    /// The value of a form's hidden field.
    pub(super) fn field(&self, name: &str) -> String {
        let (_, rest) = self
            .text()
            .split_once(&format!("name=\"{name}\" value=\""))
            .unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }

    /// The message at the top of the page.
    pub(super) fn flash(&self) -> String {
        let (_, rest) = self.text().split_once("class=\"flash ").expect("a message");
        rest.split_once("</p>").unwrap().0.to_owned()
    }
}

/// One person's browser.
pub(super) struct Browser {
    client: Client,
    base: Url,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Browser {
    pub(super) fn new(base: Url) -> Self {
        let egress = domicile_egress::testing::loopback();
        Self {
            client: egress.client("test", domicile_egress::testing::TIMEOUTS),
            base,
            cookies: Mutex::default(),
        }
    }

    /// What it would send.
    pub(super) fn cookies(&self) -> BTreeMap<String, String> {
        self.cookies.lock().unwrap().clone()
    }

    pub(super) async fn get(&self, path: &str) -> Page {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    pub(super) async fn get_with(&self, path: &str, headers: &[(&'static str, &str)]) -> Page {
        self.send(Method::GET, path, headers, Bytes::new()).await
    }

    pub(super) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send(Method::POST, path, &headers, Bytes::from(body)).await
    }

    /// Signs in by the page's own form.
    pub(super) async fn sign_in(&self, user: &str) {
        let page = self.get("/sign-in").await;
        let token = page.field("form_token");
        let fields = [("user", user), ("form_token", token.as_str())];
        let answer = self.post("/sign-in", &fields).await;
        assert_eq!(answer.leads_to(), "/recordings");
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Page {
        let url = self.base.join(path).unwrap();
        let mut request = Request::builder().method(method).uri(url.as_str());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let cookies = self.cookies();
        if !cookies.is_empty() {
            let pairs: Vec<_> = cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request = request.header(header::COOKIE, pairs.join("; "));
        }
        let answer = self.client.send(request.body(body).unwrap()).await.unwrap();
        for set in answer.headers().get_all(header::SET_COOKIE) {
            let set = set.to_str().unwrap();
            assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{set}");
            let (name, value) = set.split_once(';').unwrap().0.split_once('=').unwrap();
            let mut cookies = self.cookies.lock().unwrap();
            if set.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Page {
            status: answer.status(),
            headers: answer.headers().clone(),
            body: answer.bytes_limited(1024 * 1024).await.unwrap(),
        }
    }
}
