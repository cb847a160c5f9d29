//! Webhooks over HTTP through `egress`, to loopback hosts only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use domicile_egress::{Client, Egress, EgressError, Fence, HostRule, SystemResolver, Timeouts};
use http::Request;
use url::Url;

use crate::webhook::sender::{WebhookAnswer, WebhookRequest, WebhookSender};

/// More than any receiver's answer to a challenge.
const ANSWER_BYTES: usize = 64 * 1024;

/// The sender that is used unless a test brings its own: one fenced client for each loopback host.
pub(crate) struct EgressSender {
    limit: Duration,
    clients: Mutex<HashMap<String, Client>>,
}

impl EgressSender {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            clients: Mutex::new(HashMap::new()),
        }
    }

    fn client(&self, url: &Url) -> Option<Client> {
        let rule = HostRule::for_url(url).ok()?;
        let HostRule::Loopback { host } = &rule else {
            return None;
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(host) {
            return Some(client.clone());
        }
        let fence = Fence::builder()
            .allow("the event subscription's URL", rule.clone())
            .build();
        let egress = Egress::new(Arc::new(fence), Arc::new(SystemResolver)).ok()?;
        let timeouts = Timeouts {
            connect: self.limit,
            read: self.limit,
            total: Some(self.limit),
        };
        let client = egress.client("zoomsim_webhook", timeouts);
        clients.insert(host.clone(), client.clone());
        Some(client)
    }
}

#[async_trait]
impl WebhookSender for EgressSender {
    async fn send(&self, webhook: WebhookRequest, _limit: Duration) -> WebhookAnswer {
        let Some(client) = self.client(&webhook.url) else {
            return WebhookAnswer::NotAllowed;
        };
        let mut request = Request::post(webhook.url.as_str());
        for (name, value) in webhook.headers {
            request = request.header(name, value);
        }
        let Ok(request) = request.body(webhook.body) else {
            return WebhookAnswer::NotAllowed;
        };
        let answer = match client.send(request).await {
            Ok(answer) => answer,
            Err(error) => return outcome(&error),
        };
        let status = answer.status().as_u16();
        match answer.bytes_limited(ANSWER_BYTES).await {
            Ok(body) => WebhookAnswer::Answered { status, body },
            Err(EgressError::BodyTooLarge { .. }) => WebhookAnswer::Answered {
                status,
                body: bytes::Bytes::new(),
            },
            Err(error) => outcome(&error),
        }
    }
}

fn outcome(error: &EgressError) -> WebhookAnswer {
    match error {
        EgressError::Timeout { .. } => WebhookAnswer::TimedOut,
        EgressError::Connect { .. } | EgressError::Dns { .. } => WebhookAnswer::ConnectionRefused,
        EgressError::Refused(_) | EgressError::InvalidRequest | EgressError::Setup { .. } => {
            WebhookAnswer::NotAllowed
        }
        _ => WebhookAnswer::Broken,
    }
}
