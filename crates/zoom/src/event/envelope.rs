use domicile_kernel::{Timestamp, ZoomAccountId, ZoomUserId};
use serde::Deserialize;

use super::{EventError, from_json};
use crate::wire::{Object, Scalar};

/// The outermost of any event: enough to keep it, route it and find it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The event's name as Zoom wrote it, such as `recording.completed`.
    pub event: String,
    /// `payload.account_id`, or the chatbot's `payload.accountId`.
    pub account_id: Option<ZoomAccountId>,
    /// The user whom the event belongs to: a meeting's host, the user who removed the app, who spoke to the bot.
    pub user_id: Option<ZoomUserId>,
    /// The Marketplace app that the event is for, where Zoom says so; it tells development from production.
    pub client_id: Option<String>,
    /// When it happened, which may be hours before it was sent.
    pub event_ts: Option<Timestamp>,
}

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal)+) => {
        /// The events that this service knows. New ones become variants when something acts on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum EventKind {
            $($(#[$doc])* $kind,)+
            /// Any other name: kept and counted, acted on by nobody.
            Other,
        }

        impl EventKind {
            /// Every kind with a name.
            pub const KNOWN: &'static [Self] = &[$(Self::$kind),+];

            /// The kind with this name.
            pub fn from_name(name: &str) -> Self {
                match name {
                    $($name => Self::$kind,)+
                    _ => Self::Other,
                }
            }

            /// Zoom's name for it, `other` for all the rest: one of few, so it may label a metric.
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                    Self::Other => "other",
                }
            }
        }
    };
}

event_kinds! {
    /// The endpoint challenge.
    UrlValidation = "endpoint.url_validation"
    /// Files of a recording are ready; may come several times for one meeting, with more files.
    RecordingCompleted = "recording.completed"
    /// The transcript is ready; comes later than the rest, or never.
    RecordingTranscriptCompleted = "recording.transcript_completed"
    /// A recording or some of its files went to Zoom's trash.
    RecordingTrashed = "recording.trashed"
    /// A recording or some of its files are gone for good.
    RecordingDeleted = "recording.deleted"
    /// A recording or some of its files came back from the trash.
    RecordingRecovered = "recording.recovered"
    /// Several recordings went to the trash at once.
    RecordingBatchTrashed = "recording.batch_trashed"
    /// Several recordings are gone for good.
    RecordingBatchDeleted = "recording.batch_deleted"
    /// Several recordings came back from the trash.
    RecordingBatchRecovered = "recording.batch_recovered"
    /// A recording has a new topic.
    RecordingRenamed = "recording.renamed"
    /// A meeting is over; its recording, if any, comes later.
    MeetingEnded = "meeting.ended"
    /// A user or an account removed the app.
    AppDeauthorized = "app_deauthorized"
    /// A user was deactivated.
    UserDeactivated = "user.deactivated"
    /// A user was deleted.
    UserDeleted = "user.deleted"
    /// A user left the account.
    UserDisassociated = "user.disassociated"
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
    #[serde(default, rename = "accountId")]
    bot_account_id: Scalar,
    #[serde(default)]
    user_id: Scalar,
    #[serde(default, rename = "userId")]
    bot_user_id: Scalar,
    #[serde(default)]
    operator_id: Scalar,
    #[serde(default)]
    client_id: Scalar,
    #[serde(default)]
    event_ts: Scalar,
    #[serde(default)]
    object: Object<Subject>,
}

#[derive(Deserialize, Default)]
struct Subject {
    #[serde(default)]
    host_id: Scalar,
    #[serde(default)]
    id: Scalar,
}

impl Envelope {
    /// Reads the envelope of any event.
    pub fn parse(body: &[u8]) -> Result<Self, EventError> {
        let body: Body = from_json(body)?;
        let event = body.event.id("event")?.ok_or(EventError::Missing("event"))?;
        let payload = body.payload.0.unwrap_or_default();
        let object = payload.object.0.unwrap_or_default();

        let account_id = match payload.account_id.id("payload.account_id")? {
            Some(id) => Some(id),
            None => payload.bot_account_id.id("payload.accountId")?,
        };
        let user_id = match object.host_id.id("payload.object.host_id")? {
            Some(id) => Some(id),
            None => match payload.user_id.id("payload.user_id")? {
                Some(id) => Some(id),
                None => match payload.bot_user_id.id("payload.userId")? {
                    // In `user.*` events the object is the user.
                    None if event.starts_with("user.") => object.id.id("payload.object.id")?,
                    // In `team_chat.*` events the operator is who spoke; elsewhere it is who interfered.
                    None if event.starts_with("team_chat.") => {
                        payload.operator_id.id("payload.operator_id")?
                    }
                    id => id,
                },
            },
        };
        Ok(Self {
            account_id: account_id.map(ZoomAccountId::new),
            user_id: user_id.map(ZoomUserId::new),
            client_id: payload.client_id.id("payload.client_id")?,
            event_ts: body.event_ts.time().or_else(|| payload.event_ts.time()),
            event,
        })
    }

    /// The kind of the event.
    pub fn kind(&self) -> EventKind {
        EventKind::from_name(&self.event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeZone, Utc};
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(value: &serde_json::Value) -> Result<Envelope, EventError> {
        Envelope::parse(value.to_string().as_bytes())
    }

    fn routed(account: Option<&str>, user: Option<&str>) -> (Option<ZoomAccountId>, Option<ZoomUserId>) {
        (account.map(ZoomAccountId::new), user.map(ZoomUserId::new))
    }

    #[test]
    fn each_family_of_events_names_account_and_user_in_its_own_place() {
        let cases = [
            (
                json!({"event":"recording.completed","payload":{"account_id":"A","object":{"host_id":"H","id":7}}}),
                routed(Some("A"), Some("H")),
            ),
            (
                json!({"event":"app_deauthorized","payload":{"account_id":"A","user_id":"U"}}),
                routed(Some("A"), Some("U")),
            ),
            (
                json!({"event":"bot_notification","payload":{"accountId":"A","userId":"U"}}),
                routed(Some("A"), Some("U")),
            ),
            (
                json!({"event":"user.deleted","payload":{"account_id":"A","object":{"id":"U"}}}),
                routed(Some("A"), Some("U")),
            ),
            (
                json!({"event":"team_chat.app_mention","payload":{"account_id":"A","operator_id":"U"}}),
                routed(Some("A"), Some("U")),
            ),
            // Only in `team_chat.*` events is the operator the one whom it belongs to.
            (
                json!({"event":"recording.batch_trashed","payload":{"account_id":"A","operator_id":"U"}}),
                routed(Some("A"), None),
            ),
            // Only in `user.*` events is the object a user.
            (
                json!({"event":"meeting.started","payload":{"account_id":"A","object":{"id":"7"}}}),
                routed(Some("A"), None),
            ),
            (json!({"event":"some.news"}), routed(None, None)),
            (json!({"event":"some.news","payload":null}), routed(None, None)),
            (
                json!({"event":"some.news","payload":[{"account_id":"A"}]}),
                routed(None, None),
            ),
            (
                json!({"event":"some.news","payload":{"account_id":"","object":"x"}}),
                routed(None, None),
            ),
        ];
        for (body, expected) in cases {
            let envelope = parse(&body).unwrap();
            assert_eq!((envelope.account_id, envelope.user_id), expected, "{body}");
        }
    }

    #[test]
    fn the_time_is_read_from_both_places_in_every_form() {
        let expected = Utc.with_ymd_and_hms(2024, 9, 8, 15, 58, 40).unwrap();
        for body in [
            json!({"event":"e","event_ts":1_725_811_120_000_i64}),
            json!({"event":"e","event_ts":"1725811120000"}),
            json!({"event":"e","payload":{"event_ts":"2024-09-08 15:58:40"}}),
            json!({"event":"e","event_ts":null,"payload":{"event_ts":1_725_811_120_000_i64}}),
        ] {
            assert_eq!(parse(&body).unwrap().event_ts, Some(expected), "{body}");
        }
        assert_eq!(parse(&json!({"event":"e","event_ts":{}})).unwrap().event_ts, None);
    }

    #[test]
    fn what_cannot_be_named_or_routed_exactly_is_an_error_without_the_value() {
        let cases = [
            (json!({}), EventError::Missing("event")),
            (json!({"event":""}), EventError::Missing("event")),
            (json!({"event":{}}), EventError::Malformed("event")),
            (json!({"event":"a\u{0}b"}), EventError::Malformed("event")),
            (
                json!({"event":"e","payload":{"account_id":"a\u{0}"}}),
                EventError::Malformed("payload.account_id"),
            ),
            (
                json!({"event":"e","payload":{"object":{"host_id":["secret"]}}}),
                EventError::Malformed("payload.object.host_id"),
            ),
        ];
        for (body, expected) in cases {
            let error = parse(&body).unwrap_err();
            assert_eq!(error, expected, "{body}");
            assert!(!error.to_string().contains("secret"));
        }
        assert_eq!(Envelope::parse(b"{\"event\":\"\xff\"}"), Err(EventError::NotUtf8));
        for body in [
            &b""[..],
            b"{",
            b"{\"event\":\"e\"} x",
            b"{\"event\":\"e\",\"event\":\"f\"}",
        ] {
            assert!(matches!(Envelope::parse(body), Err(EventError::NotJson { .. })));
        }
        for body in [&b"[]"[..], b"[\"e\",1,{}]", b"7", b"null"] {
            assert_eq!(Envelope::parse(body), Err(EventError::NotAnObject));
        }
    }

    #[test]
    fn every_known_name_leads_to_its_kind_and_back() {
        for kind in EventKind::KNOWN {
            assert_eq!(EventKind::from_name(kind.label()), *kind);
        }
        assert_eq!(EventKind::from_name("recording.completed2"), EventKind::Other);
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Envelope::parse(&body);
        }

        #[test]
        fn escapes_and_order_of_members_do_not_matter(event in "[a-z_.]{1,30}", account in "\\PC{1,40}") {
            let escaped = |text: &str| -> String {
                text.encode_utf16().fold(String::new(), |all, unit| all + &format!("\\u{unit:04x}"))
            };
            let plain = parse(&json!({"event": event, "payload": {"account_id": account}})).unwrap();
            let odd = format!(
                r#" {{ "payload" : {{"x":[1,{{}}],"account_id":"{}"}}, "event":"{}" }}"#,
                escaped(&account),
                escaped(&event),
            );
            prop_assert_eq!(&Envelope::parse(odd.as_bytes()).unwrap(), &plain);
            let account_id = ZoomAccountId::new(account);
            prop_assert_eq!(plain.account_id, Some(account_id));
        }
    }
}
