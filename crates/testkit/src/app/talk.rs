//! What the app answers to what is said to the bot.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::inbox::ReceivedEvent;

/// Answers in the response to an event: those that a test sets, else the demo's own.
pub(super) struct Talk {
    set: Mutex<HashMap<String, Value>>,
    stalled: watch::Sender<bool>,
}

impl Default for Talk {
    fn default() -> Self {
        Self {
            set: Mutex::default(),
            stalled: watch::Sender::new(false),
        }
    }
}

impl Talk {
    pub(super) fn set(&self, event_type: &str, answer: Value) {
        self.lock().insert(event_type.to_owned(), answer);
    }

    /// While it is stalled, no delivery is answered.
    pub(super) fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }

    pub(super) async fn go_on(&self) {
        // The sender lives in `self`, so it never fails.
        let _ = self.stalled.subscribe().wait_for(|stalled| !stalled).await;
    }

    /// The body of the answer; none where there is nothing to say.
    pub(super) fn answer(&self, event: &ReceivedEvent) -> Option<Value> {
        let set = self.lock().get(&event.event_type()).cloned();
        set.or_else(|| demo(&event.event()))
            .filter(|answer| !answer.is_null())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Value>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A small conversation for people who try the bot in a browser.
fn demo(event: &Value) -> Option<Value> {
    let data = &event["data"];
    let text = |pointer: &str| {
        data.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let content = match event["type"].as_str()? {
        "bot.command" if text("/command/name") == "tasks" => json!({
            "head": { "text": "Your tasks", "sub_head": { "text": "Demo app" } },
            "body": [
                { "type": "fields", "items": [
                    { "key": "Minutes", "value": "Quarterly numbers", "editable": true },
                    { "key": "Due", "value": "Friday", "editable": false },
                ] },
                { "type": "actions", "items": [
                    { "text": "Done", "value": "done", "style": "Primary" },
                    { "text": "Not mine", "value": "refuse", "style": "Danger" },
                ] },
                { "type": "select", "text": "Priority", "select_items": [
                    { "text": "High", "value": "high" }, { "text": "Low", "value": "low" },
                ] },
            ],
        }),
        "bot.command" => json!({
            "head": { "text": format!("I do not know \u{201c}{}\u{201d}", text("/command/text")) },
            "body": [{ "type": "message", "text": "Try \u{201c}tasks\u{201d}." }],
        }),
        "bot.action" => {
            let card = json!({
                "head": { "text": "Your tasks" },
                "body": [{ "type": "message", "text": format!("You chose \u{201c}{}\u{201d}.", text("/action/text")) }],
            });
            return Some(json!({ "reply": { "content": card, "replace": true } }));
        }
        "bot.selection" => {
            let chosen = text("/selection/values/0");
            return Some(json!({ "reply": { "text": format!("The priority is {chosen} now.") } }));
        }
        "bot.edit" => {
            let to = text("/edit/to");
            return Some(json!({ "reply": { "text": format!("Noted: {to}") } }));
        }
        "bot.mention" => return Some(json!({ "reply": { "text": "Here I am." } })),
        _ => return None,
    };
    Some(json!({ "reply": { "content": content } }))
}
