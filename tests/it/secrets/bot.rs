//! What the bot says, with and without success.

use http::Method;
use serde_json::{Value, json};

use super::story::Story;
use crate::harness::eventually;
use crate::harness::world::ALICE;

impl Story {
    /// A message that is kept, one that cannot be, a newer content, a preview, and a text taken back.
    pub(super) async fn bot(&mut self) {
        let texts = [
            "a-message-of-the-bot-for-one-person",
            "a-better-message-of-the-bot",
            "a-message-that-is-refused",
            "a-preview-of-a-link",
        ];
        for text in texts {
            self.detector.add("message", text);
        }
        let [first, better, refused, preview] = texts;
        let card = |text: &str| json!({ "head": { "text": text } });
        let new = json!({ "to": { "subject": ALICE }, "content": card(first) });
        let answer = self.bot_call(Method::POST, "/v1/bot/messages", &new).await;
        assert_eq!(answer["to"]["subject"], ALICE, "{answer}");
        let path = format!("/v1/bot/messages/{}", answer["id"].as_str().unwrap());
        // Whatever this Zoom makes of it: it is over.
        eventually("the end of the message", async || {
            self.hurry().await;
            let read = self.world.api(Method::GET, &path, None).await.json();
            (read["status"] != "pending" && read["status"] != "sending").then_some(())
        })
        .await;
        self.bot_call(Method::PUT, &path, &json!({ "content": card(better) }))
            .await;
        let wrong = json!({ "to": { "subject": ALICE }, "content": { "head": { "text": [refused] } } });
        let answer = self.bot_call(Method::POST, "/v1/bot/messages", &wrong).await;
        assert_eq!(answer["errors"][0]["field"], "content.head.text", "{answer}");
        let link =
            json!({ "body": [{ "type": "message", "text": refused, "link": format!("http://{refused}") }] });
        self.bot_call(Method::PUT, &path, &json!({ "content": link }))
            .await;
        let unfurl = json!({ "trigger_id": "t", "subject": ALICE, "content": card(preview) });
        self.bot_call(Method::POST, "/v1/bot/unfurls", &unfurl).await;
        let answer = self.world.api(Method::DELETE, &path, None).await;
        assert_eq!(answer.status, 202);
        self.keep("a message taken back", answer, &[]);
    }

    async fn bot_call(&mut self, method: Method, path: &str, body: &Value) -> Value {
        let answer = self.world.api(method, path, Some(body.clone())).await;
        let answer = self.keep(path, answer, &[]);
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }
}
