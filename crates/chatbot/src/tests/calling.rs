use actix_web::http::{Method, header};
use actix_web::{test, web};
use domicile_web::extract::AppKeys;

use super::*;
use crate::routes::Bot;
use crate::{Person, remember};

/// SHA-256 of `key`.
const APP_KEYS: &str = "app:2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683";

struct Answered {
    status: u16,
    location: Option<String>,
    body: Value,
}

impl Answered {
    /// The last part of a problem's type, and the fields that it names.
    fn problem(&self) -> (&str, Vec<&str>) {
        let id = self.body["type"].as_str().unwrap().rsplit(':').next().unwrap();
        let errors = self.body["errors"].as_array();
        let fields = errors.into_iter().flatten();
        (id, fields.map(|it| it["field"].as_str().unwrap()).collect())
    }
}

async fn call(
    bot: Option<Messages>,
    method: Method,
    uri: &str,
    idempotency_key: Option<&str>,
    body: Option<&Value>,
) -> Answered {
    let app = actix_web::App::new()
        .configure(domicile_web::extract::configure)
        .app_data(web::Data::new(APP_KEYS.parse::<AppKeys>().unwrap()))
        .app_data(web::Data::new(Bot(bot)))
        .configure(crate::routes::configure);
    let app = test::init_service(app).await;
    let mut request = test::TestRequest::with_uri(uri)
        .method(method)
        .insert_header((header::AUTHORIZATION, "Bearer key"));
    if let Some(key) = idempotency_key {
        request = request.insert_header(("idempotency-key", key));
    }
    if let Some(body) = body {
        request = request.set_json(body);
    }
    let response = test::call_service(&app, request.to_request()).await;
    let location = response
        .headers()
        .get(header::LOCATION)
        .map(|value| value.to_str().unwrap().to_owned());
    Answered {
        status: response.status().as_u16(),
        location,
        body: serde_json::from_slice(&test::read_body(response).await).unwrap_or_default(),
    }
}

impl Room {
    async fn post(&self, key: Option<&str>, body: &Value) -> Answered {
        let bot = Some(self.messages.clone());
        call(bot, Method::POST, "/v1/bot/messages", key, Some(body)).await
    }

    async fn call(&self, method: Method, uri: &str, body: Option<&Value>) -> Answered {
        call(Some(self.messages.clone()), method, uri, None, body).await
    }
}

fn hello(to: &Value) -> Value {
    json!({"to": to, "content": {"head": {"text": "Hello"}}})
}

#[actix_web::test]
async fn the_app_speaks_to_a_subject_a_user_and_a_channel() {
    let room = Room::new().await;
    room.link(ALICE, ALICE_ID).await;
    let channel = "ABC@conference.xmpp.zoom.us";
    for (to, jid, on_behalf) in [
        (
            json!({"subject": ALICE}),
            "aliceid@xmpp.zoom.us",
            Some("aliceid@xmpp.zoom.us"),
        ),
        (
            json!({"user": "BobId", "account_id": ACCOUNT}),
            "bobid@xmpp.zoom.us",
            Some("bobid@xmpp.zoom.us"),
        ),
        (json!({"channel": channel, "account_id": ACCOUNT}), channel, None),
        (json!({"channel": "abc"}), "abc@conference.xmpp.zoom.us", None),
        (
            json!({"channel": channel, "subject": ALICE}),
            channel,
            Some("aliceid@xmpp.zoom.us"),
        ),
    ] {
        let answer = room.post(None, &hello(&to)).await;
        assert_eq!(answer.status, 202, "{to}: {}", answer.body);
        let id = answer.body["id"].as_str().unwrap();
        assert_eq!(
            answer.location.as_deref(),
            Some(format!("/v1/bot/messages/{id}").as_str())
        );
        assert_eq!(
            (&answer.body["status"], &answer.body["to"]["jid"]),
            (&json!("pending"), &json!(jid))
        );
        room.run().await;
        let sent = room.zoom.calls().pop().unwrap().body;
        assert_eq!(
            (&sent["to_jid"], &sent["account_id"], sent["user_jid"].as_str()),
            (&json!(jid), &json!(ACCOUNT), on_behalf)
        );
        let read = room
            .call(Method::GET, &format!("/v1/bot/messages/{id}"), None)
            .await;
        assert_eq!((read.status, &read.body["status"]), (200, &json!("sent")));
    }
    let (account, user) = (ZoomAccountId::new(ACCOUNT), ZoomUserId::new("BobId"));
    let person = Person {
        account: &account,
        user: &user,
        user_jid: "seen@xmpp.zoom.us",
        robot_jid: ROBOT,
    };
    remember(
        &mut room.db.db().conn().await.unwrap(),
        person,
        room.messages.now(),
    )
    .await
    .unwrap();
    let answer = room
        .post(None, &hello(&json!({"user": "BobId", "account_id": ACCOUNT})))
        .await;
    assert_eq!(answer.body["to"]["jid"], "seen@xmpp.zoom.us");
}

#[actix_web::test]
async fn each_fault_names_its_field() {
    let room = Room::new().await;
    room.link(ALICE, ALICE_ID).await;
    let org = LinkedUser {
        link_id: room.ids.make(),
        account: ZoomAccountId::new("account-2"),
        user: None,
    };
    room.linked
        .0
        .lock()
        .unwrap()
        .insert("org:acme".parse().unwrap(), org);
    for (to, field) in [
        (json!({}), "to"),
        (json!({"subject": "user:nobody"}), "to.subject"),
        (json!({"subject": "org:acme"}), "to.subject"),
        (json!({"subject": ALICE, "user": "BobId"}), "to"),
        (json!({"subject": ALICE, "account_id": "other"}), "to.account_id"),
        (json!({"user": "BobId"}), "to.account_id"),
        (json!({"channel": "abc"}), "to.account_id"),
        (json!({"channel": "x@evil.example"}), "to.channel"),
        (json!({"channel": "two words"}), "to.channel"),
        (json!({"colour": "red"}), "to.colour"),
    ] {
        let answer = room.post(None, &hello(&to)).await;
        assert_eq!(answer.status, 422, "{to}");
        assert_eq!(answer.problem(), ("validation_failed", vec![field]), "{to}");
    }
    let content = json!({"body": [
        {"type": "message", "text": "", "link": "http://example.com"},
        {"type": "actions", "items": [{"text": "Yes", "value": 1}]},
    ]});
    let answer = room
        .post(None, &json!({"to": {"subject": ALICE}, "content": content}))
        .await;
    let expected = vec![
        "content.body[0].link",
        "content.body[0].text",
        "content.body[1].items[0].value",
    ];
    assert_eq!(answer.problem(), ("validation_failed", expected));
    let seen =
        json!({"to": {"subject": ALICE}, "visible_to_user": "BobId", "content": {"head": {"text": "x"}}});
    assert_eq!(room.post(None, &seen).await.problem().1, ["visible_to_user"]);
    assert_eq!(room.count("bot_messages").await, 0);
}

#[actix_web::test]
async fn an_idempotency_key_stands_for_one_request() {
    let room = Room::new().await;
    let link = room.link(ALICE, ALICE_ID).await;
    let body = hello(&json!({"subject": ALICE}));
    let first = room.post(Some("k"), &body).await;
    room.run().await;
    let again = room.post(Some("k"), &body).await;
    assert_eq!((again.status, &again.body["id"]), (202, &first.body["id"]));
    assert_eq!(again.body["status"], "sent");
    let other = hello(&json!({"channel": "abc", "account_id": ACCOUNT}));
    let reused = room.post(Some("k"), &other).await;
    assert_eq!(
        (reused.status, reused.problem().0),
        (422, "idempotency_key_reused")
    );
    // A repetition is answered after an edit, and when its subject is no longer to be found.
    let id: BotMessageId = first.body["id"].as_str().unwrap().parse().unwrap();
    room.edit(id, "Better").await;
    room.linked.0.lock().unwrap().clear();
    assert_eq!(room.post(Some("k"), &body).await.body["id"], first.body["id"]);
    // Without a key each is a message of its own; and a key that is none is refused.
    let channel = hello(&json!({"channel": "abc", "account_id": ACCOUNT}));
    let (one, two) = (room.post(None, &channel).await, room.post(None, &channel).await);
    assert_ne!(one.body["id"], two.body["id"]);
    for key in ["", "two words", &"x".repeat(256)] {
        let answer = room.post(Some(key), &channel).await;
        assert_eq!((answer.status, answer.problem().0), (400, "malformed_request"));
    }
    room.end_link(link).await;
}

#[actix_web::test]
async fn a_message_is_changed_and_taken_back() {
    let room = Room::new().await;
    let to = json!({"channel": "abc", "account_id": ACCOUNT});
    let id = room.post(None, &hello(&to)).await.body["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let uri = format!("/v1/bot/messages/{id}");
    let better = json!({"content": {"head": {"text": "Better"}}});
    let edited = room.call(Method::PUT, &uri, Some(&better)).await;
    assert_eq!((edited.status, &edited.body["revision"]), (202, &json!(2)));
    let wrong = room.call(Method::PUT, &uri, Some(&json!({"content": {}}))).await;
    assert_eq!(wrong.problem(), ("validation_failed", vec!["content"]));
    room.run().await;
    assert_eq!(room.zoom.calls()[0].text(), "Better");
    let deleted = room.call(Method::DELETE, &uri, None).await;
    assert_eq!((deleted.status, &deleted.body["status"]), (202, &json!("sent")));
    room.run().await;
    let read = room.call(Method::GET, &uri, None).await;
    assert_eq!(read.body["status"], "deleted");
    let late = room.call(Method::PUT, &uri, Some(&better)).await;
    assert_eq!((late.status, late.problem().0), (410, "gone"));

    room.zoom.next(Answer::HangsUp);
    let unsure = room.post(None, &hello(&to)).await.body["id"]
        .as_str()
        .unwrap()
        .to_owned();
    room.run().await;
    let uri = format!("/v1/bot/messages/{unsure}");
    let edit = room.call(Method::PUT, &uri, Some(&better)).await;
    assert_eq!((edit.status, edit.problem().0), (409, "conflict"));

    let nobody = format!("/v1/bot/messages/{}", Uuid::nil());
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(room.call(method, &nobody, None).await.problem().0, "not_found");
    }
    assert_eq!(
        room.call(Method::PUT, &nobody, Some(&better)).await.problem().0,
        "not_found"
    );
}

#[actix_web::test]
async fn a_link_is_unfurled_at_once() {
    let room = Room::new().await;
    room.link(ALICE, ALICE_ID).await;
    let unfurl = json!({"trigger_id": "t/1", "subject": ALICE, "content": {"head": {"text": "Report"}}});
    let answer = room.call(Method::POST, "/v1/bot/unfurls", Some(&unfurl)).await;
    assert_eq!(answer.status, 204, "{}", answer.body);
    let call_made = room.zoom.calls().pop().unwrap();
    assert_eq!(call_made.target, "/v2/im/chat/users/AliceId/unfurls/t%2F1");
    let content: Value = serde_json::from_str(call_made.body["content"].as_str().unwrap()).unwrap();
    assert_eq!(content, unfurl["content"]);

    for (zoom, status, problem) in [
        (Answer::error(404, 8002), 422, "validation_failed"),
        (Answer::error(400, 7001), 422, "validation_failed"),
        (Answer::error(403, 7004), 502, "zoom_rejected"),
        (Answer::status(429, "retry-after: 7\r\n"), 503, "zoom_unavailable"),
        (Answer::status(500, ""), 503, "zoom_unavailable"),
        (Answer::HangsUp, 503, "zoom_unavailable"),
    ] {
        room.zoom.next(zoom);
        let answer = room.call(Method::POST, "/v1/bot/unfurls", Some(&unfurl)).await;
        assert_eq!((answer.status, answer.problem().0), (status, problem));
        assert!(!answer.body.to_string().contains("PLANTED"), "{}", answer.body);
    }
    for (user, field) in [
        (json!({}), "user_id"),
        (json!({"user_id": "a", "subject": ALICE}), "user_id"),
        (json!({"user_id": "two words"}), "user_id"),
        (json!({"subject": "user:nobody"}), "subject"),
    ] {
        let mut body = json!({"trigger_id": "t", "content": {"head": {"text": "x"}}});
        body.as_object_mut()
            .unwrap()
            .extend(user.as_object().unwrap().clone());
        let answer = room.call(Method::POST, "/v1/bot/unfurls", Some(&body)).await;
        assert_eq!(answer.problem(), ("validation_failed", vec![field]), "{body}");
    }
}

#[actix_web::test]
async fn a_region_without_a_bot_says_so() {
    let uri = format!("/v1/bot/messages/{}", Uuid::nil());
    let content = json!({"content": {"head": {"text": "x"}}});
    let unfurl = json!({"trigger_id": "t", "user_id": "u", "content": {"head": {"text": "x"}}});
    for (method, uri, body) in [
        (
            Method::POST,
            "/v1/bot/messages",
            Some(hello(&json!({"subject": ALICE}))),
        ),
        (Method::GET, &uri, None),
        (Method::PUT, &uri, Some(content)),
        (Method::DELETE, &uri, None),
        (Method::POST, "/v1/bot/unfurls", Some(unfurl)),
    ] {
        let answer = call(None, method.clone(), uri, None, body.as_ref()).await;
        assert_eq!(
            (answer.status, answer.problem().0),
            (404, "no_bot"),
            "{method} {uri}"
        );
    }
}
