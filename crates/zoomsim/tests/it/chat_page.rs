//! The chat page, as a browser uses it.

use domicile_zoomsim::{NewBot, Usage};
use serde_json::json;

use crate::chat::{Chat, chat_with};

impl Chat {
    fn view(&self) -> String {
        format!("user={}&place=bot%3A{}", self.user.id, self.app.client_id)
    }

    async fn page(&self, path: &str) -> String {
        let mut response = self.world.http.get(self.world.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 200);
        String::from_utf8(response.body().await.unwrap().to_vec()).unwrap()
    }

    async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let place = format!("bot:{}", self.app.client_id);
        let view = [("user", self.user.id.as_str()), ("place", &place)];
        let fields = [view.as_slice(), fields].concat();
        let url = self.world.url(path);
        let response = self.world.http.post(url).send_form(&fields).await.unwrap();
        assert_eq!(response.status(), 303, "{path}");
        let to = response.headers().get("location").unwrap();
        to.to_str().unwrap().to_owned()
    }
}

#[actix_web::test]
async fn a_person_talks_with_the_bot_and_uses_its_cards() {
    let chat = chat_with(Usage::AdminManaged, |bot| bot).await;
    let card = json!({ "head": { "text": "Status <of> all" }, "body": [
        { "type": "actions", "items": [{ "text": "Go", "value": "go", "style": "Primary" }] },
        { "type": "select", "text": "Pick", "select_items": [{ "text": "A", "value": "a" }] },
        { "type": "message", "text": "old", "editable": true },
        { "type": "fields", "items": [{ "key": "Title", "value": "x", "editable": true }] },
        { "type": "plain_text_input", "action_id": "name", "text": "Name" },
    ] });
    let id = chat.sent(&chat.user_jid(), &card).await;
    let page = chat.page(&format!("chat?{}", chat.view())).await;
    assert!(page.contains("Status &lt;of&gt; all") && page.contains("Minutebook (bot)"));
    assert!(page.contains(r#"script src="/chat.js""#) && !page.contains("https://"));

    assert!(
        !chat
            .submit("chat/say", &[("text", "<i>help</i>")])
            .await
            .contains("note=")
    );
    assert_eq!(chat.last()["payload"]["cmd"], "<i>help</i>");
    let acts: [(&[(&str, &str)], &str); 4] = [
        (
            &[("act", "click"), ("value", "go")],
            "interactive_message_actions",
        ),
        (&[("act", "select"), ("value", "a")], "interactive_message_select"),
        (
            &[("act", "edit"), ("origin", "old"), ("text", "new")],
            "interactive_message_editable",
        ),
        (
            &[("act", "edit_field"), ("key", "Title"), ("value", "y")],
            "interactive_message_fields_editable",
        ),
    ];
    for (fields, event) in acts {
        let fields = [&[("message", id.as_str())], fields].concat();
        let to = chat.submit("chat/act", &fields).await;
        assert!(!to.contains("note="), "{to}");
        assert_eq!(chat.last()["event"], event);
    }
    chat.submit("chat/submit", &[("message", &id), ("item.name", "Ada")])
        .await;
    assert_eq!(
        chat.last()["payload"]["object"]["submit_items"],
        json!([{ "action_id": "name", "value": "Ada" }])
    );
    let part = chat.page(&format!("chat/messages?{}", chat.view())).await;
    assert!(part.contains("&lt;i&gt;help") && part.contains("new") && !part.contains("<html"));

    let gone = format!(
        "messages/{id}?account_id={}&robot_jid=v1abc%40xmpp.zoom.us",
        chat.user.account_id
    );
    chat.call("DELETE", &gone, Some(&chat.token), None).await;
    let part = chat.page(&format!("chat/messages?{}", chat.view())).await;
    assert!(!part.contains("Status"), "a deleted card vanishes");
}

#[actix_web::test]
async fn channels_and_bots_are_made_added_and_removed_there() {
    let chat = chat_with(Usage::UserManaged, |bot| NewBot {
        unfurl_domains: vec!["minutebook.example".into()],
        ..bot
    })
    .await;
    let other = chat.world.user();
    let to = chat
        .submit("chat/channels", &[("name", "Team <1>"), ("member", &other.id)])
        .await;
    assert!(to.contains("place=channel"), "{to}");
    let channels = chat.world.sim().channels();
    let made = channels.iter().find(|it| it.name == "Team <1>").unwrap();
    assert_eq!(made.member_ids, [chat.user.id.clone(), other.id]);
    let fields = [("client_id", chat.app.client_id.as_str())];
    chat.submit("chat/uninstall", &fields).await;
    assert!(chat.world.sim().grants().is_empty());
    let note = chat.submit("chat/say", &[("text", "help")]).await;
    assert!(note.contains("note="), "she does not have the bot any more");
    chat.submit("chat/install", &fields).await;
    assert_eq!(chat.last()["event"], "bot_installed");
    let page = chat.page("chat?user=nobody&place=nowhere").await;
    assert!(page.contains("Team &lt;1&gt;"));
    let desk = chat.page("").await;
    assert!(desk.contains(r#"href="/chat""#) && desk.contains("/minutebook"));
}
