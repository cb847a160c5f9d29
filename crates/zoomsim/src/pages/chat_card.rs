//! A bot's card as Zoom's client would show it, in words and controls of this page; what is not known is shown as JSON.
//! Everything in it is the bot's word: text is escaped, links lead to http(s) only, images stay links.

use maud::{Markup, html};
use serde_json::Value;
use url::Url;

use crate::model::chat::ChatMessage;
use crate::pages::chat::View;

/// Sections in sections are shown so deep.
const LEVELS: usize = 8;

/// What a card is part of: a message that can be acted on, or a preview that cannot.
#[derive(Clone, Copy)]
struct Within<'a> {
    acts: Option<(&'a View, &'a str)>,
    levels: usize,
}

impl Within<'_> {
    /// The form to which the card's inputs belong, wherever they stand: buttons between them act alone.
    fn form_id(self) -> Option<String> {
        self.acts.map(|(_, message_id)| format!("form-{message_id}"))
    }
}

/// The card of a message.
pub(crate) fn card(view: &View, message_id: &str, content: &Value) -> Markup {
    let within = Within {
        acts: Some((view, message_id)),
        levels: LEVELS,
    };
    let has_form = inputs(content);
    html! {
        div.card {
            (head(content))
            (body(content, within))
            @if has_form {
                form.row method="post" action="/chat/submit" id=[within.form_id()] {
                    (view.fields())
                    input type="hidden" name="message" value=(message_id);
                    button.main { "Submit" }
                }
            }
        }
    }
}

/// The preview of a link.
pub(crate) fn preview(content: &Value) -> Markup {
    let within = Within {
        acts: None,
        levels: LEVELS,
    };
    html! { div.card { (head(content)) (body(content, within)) } }
}

/// The first words of a message, for those that answer it.
pub(crate) fn first_words(message: &ChatMessage) -> String {
    let text = match &message.content {
        Some(content) => text_of(&content["head"]["text"])
            .or_else(|| text_of(&content["body"][0]["text"]))
            .unwrap_or("a card"),
        None => &message.text,
    };
    text.chars().take(40).collect()
}

/// Text whose web addresses are links.
pub(crate) fn with_links(text: &str) -> Markup {
    html! {
        @for (index, word) in text.split(' ').enumerate() {
            @if index > 0 { " " }
            @if let Some(url) = safe(word) { (link(&url, word)) } @else { (word) }
        }
    }
}

fn head(content: &Value) -> Markup {
    let head = &content["head"];
    html! {
        @if let Some(text) = text_of(&head["text"]) { p.head { (styled(text, &head["style"])) } }
        @if let Some(text) = text_of(&head["sub_head"]["text"]) {
            p.faint { (styled(text, &head["sub_head"]["style"])) }
        }
    }
}

fn body(content: &Value, within: Within<'_>) -> Markup {
    html! { @for element in elements(&content["body"]) { (shown(element, within)) } }
}

fn elements(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

/// True if something in the card is filled in and submitted.
fn inputs(content: &Value) -> bool {
    let mut content = content.clone();
    let mut found = false;
    crate::control::visit(&mut content, &mut |element| {
        found |= element["type"]
            .as_str()
            .is_some_and(|kind| INPUTS.contains(&kind));
    });
    found
}

const INPUTS: [&str; 5] = [
    "plain_text_input",
    "checkboxes",
    "radio_buttons",
    "datepicker",
    "timepicker",
];

fn shown(element: &Value, within: Within<'_>) -> Markup {
    match element["type"].as_str().unwrap_or_default() {
        "message" => message(element, within),
        "fields" => fields(element, within),
        "actions" => actions(element, within),
        "select" => select(element, within),
        "attachments" => attachment(element),
        "section" if within.levels > 0 => section(element, within),
        "page" if within.levels > 0 => pages(element, within),
        "progress_bar" => progress(element),
        "divider" => html! { hr; },
        "alert" => alert(element),
        "file" => file(element),
        "images" => images(element),
        "video" => video(element),
        "plain_text_input" => text_input(element, within),
        "checkboxes" => options(element, "checkbox", within),
        "radio_buttons" => options(element, "radio", within),
        "datepicker" => picker(element, "date", "initial_date", within),
        "timepicker" => picker(element, "time", "initial_time", within),
        _ => unknown(element),
    }
}

/// A form with one act.
fn act(within: Within<'_>, name: &str, inner: &Markup) -> Markup {
    let Some((view, message_id)) = within.acts else {
        return html! { fieldset disabled { legend.hidden { "Cannot be used here" } (inner) } };
    };
    html! {
        form.row method="post" action="/chat/act" {
            (view.fields())
            input type="hidden" name="message" value=(message_id);
            input type="hidden" name="act" value=(name);
            (inner)
        }
    }
}

fn message(element: &Value, within: Within<'_>) -> Markup {
    let text = text_of(&element["text"]).unwrap_or_default();
    let link_to = text_of(&element["link"]).and_then(safe);
    html! {
        @if let Some(url) = link_to { p.text { (link(&url, text)) } }
        @else { p.text { (styled(text, &element["style"])) } }
        @if element["editable"] == true {
            (act(within, "edit", &html! {
                input type="hidden" name="origin" value=(text);
                label { "Change this text" input name="text" value=(text) required; }
                button { "Save" }
            }))
        }
    }
}

fn fields(element: &Value, within: Within<'_>) -> Markup {
    html! {
        dl {
            @for item in elements(&element["items"]) {
                @let key = text_of(&item["key"]).unwrap_or_default();
                @let value = text_of(&item["value"]).unwrap_or_default();
                div {
                    dt { (key) }
                    dd { (with_links(value)) }
                }
            }
        }
        @for item in elements(&element["items"]).iter().filter(|item| item["editable"] == true) {
            @let key = text_of(&item["key"]).unwrap_or_default();
            (act(within, "edit_field", &html! {
                input type="hidden" name="key" value=(key);
                label { "Change " (key) input name="value" value=(text_of(&item["value"]).unwrap_or_default()); }
                button { "Save" }
            }))
        }
    }
}

fn actions(element: &Value, within: Within<'_>) -> Markup {
    let buttons = html! {
        @for item in elements(&element["items"]) {
            @let style = item["style"].as_str().unwrap_or("Default");
            button name="value" value=(text_of(&item["value"]).unwrap_or_default())
                class=(match style { "Primary" => "main", "Danger" => "danger", _ => "" })
                disabled[style == "Disabled"] {
                (text_of(&item["text"]).unwrap_or_default())
            }
        }
    };
    act(within, "click", &buttons)
}

fn select(element: &Value, within: Within<'_>) -> Markup {
    let label = text_of(&element["text"]).unwrap_or("Choose");
    let chosen = text_of(&element["selected_item"]["value"]);
    let inner = html! {
        @if let Some(source) = text_of(&element["static_source"]) {
            label { (label) " (an id from " (source) ")" input name="value" value=(chosen.unwrap_or_default()) required; }
        } @else {
            label { (label) select name="value" {
                @for item in elements(&element["select_items"]) {
                    @let value = text_of(&item["value"]).unwrap_or_default();
                    option value=(value) selected[chosen == Some(value)] { (text_of(&item["text"]).unwrap_or_default()) }
                }
            } }
        }
        button { "Choose" }
    };
    act(within, "select", &inner)
}

fn attachment(element: &Value) -> Markup {
    let title = text_of(&element["information"]["title"]["text"]).unwrap_or("Attachment");
    let about = text_of(&element["information"]["description"]["text"]);
    html! {
        div.inset {
            p { (link_or_text(&element["resource_url"], title)) }
            @if let Some(about) = about { p.faint { (about) } }
            @if let Some(url) = text_of(&element["img_url"]).and_then(safe) { p.faint { (link(&url, "Picture")) } }
        }
    }
}

fn section(element: &Value, within: Within<'_>) -> Markup {
    let inner = Within {
        levels: within.levels - 1,
        ..within
    };
    let color = text_of(&element["sidebar_color"]).filter(|color| is_color(color));
    html! {
        div.inset style=[color.map(|color| format!("border-left-color: {color}"))] {
            @for element in elements(&element["sections"]) { (shown(element, inner)) }
            @if let Some(footer) = text_of(&element["footer"]) {
                p.faint { (footer) @if let Some(time) = time_of(&element["ts"]) { " · " (time) } }
            }
        }
    }
}

fn pages(element: &Value, within: Within<'_>) -> Markup {
    let inner = Within {
        levels: within.levels - 1,
        ..within
    };
    html! {
        @for (index, page) in elements(&element["pages"]).iter().enumerate() {
            details open[index == 0] { summary { "Page " (index + 1) } (body(page, inner)) }
        }
    }
}

fn progress(element: &Value) -> Markup {
    let value = element["value"].as_f64().unwrap_or_default().clamp(0.0, 100.0);
    let value = value.to_string();
    html! { p.progress { progress max="100" value=(value) aria-label="Progress" {} " " (value) " %" } }
}

fn alert(element: &Value) -> Markup {
    let level = text_of(&element["level"]).unwrap_or("info");
    html! { p.notice { b { (level) ": " } (text_of(&element["text"]).unwrap_or_default()) } }
}

fn file(element: &Value) -> Markup {
    let title = text_of(&element["title"]["text"]).unwrap_or("File");
    html! {
        div.inset {
            p { (link_or_text(&element["title"]["file_url"], title)) }
            @if let Some(about) = text_of(&element["description"]["text"]) { p.faint { (about) } }
        }
    }
}

fn images(element: &Value) -> Markup {
    html! {
        ul.plain {
            @for image in elements(&element["images"]) {
                li { (link_or_text(&image["image_url"], text_of(&image["alt_text"]).unwrap_or("Picture"))) }
            }
        }
    }
}

fn video(element: &Value) -> Markup {
    let title = text_of(&element["title"]["text"]).unwrap_or("Video");
    html! { div.inset { p { (link_or_text(&element["video_url"], title)) } p.faint { "a video" } } }
}

fn text_input(element: &Value, within: Within<'_>) -> Markup {
    let name = format!("item.{}", text_of(&element["action_id"]).unwrap_or_default());
    let value = text_of(&element["value"]).unwrap_or_default();
    let placeholder = text_of(&element["placeholder"]);
    html! {
        label {
            (text_of(&element["text"]).unwrap_or("Text"))
            @if element["multiline"] == true { textarea name=(name) form=[within.form_id()] disabled[within.acts.is_none()] placeholder=[placeholder] { (value) } }
            @else { input name=(name) form=[within.form_id()] disabled[within.acts.is_none()] value=(value) placeholder=[placeholder]; }
        }
    }
}

fn options(element: &Value, kind: &str, within: Within<'_>) -> Markup {
    let action = text_of(&element["action_id"]).unwrap_or_default();
    let initial = text_of(&element["initial_option"]["value"]);
    html! {
        fieldset {
            legend { (text_of(&element["text"]).unwrap_or(action)) }
            @for item in elements(&element["options"]) {
                @let value = text_of(&item["value"]).unwrap_or_default();
                label.tick {
                    input type=(kind) name={ "item." (action) } form=[within.form_id()] disabled[within.acts.is_none()] value=(value)
                        checked[item["initial_selected"] == true || initial == Some(value)];
                    (text_of(&item["text"]).unwrap_or_default())
                }
            }
        }
    }
}

fn picker(element: &Value, kind: &str, initial: &str, within: Within<'_>) -> Markup {
    let action = text_of(&element["action_id"]).unwrap_or_default();
    html! {
        label {
            (text_of(&element["text"]).unwrap_or(action))
            input type=(kind) name={ "item." (action) } form=[within.form_id()] disabled[within.acts.is_none()]
                value=(text_of(&element[initial]).unwrap_or_default());
        }
    }
}

fn unknown(element: &Value) -> Markup {
    html! { pre tabindex="0" { (serde_json::to_string_pretty(element).unwrap_or_default()) } }
}

/// Text as it should look. A colour is a dot before it: as the colour of text nobody could promise that it can be read.
fn styled(text: &str, style: &Value) -> Markup {
    let color = text_of(&style["color"]).filter(|color| is_color(color));
    let class = match (style["bold"] == true, style["italic"] == true) {
        (true, true) => "strong slanted",
        (true, false) => "strong",
        (false, true) => "slanted",
        (false, false) => "",
    };
    html! {
        @if let Some(color) = color { span.dot aria-hidden="true" style={ "background: " (color) } {} " " }
        span class=(class) { (with_links(text)) }
    }
}

fn link_or_text(url: &Value, text: &str) -> Markup {
    match text_of(url).and_then(safe) {
        Some(url) => link(&url, text),
        None => html! { (text) },
    }
}

fn link(url: &Url, text: &str) -> Markup {
    html! { a href=(url) target="_blank" rel="noopener noreferrer" { (text) } }
}

fn text_of(value: &Value) -> Option<&str> {
    value.as_str()
}

/// A URL that a click may lead to.
fn safe(text: &str) -> Option<Url> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
}

/// `#rgb` to `#rrggbbaa`, or a name: nothing that could be more than a colour.
fn is_color(text: &str) -> bool {
    match text.strip_prefix('#') {
        Some(digits) => {
            (3..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
        None => !text.is_empty() && text.len() <= 24 && text.bytes().all(|byte| byte.is_ascii_alphabetic()),
    }
}

fn time_of(value: &Value) -> Option<String> {
    let seconds = value.as_i64()?;
    // Samples have both seconds and milliseconds.
    let seconds = if seconds > 100_000_000_000 {
        seconds / 1_000
    } else {
        seconds
    };
    let time = chrono::DateTime::from_timestamp(seconds, 0)?;
    Some(time.format("%Y-%m-%d %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_bot_says_is_text_and_never_markup() {
        let content = json!({
            "head": { "text": "<b>head</b>", "style": { "color": "red;position:fixed" } },
            "body": [
                { "type": "message", "text": "click", "link": "javascript:alert(1)" },
                { "type": "message", "text": "see https://a.example/x?<y>" },
                { "type": "section", "sidebar_color": "#fff\" onload=\"x", "sections": [
                    { "type": "fields", "items": [{ "key": "<k>", "value": "\"'<v>" }] }] },
                { "type": "hologram", "<x>": "<script>alert(1)</script>" },
            ],
        });
        let page = card(&View::default(), "m<1>", &content).into_string();
        assert!(page.contains("&lt;b&gt;head&lt;/b&gt;") && page.contains("&lt;script&gt;"));
        for never in [
            "<b>head",
            "<script",
            "javascript:",
            "position:fixed",
            "onload=\"x",
            "<k>",
            "m<1>",
        ] {
            assert!(!page.contains(never), "{never}");
        }
        assert!(page.contains(r#"href="https://a.example/x?%3Cy%3E""#), "{page}");
        assert!(page.contains("hologram"), "unknown elements are shown as JSON");
    }

    #[test]
    fn every_control_of_a_card_names_its_act() {
        let content = json!({ "body": [
            { "type": "actions", "items": [{ "text": "Go", "value": "go", "style": "Primary" },
                { "text": "No", "value": "no", "style": "Disabled" }] },
            { "type": "select", "text": "Pick", "select_items": [{ "text": "A", "value": "a" }] },
            { "type": "message", "text": "old", "editable": true },
            { "type": "fields", "items": [{ "key": "Title", "value": "x", "editable": true }] },
            { "type": "progress_bar", "value": 140 },
        ] });
        let page = card(&View::default(), "m1", &content).into_string();
        for act in ["click", "select", "edit", "edit_field"] {
            assert!(page.contains(&format!(r#"name="act" value="{act}""#)), "{act}");
        }
        assert!(page.contains("disabled") && page.contains(r#"value="100""#));
        assert!(
            !preview(&content).into_string().contains("<form"),
            "a preview cannot be used"
        );
    }
}
