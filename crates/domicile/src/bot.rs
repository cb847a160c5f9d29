//! The region's bot, wired together.

use std::sync::Arc;

use domicile_chatbot::listening::{Listening, ListeningParts, ListeningSettings};
use domicile_chatbot::{ChatbotSettings, Messages, Parts};
use domicile_delivery::Delivery;
use domicile_egress::Egress;
use domicile_intake::Intake;
use domicile_kernel::Ids;
use domicile_linking::Linking;
use domicile_recordings::Library;
use domicile_store::Db;
use domicile_vault::Vault;
use domicile_zoom::chat::{ChatApi, ChatbotTokens};
use domicile_zoom::host::ZoomHosts;
use domicile_zoom::oauth::ZoomOAuth;
use url::Url;

use crate::plugs::bot::{BotBodies, LinkedSpeakers, LinkedUsers, RecordingShelf};
use crate::region::{CALL, RegionError};
use crate::settings::{BotSettings, Settings};

/// What speaking shares with the other rooms.
pub(crate) struct Shared<'a> {
    pub(crate) db: &'a Db,
    pub(crate) ids: &'a Ids,
    pub(crate) vault: &'a Vault,
    pub(crate) delivery: &'a Delivery,
    pub(crate) egress: &'a Egress,
    pub(crate) zoom_hosts: &'a Arc<ZoomHosts>,
    pub(crate) redirect_uri: &'a Url,
}

/// What the bot says, where the region has one. Its token is that of its own Marketplace app where it has one of its own.
pub(crate) fn build(settings: &Settings, shared: &Shared<'_>) -> Result<Option<Messages>, RegionError> {
    let Some(bot) = &settings.bot else {
        return Ok(None);
    };
    let clock = shared.ids.clock();
    let oauth = ZoomOAuth::new(
        &bot.client_id,
        bot.client_secret.clone(),
        &settings.zoom.oauth_url,
        shared.redirect_uri,
        shared.egress.client("zoom_oauth", CALL),
        Arc::clone(clock),
    )?;
    let tokens = ChatbotTokens::new(
        oauth,
        Arc::clone(shared.zoom_hosts),
        settings.zoom.api_base.clone(),
        Arc::clone(clock),
    );
    let client = shared.egress.client("zoom_chat", CALL);
    let api = ChatApi::new(client, Arc::clone(shared.zoom_hosts), tokens, Arc::clone(clock));
    Ok(Some(Messages::new(Parts {
        db: shared.db.clone(),
        ids: shared.ids.clone(),
        vault: shared.vault.clone(),
        outbox: Arc::new(shared.delivery.clone()),
        api,
        links: Arc::new(LinkedUsers),
        settings: ChatbotSettings {
            robot_jid: bot.robot_jid.clone(),
        },
    })))
}

/// The rooms that listening needs.
pub(crate) struct Rooms<'a> {
    pub(crate) db: &'a Db,
    pub(crate) ids: &'a Ids,
    pub(crate) vault: &'a Vault,
    pub(crate) delivery: &'a Delivery,
    pub(crate) intake: &'a Intake,
    pub(crate) linking: &'a Linking,
    pub(crate) library: &'a Library,
}

/// Hears what is said to the bot.
pub(crate) fn listening(
    settings: &Settings,
    bot: &BotSettings,
    messages: &Messages,
    rooms: &Rooms<'_>,
) -> Listening {
    Listening::new(ListeningParts {
        db: rooms.db.clone(),
        ids: rooms.ids.clone(),
        vault: rooms.vault.clone(),
        outbox: Arc::new(rooms.delivery.clone()),
        bodies: Arc::new(BotBodies(rooms.intake.clone())),
        speakers: Arc::new(LinkedSpeakers(rooms.linking.clone())),
        shelf: Arc::new(RecordingShelf {
            library: rooms.library.clone(),
            linking: rooms.linking.clone(),
        }),
        messages: messages.clone(),
        settings: ListeningSettings {
            region_id: settings.region.id.clone(),
            region_name: settings.region.name.clone(),
            start_url: settings.app.start_url.clone(),
            public_url: settings.http.public_url.clone(),
            directory: settings.region.directory.clone(),
            words: bot.words.clone(),
            progress: bot.progress,
        },
    })
}
