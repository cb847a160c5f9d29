//! Recordings and events as HTML.

use chrono::DateTime;
use maud::{Markup, html};
use serde_json::Value;

use super::super::backend::{Failure, File, Page, Recording};
use super::super::inbox::ReceivedEvent;
use super::badge;

/// The list of recordings.
pub(in super::super) fn recordings(list: &Result<Page<Recording>, Failure>, is_later_page: bool) -> Markup {
    html! {
        h1 { "Recordings" }
        @match list {
            Err(failure) => p.note role="alert" { (failure) },
            Ok(page) if page.data.is_empty() => div.empty {
                @if is_later_page {
                    p { "There are no more." }
                } @else {
                    p { strong { "Nothing here yet." } }
                    p { "Connect Zoom in the " a href="/settings" { "settings" } ", then finish a recording. It appears here when every file is stored." }
                }
            },
            Ok(page) => {
                ul.list {
                    @for recording in &page.data { (row(recording)) }
                }
                @if let Some(cursor) = &page.next_cursor {
                    form method="get" action="/recordings" {
                        input type="hidden" name="cursor" value=(cursor);
                        button.plain type="submit" { "Older ones" }
                    }
                }
            }
        }
    }
}

fn row(recording: &Recording) -> Markup {
    let stored = recording
        .files
        .iter()
        .filter(|file| file.status == "stored")
        .count();
    let bytes = recording.files.iter().filter_map(|file| file.size_bytes).sum();
    html! {
        li.card {
            div.head {
                h2 { a href=(path_of(recording)) { (title_of(recording)) } }
                (badge(&recording.status.replace('_', " "), tone(&recording.status)))
            }
            p.meta {
                @if let Some(start) = &recording.meeting.started_at { (when(start)) " · " }
                (stored) " of " (recording.files.len()) " files stored · " (size(bytes))
            }
            ul.chips {
                @for file in recording.files.iter().filter(|file| file.status == "stored") {
                    li { a href=(content_of(recording, file)) { (action(file)) " " (label(file)) } }
                }
            }
        }
    }
}

/// One recording with its player and its files.
pub(in super::super) fn recording(recording: &Recording) -> Markup {
    let stored = || recording.files.iter().filter(|file| file.status == "stored");
    let videos = stored().filter(|file| medium(file) == Medium::Video);
    let audios = stored().filter(|file| medium(file) == Medium::Audio);
    let captions = stored().find(|file| extension(file) == "vtt");
    html! {
        p.crumb { a href="/recordings" { "← All recordings" } }
        div.head {
            h1 { (title_of(recording)) }
            (badge(&recording.status.replace('_', " "), tone(&recording.status)))
        }
        p.meta {
            @if let Some(start) = &recording.meeting.started_at { (when(start)) " · " }
            code { (recording.id) }
        }
        @for file in videos {
            video controls preload="metadata" aria-label=(label(file)) {
                source src=(content_of(recording, file)) type="video/mp4";
                @if let Some(captions) = captions {
                    track kind="captions" label="Transcript" src=(content_of(recording, captions));
                }
            }
        }
        @for file in audios {
            audio controls preload="metadata" src=(content_of(recording, file)) aria-label=(label(file)) {}
        }
        section.card aria-labelledby="files" {
            div.head { h2 #files { "Files" } }
            ul.files {
                @for file in &recording.files { (file_row(recording, file)) }
            }
        }
    }
}

fn file_row(recording: &Recording, file: &File) -> Markup {
    html! {
        li {
            div.what {
                strong { (label(file)) }
                span.meta {
                    @if let Some(bytes) = file.size_bytes { (size(bytes)) " · " }
                    (file.status.replace('_', " "))
                }
            }
            @if file.status == "stored" {
                a.button href=(content_of(recording, file)) {
                    (action(file)) span.unseen { " " (label(file)) }
                }
            }
            @if let Some(sha256) = &file.sha256 {
                p.digest { span { "SHA-256" } code { (sha256) } }
            }
        }
    }
}

/// The events of one user.
pub(in super::super) fn events(events: &[ReceivedEvent]) -> Markup {
    html! {
        h1 { "Events" }
        p.lead { "What the region has told this app about you. Each signature was verified before anything was kept." }
        @if events.is_empty() {
            div.empty { p { strong { "No events yet." } } p { "The first comes when a recording is stored." } }
        } @else {
            ul.list {
                @for event in events { (event_row(event)) }
            }
        }
    }
}

fn event_row(event: &ReceivedEvent) -> Markup {
    let body = event.event();
    let pretty = serde_json::to_string_pretty(&body).unwrap_or_else(|_| event.body.clone());
    let about = about(&event.event_type(), &body["data"]);
    html! {
        li.card {
            div.head {
                h2 { code { (event.event_type()) } }
                (badge("signature verified", "good"))
            }
            p.meta {
                (when(&event.received_at.to_rfc3339()))
                @if let Some(about) = about { " · " (about) }
                @if event.duplicates > 0 { " · delivered " (event.duplicates + 1) " times, kept once" }
            }
            p.digest { span { "Id" } code { (event.webhook_id) } }
            details {
                summary { "What was sent" }
                pre tabindex="0" { (pretty) }
            }
        }
    }
}

/// What an event says, in a few words.
fn about(event_type: &str, data: &Value) -> Option<String> {
    let reason = [&data["refusal"]["reason"], &data["reason"]]
        .into_iter()
        .find_map(Value::as_str)
        .map(|reason| reason.replace('_', " "));
    let words = match event_type {
        "link.active" => "Zoom is connected",
        "link.recovered" => "the connection works again",
        "link.needs_reauthorization" => "Zoom asks for consent again",
        "link.revoked" => "Zoom is disconnected",
        "link.refused" => "a connection was refused",
        _ => return data["recording"]["meeting"]["topic"].as_str().map(str::to_owned),
    };
    Some(match reason {
        Some(reason) => format!("{words}: {reason}"),
        None => words.to_owned(),
    })
}

/// The meeting's topic, or words in its place.
pub(in super::super) fn title_of(recording: &Recording) -> &str {
    let topic = recording.meeting.topic.as_deref().unwrap_or_default();
    if topic.is_empty() {
        "Meeting without a topic"
    } else {
        topic
    }
}

fn path_of(recording: &Recording) -> String {
    format!("/recordings/{}", recording.id)
}

fn content_of(recording: &Recording, file: &File) -> String {
    format!("/recordings/{}/files/{}", recording.id, file.id)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Medium {
    Video,
    Audio,
    Text,
}

fn extension(file: &File) -> String {
    file.extension.as_deref().unwrap_or_default().to_ascii_lowercase()
}

fn medium(file: &File) -> Medium {
    match extension(file).as_str() {
        "mp4" => Medium::Video,
        "m4a" => Medium::Audio,
        _ => Medium::Text,
    }
}

fn action(file: &File) -> &'static str {
    if medium(file) == Medium::Text {
        "Open"
    } else {
        "Play"
    }
}

/// What a person calls the file.
fn label(file: &File) -> String {
    let kind = file.kind.to_ascii_lowercase();
    let known = match kind.as_str() {
        "mp4" | "video" => "video",
        "m4a" | "audio" => "audio",
        "transcript" => "transcript",
        "chat" => "meeting chat",
        "cc" | "closed_caption" => "captions",
        "timeline" => "timeline",
        "csv" | "poll" => "poll",
        "summary" => "summary",
        "tb" | "thumbnail" => "thumbnail",
        "chat_message" => "team chat",
        _ => return format!("{} ({})", kind.replace('_', " "), extension(file)),
    };
    known.to_owned()
}

fn tone(status: &str) -> &'static str {
    match status {
        "stored" => "good",
        "failed" | "incomplete" => "warn",
        _ => "plain",
    }
}

/// A time for people and for machines; text that is no time stays as it is.
pub(super) fn when(text: &str) -> Markup {
    let time = DateTime::parse_from_rfc3339(text).ok();
    html! {
        @if let Some(time) = time {
            time datetime=(text) { (time.to_utc().format("%-d %B %Y, %H:%M UTC")) }
        } @else {
            (text)
        }
    }
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["bytes", "KiB", "MiB", "GiB"];
    let mut unit = 0;
    let (mut whole, mut rest) = (bytes, 0);
    while whole >= 1024 && unit + 1 < UNITS.len() {
        rest = whole % 1024;
        whole /= 1024;
        unit += 1;
    }
    if unit == 0 {
        format!("{whole} {}", UNITS[unit])
    } else {
        format!("{whole}.{} {}", rest * 10 / 1024, UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sizes_are_read_by_people() {
        assert_eq!(size(0), "0 bytes");
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(20 * 1024 * 1024), "20.0 MiB");
        assert_eq!(size(u64::MAX), "17179869183.9 GiB");
    }

    #[test]
    fn events_about_links_are_told_with_their_reason() {
        let told = |event_type: &str, data: Value| about(event_type, &data).unwrap();
        let refusal = json!({ "refusal": { "reason": "subject_mismatch" } });
        assert_eq!(
            told("link.refused", refusal),
            "a connection was refused: subject mismatch"
        );
        let ended = json!({ "link": {}, "reason": "user_gone" });
        assert_eq!(
            told("link.needs_reauthorization", ended),
            "Zoom asks for consent again: user gone"
        );
        assert_eq!(told("link.active", json!({})), "Zoom is connected");
        let recording = json!({ "recording": { "meeting": { "topic": "Board" } } });
        assert_eq!(told("recording.stored", recording), "Board");
        assert_eq!(about("recording.stored", &json!({})), None);
    }

    #[test]
    fn text_that_is_no_time_is_shown_as_it_is() {
        assert_eq!(when("<soon>").into_string(), "&lt;soon&gt;");
        assert!(
            when("2026-06-01T12:00:00Z")
                .into_string()
                .contains("1 June 2026, 12:00 UTC")
        );
    }
}
