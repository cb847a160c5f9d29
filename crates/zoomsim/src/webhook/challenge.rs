//! The endpoint challenge: on save, every 72 hours, and the end of the subscription after six failures in a row
//! (Zoom: webhooks page; platform: endpoint challenge).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use chrono::TimeDelta;
use domicile_kernel::Timestamp;
use domicile_kernel::random::random_bytes;
use serde::Deserialize;
use url::Url;

use crate::model::webhook::{AttemptResult, SignatureMode};
use crate::signing;
use crate::sim::Sim;
use crate::state::State;
use crate::webhook::sender::{WebhookAnswer, WebhookRequest};
use crate::webhook::sign;

const HOURS_BETWEEN: i64 = 72;
const FAILURES_TO_DISABLE: u32 = 6;

/// Why an endpoint did not pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeFailure {
    /// No usable answer, or a status other than 2xx.
    #[error("the endpoint did not answer the challenge with 2xx: {0:?}")]
    Answer(AttemptResult),
    /// 2xx, but not `{"plainToken","encryptedToken"}`.
    #[error("the endpoint's answer is not JSON with plainToken and encryptedToken")]
    NotJson,
    /// Another plainToken.
    #[error("the endpoint answered with another plainToken")]
    PlainToken,
    /// The hash does not fit.
    #[error("encryptedToken is not the HMAC-SHA256 of plainToken with the secret token")]
    EncryptedToken,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    plain_token: String,
    encrypted_token: String,
}

impl Sim {
    /// Challenges an endpoint once.
    pub(crate) async fn challenge(&self, url: &Url, secret: &str) -> Result<(), ChallengeFailure> {
        let plain = URL_SAFE_NO_PAD.encode(random_bytes::<16>(self.rng()));
        let now = self.now();
        let body = format!(
            r#"{{"payload":{{"plainToken":"{plain}"}},"event_ts":{},"event":"endpoint.url_validation"}}"#,
            now.timestamp_millis()
        );
        let headers = sign::headers(
            secret,
            SignatureMode::Good,
            now.timestamp(),
            body.as_bytes(),
            &sign::request_id(self.rng()),
            &sign::tracking_id(self.rng()),
            self.rng(),
        );
        let request = WebhookRequest {
            url: url.clone(),
            headers,
            body: Bytes::from(body),
        };
        let (sim, sent) = (self.clone(), self.0.runtime.clone());
        let answer = sent
            .spawn(async move { sim.post(request).await })
            .await
            .unwrap_or(WebhookAnswer::Broken);
        judge(&answer, &plain, secret)
    }

    /// Challenges a saved subscription and keeps count.
    pub(crate) async fn challenge_saved(
        &self,
        subscription_id: &str,
    ) -> Option<Result<(), ChallengeFailure>> {
        let (url, secret) = self.update(|state| {
            let it = state.subscription_mut(subscription_id)?;
            Some((it.url.clone(), it.secret_token.clone()))
        })?;
        let result = self.challenge(&url, &secret).await;
        self.update(|state| {
            let Some(it) = state.subscription_mut(subscription_id) else {
                return;
            };
            if result.is_ok() {
                it.failed_challenges = 0;
                return;
            }
            it.failed_challenges += 1;
            match it.failed_challenges {
                count @ (2 | 4) => it
                    .owner_mails
                    .push(format!("{url} failed validation {count} times in a row")),
                FAILURES_TO_DISABLE.. => {
                    it.enabled = false;
                    it.owner_mails.push(format!(
                        "{url} failed validation six times in a row and was disabled"
                    ));
                }
                _ => {}
            }
        });
        Some(result)
    }

    /// The enabled subscriptions whose challenge is due; each is due again 72 hours later.
    pub(crate) fn take_due_challenges(&self, state: &mut State, now: Timestamp) -> Vec<String> {
        let all = state.endpoints_mut();
        all.filter(|it| it.enabled && it.next_challenge_at <= now)
            .map(|it| {
                it.next_challenge_at = self.next_challenge(now);
                it.id.clone()
            })
            .collect()
    }

    pub(crate) fn next_challenge(&self, now: Timestamp) -> Timestamp {
        now + self.0.rules.scaled(TimeDelta::hours(HOURS_BETWEEN))
    }
}

fn judge(answer: &WebhookAnswer, plain: &str, secret: &str) -> Result<(), ChallengeFailure> {
    let body = match answer {
        WebhookAnswer::Answered {
            status: 200..=299,
            body,
        } => body,
        other => return Err(ChallengeFailure::Answer(AttemptResult::from(other))),
    };
    let answer: Answer = serde_json::from_slice(body).map_err(|_| ChallengeFailure::NotJson)?;
    if answer.plain_token != plain {
        return Err(ChallengeFailure::PlainToken);
    }
    let expected = signing::hmac_hex(secret.as_bytes(), &[plain.as_bytes()]);
    if signing::same(&answer.encrypted_token, &expected) {
        Ok(())
    } else {
        Err(ChallengeFailure::EncryptedToken)
    }
}
