//! Calls to what was started here, JSON in and out.

use std::time::Duration;

use bytes::Bytes;
use domicile_egress::{Client, Timeouts, testing};
use http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use crate::run::{Failure, Outcome};

/// No page or list of the story is larger; media are read piece by piece.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Nothing here takes longer but hashing media.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(60),
    total: None,
};

/// A client for loopback addresses.
#[derive(Clone)]
pub(crate) struct Http(Client);

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Bytes that were read and thrown away.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Digested {
    pub(crate) size_bytes: u64,
    pub(crate) sha256: String,
}

impl Http {
    pub(crate) fn new() -> Self {
        Self(testing::loopback().client("xtask", TIMEOUTS))
    }

    /// One call, whatever it answers. Redirects are answers.
    pub(crate) async fn call(&self, request: Request<Bytes>) -> Outcome<Answer> {
        let asked = asked(&request);
        let failed = |error| Failure(format!("{asked}: {}", Failure::from(error)));
        let response = self.0.send(request).await.map_err(failed)?;
        Ok(Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes_limited(MAX_BODY_BYTES).await.map_err(failed)?,
        })
    }

    /// True when the URL answers with success now.
    pub(crate) async fn is_up(&self, url: &Url) -> bool {
        let Ok(request) = Request::get(url.as_str()).body(Bytes::new()) else {
            return false;
        };
        self.call(request)
            .await
            .is_ok_and(|answer| answer.status.is_success())
    }

    /// One call whose JSON answer is wanted; anything but success is a failure.
    pub(crate) async fn json(
        &self,
        method: Method,
        url: &Url,
        bearer: Option<&str>,
        body: Option<&Value>,
    ) -> Outcome<Value> {
        let mut request = Request::builder().method(method).uri(url.as_str());
        if let Some(key) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        let bytes = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        let request = request.body(bytes)?;
        let asked = asked(&request);
        self.call(request).await?.json(&asked)
    }

    /// Reads a body of any size and keeps its length and digest.
    pub(crate) async fn digest(&self, request: Request<Bytes>) -> Outcome<Digested> {
        let asked = asked(&request);
        let mut response = self.0.send(request).await?;
        if !response.status().is_success() {
            return Err(Failure(format!("{asked}: {}", response.status())));
        }
        let (mut hash, mut size_bytes) = (Sha256::new(), 0);
        while let Some(piece) = response.chunk().await? {
            size_bytes += piece.len() as u64;
            hash.update(&piece);
        }
        Ok(Digested {
            size_bytes,
            sha256: hex::encode(hash.finalize()),
        })
    }
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Where it leads.
    pub(crate) fn location(&self) -> Option<&str> {
        self.headers.get(header::LOCATION)?.to_str().ok()
    }

    fn json(&self, asked: &str) -> Outcome<Value> {
        if !self.status.is_success() {
            return Err(Failure(format!("{asked}: {}\n{}", self.status, self.text())));
        }
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body).map_err(|error| Failure(format!("{asked}: {error}")))
    }
}

/// The call as a person reads it; queries may hold tickets and codes.
fn asked(request: &Request<Bytes>) -> String {
    let uri = request.uri();
    let host = uri
        .authority()
        .map(http::uri::Authority::as_str)
        .unwrap_or_default();
    format!("{} {host}{}", request.method(), uri.path())
}
