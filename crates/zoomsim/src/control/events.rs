//! Sending any event by name, well-formed or not.

use serde::{Deserialize, Serialize};

use crate::control::ControlError;
use crate::model::webhook::{SignatureMode, WebhookDelivery};
use crate::sim::Sim;
use crate::webhook::payload::Occasion;
use crate::webhook::publish::{Audience, Manner};

/// An event to send: one that the simulator composes from the ids given, or a body of the caller's own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SendEvent {
    /// Its name.
    pub event: String,
    /// The meeting instance, for `recording.*` and `meeting.ended`.
    pub meeting_uuid: Option<String>,
    /// The files; empty: all of the meeting.
    pub file_ids: Vec<String>,
    /// More meeting instances, for `recording.batch_*`.
    pub meeting_uuids: Vec<String>,
    /// The user, for `user.*`, `app_deauthorized` and bodies of the caller's own.
    pub user_id: Option<String>,
    /// Only to this app. With `body` or `raw_body`: to all of its subscriptions, whatever they subscribed to.
    pub client_id: Option<String>,
    /// Who hears of it, where `client_id` is absent.
    pub audience: Audience,
    /// A JSON body to send in place of a composed one.
    pub body: Option<serde_json::Value>,
    /// A body to send as it stands, JSON or not.
    pub raw_body: Option<String>,
    /// How it is signed.
    pub signature: SignatureMode,
    /// Seconds added to the signed timestamp: negative is stale, positive lies in the future.
    pub timestamp_offset_seconds: i64,
    /// The title before, for `recording.renamed`.
    pub old_topic: Option<String>,
    /// A body of the caller's own goes to the endpoint of the app's bot, in place of the app's subscriptions.
    pub to_bot: bool,
}

impl Sim {
    /// Sends an event to whom it concerns, without changing anything else in the simulator.
    pub async fn send_event(&self, order: SendEvent) -> Result<Vec<WebhookDelivery>, ControlError> {
        let manner = Manner {
            audience: order.audience,
            client_id: order.client_id.clone(),
            signature: order.signature,
            timestamp_offset_seconds: order.timestamp_offset_seconds,
            to_bot: order.to_bot,
        };
        if let Some(client_id) = &order.client_id {
            self.app(client_id)?;
        }
        let occasion = self.occasion(order)?;
        Ok(self.publish(occasion, manner).await)
    }

    fn occasion(&self, order: SendEvent) -> Result<Occasion, ControlError> {
        let event = order.event;
        let body = order.raw_body.or_else(|| order.body.map(|json| json.to_string()));
        if let Some(body) = body {
            return Ok(Occasion::Raw {
                event,
                user_id: order.user_id,
                body,
            });
        }
        let meeting = || {
            let uuid = order
                .meeting_uuid
                .as_deref()
                .ok_or_else(|| missing("meeting_uuid"))?;
            self.meeting(uuid)
        };
        let user = || self.user(order.user_id.as_deref().ok_or_else(|| missing("user_id"))?);
        Ok(match event.as_str() {
            "recording.completed"
            | "recording.transcript_completed"
            | "recording.trashed"
            | "recording.deleted"
            | "recording.recovered" => {
                let meeting = meeting()?;
                let all = || meeting.files.iter().map(|file| file.id.clone()).collect();
                let file_ids = if order.file_ids.is_empty() {
                    all()
                } else {
                    order.file_ids
                };
                let by_somebody = !event.ends_with("completed");
                let operator_id = by_somebody.then_some(meeting.host_id);
                Occasion::Recording {
                    event,
                    meeting_uuid: meeting.uuid,
                    file_ids,
                    operator_id,
                }
            }
            "recording.started" | "recording.paused" | "recording.resumed" | "recording.stopped" => {
                Occasion::Progress {
                    event,
                    meeting_uuid: meeting()?.uuid,
                }
            }
            "recording.renamed" => {
                let meeting = meeting()?;
                let old_topic = order.old_topic.unwrap_or_else(|| "Old title".to_owned());
                Occasion::Renamed {
                    meeting_uuid: meeting.uuid,
                    old_topic,
                }
            }
            "recording.batch_trashed" | "recording.batch_deleted" | "recording.batch_recovered" => {
                let uuids: Vec<String> = order
                    .meeting_uuid
                    .into_iter()
                    .chain(order.meeting_uuids)
                    .collect();
                let first = uuids.first().ok_or_else(|| missing("meeting_uuids"))?;
                let host_id = self.meeting(first)?.host_id;
                Occasion::Batch {
                    event,
                    host_id,
                    meeting_uuids: uuids,
                }
            }
            "meeting.ended" => Occasion::MeetingEnded {
                meeting_uuid: meeting()?.uuid,
            },
            "user.deactivated" | "user.deleted" | "user.disassociated" => Occasion::User {
                event,
                user_id: user()?.id,
            },
            "app_deauthorized" => {
                let user = user()?;
                let client_id = order.client_id.ok_or_else(|| missing("client_id"))?;
                let at = self.now();
                Occasion::Deauthorized {
                    client_id,
                    user_id: user.id,
                    account_id: user.account_id,
                    at,
                }
            }
            _ => {
                let text = "the simulator cannot compose that event: give body or raw_body";
                return Err(ControlError::Invalid(text.to_owned()));
            }
        })
    }
}

fn missing(field: &str) -> ControlError {
    ControlError::Invalid(format!("this event needs {field}"))
}
