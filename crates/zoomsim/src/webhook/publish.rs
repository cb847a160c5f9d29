//! From something that happened to rows in the webhook log, one for each subscription, with the ordered faults.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::model::app::{App, Usage};
use crate::model::fault::{About, FaultKind, Target};
use crate::model::webhook::{DeliveryState, SignatureMode, WebhookDelivery};
use crate::sim::Sim;
use crate::state::State;
use crate::webhook::payload::{Occasion, Telling};
use crate::webhook::sign;

/// Which apps hear of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// As at Zoom: those that the user, or for admin-managed apps her account, has authorised.
    #[default]
    Installed,
    /// Every app with a subscription to the event, for tests of receivers.
    All,
}

/// How an event is sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manner {
    pub audience: Audience,
    pub client_id: Option<String>,
    pub signature: SignatureMode,
    pub timestamp_offset_seconds: i64,
    /// A body of the caller's own goes to the bot's endpoint in place of the subscriptions.
    pub to_bot: bool,
}

struct Address {
    client_id: String,
    subscription_id: String,
    url: url::Url,
    enabled: bool,
}

impl Sim {
    /// Tells everybody who subscribed, tries each once, and gives the rows of the log.
    pub(crate) async fn publish(&self, occasion: Occasion, manner: Manner) -> Vec<WebhookDelivery> {
        let ids = self.update(|state| self.enqueue(state, &occasion, &manner));
        self.send_now(&ids).await;
        self.read(|state| {
            state
                .deliveries
                .iter()
                .filter(|row| ids.contains(&row.id))
                .cloned()
                .collect()
        })
    }

    fn enqueue(&self, state: &mut State, occasion: &Occasion, manner: &Manner) -> Vec<u64> {
        let mut ids = Vec::new();
        for address in addresses(state, occasion, manner) {
            let fault = strike(state, occasion, &address.client_id);
            ids.extend(self.enqueue_for(state, occasion, manner, &address, fault.as_ref()));
        }
        ids
    }

    fn enqueue_for(
        &self,
        state: &mut State,
        occasion: &Occasion,
        manner: &Manner,
        address: &Address,
        fault: Option<&FaultKind>,
    ) -> Vec<u64> {
        let now = self.now();
        let mut telling = Telling {
            now,
            back: TimeDelta::zero(),
            download_token: true,
        };
        let mut at = now;
        match fault {
            Some(FaultKind::LateDelivery { seconds }) => {
                telling.back = TimeDelta::seconds(i64::from(*seconds));
            }
            Some(FaultKind::HeldDelivery { seconds }) => at += TimeDelta::seconds(i64::from(*seconds)),
            Some(FaultKind::NoDownloadToken) => telling.download_token = false,
            _ => {}
        }
        let mut first = self.row(state, occasion, manner, address, telling);
        if address.enabled {
            first.state = DeliveryState::Pending { next_attempt_at: at };
        }
        if fault == Some(&FaultKind::LostDelivery) {
            first.state = DeliveryState::Lost;
        }
        let second = match fault {
            Some(FaultKind::DuplicateDelivery { fresh_urls: false }) => Some(WebhookDelivery {
                id: state.next_number(),
                ..first.clone()
            }),
            Some(FaultKind::DuplicateDelivery { fresh_urls: true }) => Some(WebhookDelivery {
                state: first.state,
                ..self.row(state, occasion, manner, address, telling)
            }),
            Some(FaultKind::DifferentBody) => {
                change_bytes(state, occasion);
                Some(WebhookDelivery {
                    state: first.state,
                    ..self.row(state, occasion, manner, address, telling)
                })
            }
            _ => None,
        };
        let rows = [Some(first), second].into_iter().flatten();
        rows.map(|row| {
            let id = row.id;
            state.log(row);
            id
        })
        .collect()
    }

    fn row(
        &self,
        state: &mut State,
        occasion: &Occasion,
        manner: &Manner,
        address: &Address,
        telling: Telling,
    ) -> WebhookDelivery {
        WebhookDelivery {
            id: state.next_number(),
            request_id: sign::request_id(self.rng()),
            tracking_id: sign::tracking_id(self.rng()),
            client_id: address.client_id.clone(),
            subscription_id: address.subscription_id.clone(),
            url: address.url.clone(),
            event: occasion.event().to_owned(),
            body: self.body(state, occasion, telling),
            signature: manner.signature,
            timestamp_offset_seconds: manner.timestamp_offset_seconds,
            first_timestamp: None,
            created_at: telling.now,
            state: DeliveryState::Suppressed,
            attempts: Vec::new(),
            in_flight: false,
        }
    }
}

fn strike(state: &mut State, occasion: &Occasion, client_id: &str) -> Option<FaultKind> {
    let user_id = occasion.user_id(state).map(str::to_owned);
    let about = About {
        client_id: Some(client_id),
        user_id: user_id.as_deref(),
        meeting_uuid: occasion.meeting_uuid(),
        file_ids: occasion.file_ids(),
        event: Some(occasion.event()),
    };
    state.take_fault(Target::Webhook, &about)
}

/// From now on the named files have other bytes; URLs given out before keep the old ones.
fn change_bytes(state: &mut State, occasion: &Occasion) {
    let files = occasion
        .meeting_uuid()
        .and_then(|uuid| state.meetings.get_mut(uuid))
        .into_iter()
        .flat_map(|meeting| &mut meeting.files);
    for file in files.filter(|file| occasion.file_ids().contains(&file.id)) {
        file.variant += 1;
    }
}

fn addresses(state: &State, occasion: &Occasion, manner: &Manner) -> Vec<Address> {
    let apps = state
        .apps
        .values()
        .filter(|app| match (&manner.client_id, occasion) {
            (_, Occasion::Bot(it)) => app.client_id == it.client_id,
            (_, Occasion::Deauthorized { client_id, .. }) | (Some(client_id), _) => {
                app.client_id == *client_id
            }
            (None, _) => manner.audience == Audience::All || hears(state, app, occasion),
        });
    let named = manner.client_id.is_some() && matches!(occasion, Occasion::Raw { .. });
    let for_bot = matches!(occasion, Occasion::Bot(_)) || (named && manner.to_bot);
    let event = occasion.event();
    apps.flat_map(|app| {
        let bot = app
            .bot
            .as_ref()
            .map(|bot| &bot.endpoint)
            .filter(|it| for_bot || it.events.iter().any(|name| name == event));
        app.subscriptions
            .iter()
            .filter(|it| !for_bot && (named || it.events.iter().any(|name| name == event)))
            .chain(bot.filter(|_| for_bot || matches!(occasion, Occasion::Deauthorized { .. })))
            .map(|it| Address {
                client_id: app.client_id.clone(),
                subscription_id: it.id.clone(),
                url: it.url.clone(),
                enabled: it.enabled,
            })
    })
    .collect()
}

fn hears(state: &State, app: &App, occasion: &Occasion) -> bool {
    let Some(user_id) = occasion.user_id(state) else {
        return false;
    };
    let account_id = state.users.get(user_id).map(|user| user.account_id.as_str());
    state
        .grants
        .iter()
        .filter(|grant| grant.client_id == app.client_id)
        .any(|grant| match app.usage {
            Usage::UserManaged => grant.user_id == user_id,
            Usage::AdminManaged => Some(grant.account_id.as_str()) == account_id,
        })
}
