//! Why each scope, each event and each domain is there.

use std::fmt::Write as _;

use super::super::scopes::plain;
use super::{Values, row, table};

/// What is done with a scope, and how a reviewer sees it.
pub(super) struct Use {
    pub(super) calls: &'static str,
    pub(super) data: &'static str,
    pub(super) step: &'static str,
}

/// What this service does with a scope; nothing for scopes that the application alone uses, through the calls it is allowed.
pub(super) fn use_of(scope: &str) -> Option<Use> {
    let (calls, data, step) = match plain(scope) {
        "user:read:user" => (
            "`GET /v2/users/{userId}`, when a link is made and when the application asks for it",
            "the ids of the user and the account and the home cluster are kept; no name, no e-mail address",
            "Connect. The application then shows the account as linked: whose authorization it is was read with this scope.",
        ),
        "cloud_recording:read:recording" => (
            "the events `recording.*`",
            "which meeting was recorded, when, and its files",
            "Record a short meeting to the cloud and end it. When Zoom has processed it, the recording appears in the application \
             without anything else being done.",
        ),
        "cloud_recording:read:list_recording_files" => (
            "`GET /v2/meetings/{meetingId}/recordings`, and the downloads that it names",
            "the recording's files",
            "Open that recording in the application: its files are listed and can be played.",
        ),
        "cloud_recording:read:list_user_recordings" => (
            "`GET /v2/users/{userId}/recordings`",
            "which recordings the user has",
            "In the application, list the user's recordings at Zoom. It is also how recordings are found whose event was lost.",
        ),
        "cloud_recording:read:meeting_transcript" => (
            "`GET /v2/meetings/{meetingId}/transcript`",
            "the transcript of a recording",
            "Record a meeting with audio transcripts switched on. The transcript appears beside the recording's other files.",
        ),
        "meeting:read:meeting" => (
            "`GET /v2/meetings/{meetingId}` and `GET /v2/users/{userId}/meetings`, when the application asks for it",
            "topic, time and host of a meeting",
            "Open a recording in the application: the meeting to which it belongs is shown with its topic and time.",
        ),
        "imchat:bot" => (
            "`POST`, `PUT` and `DELETE /v2/im/chat/messages`, and what is said to the bot",
            "what users write to the bot, and its answers",
            "Write the bot's command in Team Chat, as in the steps on the bot. It answers.",
        ),
        _ => return None,
    };
    Some(Use { calls, data, step })
}

/// `scopes.md`
pub(super) fn scopes(values: &Values<'_>) -> String {
    let app = values.app;
    let rows = app.scopes.iter().map(|scope| {
        let known = use_of(&scope.scope);
        row(&[
            &format!("`{}`", scope.scope),
            if scope.optional { "optional" } else { "required" },
            &scope.reason,
            known
                .as_ref()
                .map_or("as the reason says, on the application's request", |it| it.calls),
            known.as_ref().map_or("as the reason says", |it| it.data),
        ])
    });
    let table = table(&["scope", "", "reason", "used for", "data"], rows);
    format!(
        "# Scopes of {name}\n\n{description}\n\nEach scope is used; none is asked for in advance. A user may leave out an \
         optional one, and what needs it is then off for that user alone.\n\n{table}",
        name = app.name,
        description = app.scope_description,
    )
}

fn why(event: &str) -> &'static str {
    match event {
        "recording.completed" => {
            "The recording's files can be fetched now; without it the list of recordings would have to be polled."
        }
        "recording.transcript_completed" => "The transcript comes later than the other files.",
        "recording.trashed" | "recording.deleted" | "recording.batch_trashed" | "recording.batch_deleted" => {
            "A record that the recording's owner removed it at Zoom."
        }
        "recording.recovered" | "recording.batch_recovered" => {
            "A record that a recording came back from the trash."
        }
        "recording.renamed" => "A record of the recording's present title.",
        "meeting.ended" => "A record that a recording may come.",
        "app_deauthorized" => "A record that the user removed the app.",
        "user.deactivated" | "user.deleted" | "user.disassociated" => "A record that the user is gone.",
        _ => "As the name of the subscription says.",
    }
}

/// `events.md`
pub(super) fn events(values: &Values<'_>) -> String {
    let app = values.app;
    let mut text = format!("# Events of {}\n\n", app.name);
    if app.events.is_empty() {
        text.push_str("The app subscribes to no events.\n");
    } else {
        let rows = app.events.iter().flat_map(|subscription| {
            subscription.types.iter().map(|event| {
                row(&[
                    &subscription.name,
                    &format!("`{event}`"),
                    &format!("`{}`", app.events_url),
                    why(event),
                ])
            })
        });
        text += &table(&["subscription", "event", "endpoint", "why"], rows);
    }
    if let Some(chat) = &app.chat {
        // Writing to a text cannot fail.
        let _ = write!(
            text,
            "\nWhat is said to the bot (`bot_notification`, interactive messages) and its installation come to `{}`.\n",
            chat.message_url
        );
    }
    text += "\nEvery request is accepted only with a valid `x-zm-signature` over its raw bytes, made with the app's secret token \
             and no older than Zoom's last retry; anything else is refused before it is read. It is answered with 2xx only after \
             it is stored, so none is lost, and a repeated one does nothing.\n";
    text
}

/// `domains.md`
pub(super) fn domains(values: &Values<'_>) -> String {
    let Values {
        region, app, host, ..
    } = values;
    let listing = &region.zoom.listing;
    let mut urls = vec![
        ("redirect URI", app.redirect_url.as_str()),
        ("install page", &app.install_url),
    ];
    if !app.events.is_empty() {
        urls.push(("events", &app.events_url));
    }
    if let Some(chat) = &app.chat {
        urls.push(("bot", &chat.message_url));
    }
    urls.extend([
        ("privacy policy", listing.privacy_url.as_str()),
        ("terms of use", &listing.terms_url),
        ("support", &listing.support_url),
        ("documentation", &listing.documentation_url),
    ]);
    let oauth = &values.manifest.oauth_information;
    let development = oauth
        .development_redirect_uri
        .as_deref()
        .filter(|uri| *uri != app.redirect_url);
    urls.extend(development.map(|uri| ("redirect URI in development", uri)));
    let rows = urls.iter().map(|(what, url)| row(&[what, &format!("`{url}`")]));
    let table = table(&["what", "URL"], rows);
    format!(
        "# Domains of {name}\n\nAll endpoints of the app are on `{host}`, the host of the region {region} alone; redirects are \
         exact (strict mode and sub-domain check are on, and the allow list holds nothing else).\n\n{table}\nTo validate the \
         domain by file, put Zoom's text into the region's settings: it is served as \
         `https://{host}/zoomverify/verifyzoom.html`. The domains of the other pages are validated where those pages are \
         served.\n",
        name = app.name,
        region = region.region.name,
    )
}
