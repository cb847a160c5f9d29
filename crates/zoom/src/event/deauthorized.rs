use domicile_kernel::{Timestamp, ZoomAccountId, ZoomUserId};
use serde::Deserialize;

use super::{EventError, EventKind, from_json};
use crate::wire::{Object, Scalar};

/// `app_deauthorized`: a user, or for an admin-managed app a whole account, removed the app.
///
/// Its member `signature` is only an id, no proof; only the request's own signature counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppDeauthorized {
    /// The account that the app was removed from.
    pub account_id: ZoomAccountId,
    /// Who had installed it.
    pub user_id: ZoomUserId,
    /// The Marketplace app.
    pub client_id: Option<String>,
    /// When it was removed: a late retry must not end a grant that is newer than this.
    pub deauthorized_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    event: Scalar,
    #[serde(default)]
    event_ts: Scalar,
    #[serde(default)]
    payload: Object<Payload>,
}

#[derive(Deserialize, Default)]
struct Payload {
    #[serde(default)]
    account_id: Scalar,
    #[serde(default)]
    user_id: Scalar,
    #[serde(default)]
    client_id: Scalar,
    #[serde(default)]
    deauthorization_time: Scalar,
    #[serde(default)]
    event_ts: Scalar,
}

impl AppDeauthorized {
    /// Reads the event from a verified body.
    pub fn parse(body: &[u8]) -> Result<Self, EventError> {
        let body: Body = from_json(body)?;
        let event = body.event.id("event")?.ok_or(EventError::Missing("event"))?;
        if EventKind::from_name(&event) != EventKind::AppDeauthorized {
            return Err(EventError::OtherKind);
        }
        let payload = body.payload.0.unwrap_or_default();
        Ok(Self {
            account_id: payload
                .account_id
                .id("payload.account_id")?
                .map(ZoomAccountId::new)
                .ok_or(EventError::Missing("payload.account_id"))?,
            user_id: payload
                .user_id
                .id("payload.user_id")?
                .map(ZoomUserId::new)
                .ok_or(EventError::Missing("payload.user_id"))?,
            client_id: payload.client_id.id("payload.client_id")?,
            deauthorized_at: payload
                .deauthorization_time
                .time()
                .or_else(|| payload.event_ts.time())
                .or_else(|| body.event_ts.time()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeZone, Utc};
    use serde_json::json;

    #[test]
    fn all_three_samples_of_zoom_are_read() {
        let at = Some(Utc.with_ymd_and_hms(2024, 9, 8, 15, 58, 40).unwrap());
        for payload in [
            json!({"account_id":"A","user_id":"U","signature":"s","deauthorization_time":"2024-09-08T15:58:40Z","client_id":"C","event_ts":1}),
            json!({"account_id":"A","user_id":"U","client_id":"C","event_ts":"2024-09-08 15:58:40"}),
            json!({"account_id":"A","user_id":"U","client_id":"C","user_data_retention":"false"}),
        ] {
            let body = json!({"event":"app_deauthorized","event_ts":1_725_811_120_000_i64,"payload":payload});
            assert_eq!(
                AppDeauthorized::parse(body.to_string().as_bytes()),
                Ok(AppDeauthorized {
                    account_id: ZoomAccountId::new("A"),
                    user_id: ZoomUserId::new("U"),
                    client_id: Some("C".to_owned()),
                    deauthorized_at: at,
                })
            );
        }
    }

    #[test]
    fn without_account_or_user_it_names_what_is_missing() {
        let parse = |body: serde_json::Value| AppDeauthorized::parse(body.to_string().as_bytes());
        assert_eq!(
            parse(json!({"event":"app_deauthorized","payload":{"user_id":"U"}})),
            Err(EventError::Missing("payload.account_id"))
        );
        assert_eq!(
            parse(json!({"event":"app_deauthorized","payload":{"account_id":"A"}})),
            Err(EventError::Missing("payload.user_id"))
        );
        assert_eq!(parse(json!({"event":"other"})), Err(EventError::OtherKind));
    }
}
