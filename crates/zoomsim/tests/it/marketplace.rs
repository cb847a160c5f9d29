//! The manifest API, and what an app becomes by its manifest.

use domicile_zoomsim::{
    App, Audience, ConsentOrder, ControlError, Decision, NewApp, NewUser, Role, SendEvent, Usage, User,
};
use serde_json::{Value, json};

use crate::support::{Answer, REDIRECT, SECRET, World, encoded, read, world};

const EVENTS: &str = "http://127.0.0.1:9/zoom/events";

/// A developer with a token that reads and writes apps.
struct Developer {
    world: World,
    user: User,
    token: String,
}

async fn developer() -> Developer {
    developer_with(&["marketplace:read:app:admin", "marketplace:write:app:admin"]).await
}

async fn developer_with(scopes: &[&str]) -> Developer {
    let world = world().await;
    let user = world
        .sim()
        .create_user(NewUser {
            role: Role::Owner,
            ..NewUser::default()
        })
        .unwrap();
    let bootstrap = NewApp {
        usage: Usage::AdminManaged,
        redirect_uris: vec![REDIRECT.to_owned()],
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ..NewApp::default()
    };
    let bootstrap = world.sim().create_app(bootstrap).await.unwrap();
    let token = world.install(&bootstrap, &user).await["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    Developer { world, user, token }
}

impl Developer {
    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let url = self.world.url(&format!("v2/marketplace/{path}"));
        let http = &self.world.http;
        let request = match method {
            "GET" => http.get(url),
            "PUT" => http.put(url),
            "DELETE" => http.delete(url),
            _ => http.post(url),
        };
        let request = request.bearer_auth(&self.token);
        read(match body {
            Some(body) => request.send_json(body).await.unwrap(),
            None => request.send().await.unwrap(),
        })
        .await
    }

    /// An app of the developer's whose receiver knows its secret token.
    async fn app(&self) -> App {
        let app = NewApp {
            account_id: Some(self.user.account_id.clone()),
            secret_token: Some(SECRET.to_owned()),
            redirect_uris: vec![REDIRECT.to_owned()],
            ..NewApp::default()
        };
        self.world.sim().create_app(app).await.unwrap()
    }

    async fn put(&self, app: &App, manifest: &Value) -> Answer {
        let path = format!("apps/{}/manifest", encoded(&app.app_id));
        self.call("PUT", &path, Some(&json!({ "manifest": manifest })))
            .await
    }

    async fn export(&self, app: &App) -> Answer {
        self.call("GET", &format!("apps/{}/manifest", encoded(&app.app_id)), None)
            .await
    }
}

fn manifest() -> Value {
    json!({
        "display_information": { "display_name": "Recap" },
        "oauth_information": {
            "usage": "USER_OPERATION", "development_redirect_uri": REDIRECT, "oauth_allow_list": [REDIRECT],
            "strict_mode": true, "subdomain_strict_mode": true,
            "scopes": [
                { "scope": "cloud_recording:read:recording", "optional": false },
                { "scope": "user:read:user", "optional": true },
            ],
        },
        "features": {
            "products": ["ZOOM_MEETING"], "plugin_sdk": { "unknown": [1] },
            "event_subscription": { "enable": true, "events": [{
                "subscription_name": "core", "event_usage": "EVENT_FOR_USER", "event_types": ["recording.completed"],
                "development_webhook_url": EVENTS, "production_webhook_url": "http://127.0.0.1:9/production",
            }] },
        },
    })
}

#[actix_web::test]
async fn validate_answers_200_whatever_it_finds() {
    let it = developer().await;
    let path = "apps/manifest/validate";
    let good = it
        .call("POST", path, Some(&json!({ "manifest": manifest() })))
        .await;
    assert_eq!(
        (good.status, good.json),
        (200, json!({ "ok": true, "error": "", "errors": null }))
    );
    let mut broken = manifest();
    broken["oauth_information"]["scopes"][0]["scope"] = json!("imchat:bot");
    let bad = it.call("POST", path, Some(&json!({ "manifest": broken }))).await;
    assert_eq!(
        (bad.status, &bad.json["ok"], &bad.json["error"]),
        (200, &json!(false), &json!("invalid_manifest"))
    );
    assert_eq!(bad.json["errors"][0]["setting"], "/oauth_information/scopes[0]");
    let none = it.call("POST", path, Some(&json!({}))).await;
    assert_eq!((none.status, none.code()), (400, 300));
}

#[actix_web::test]
async fn an_app_follows_the_manifest_that_is_put() {
    let it = developer().await;
    let app = it.app().await;
    let answer = it.put(&app, &manifest()).await;
    assert_eq!(answer.status, 204, "{}", answer.json);
    assert_eq!(answer.header("x-ratelimit-category"), "Heavy");
    assert_eq!(
        it.world.receiver.challenges().len(),
        1,
        "the new endpoint is challenged"
    );
    assert!(it.world.receiver.challenges()[0].is_signed(SECRET));
    let app = it.world.sim().app(&app.client_id).unwrap();
    assert_eq!((app.name.as_str(), app.usage), ("Recap", Usage::UserManaged));
    assert_eq!(app.scopes, ["cloud_recording:read:recording"]);
    assert_eq!(app.optional_scopes, ["user:read:user"]);
    assert_eq!(it.export(&app).await.json, json!({ "manifest": manifest() }));

    // Its scopes are granted, its redirects accepted, its events sent.
    let tokens = it.world.install(&app, &it.user).await;
    assert_eq!(tokens["scope"], "cloud_recording:read:recording user:read:user");
    it.world.finished(&it.user, 1_000).await;
    assert_eq!(it.world.receiver.events().len(), 1);
    let ended = SendEvent {
        event: "user.deleted".to_owned(),
        user_id: Some(it.user.id.clone()),
        audience: Audience::All,
        ..SendEvent::default()
    };
    assert!(
        it.world.sim().send_event(ended).await.unwrap().is_empty(),
        "nobody subscribed to it"
    );
}

#[actix_web::test]
async fn a_put_replaces_all_and_saves_what_the_validator_refuses() {
    let it = developer().await;
    let app = it.app().await;
    assert_eq!(it.put(&app, &manifest()).await.status, 204);
    let mut other = json!({
        "display_information": { "display_name": "Bare" },
        "oauth_information": { "usage": "USER_OPERATION", "development_redirect_uri": "not-a-url" },
        "features": { "event_subscription": { "enable": true, "events": [{
            "event_types": ["meeting.rtms_started"], "development_webhook_url": "https://zoom.eu.example.com/events" }] } },
    });
    let verdict = it
        .call(
            "POST",
            "apps/manifest/validate",
            Some(&json!({ "manifest": other })),
        )
        .await;
    assert_eq!(verdict.json["ok"], false);
    let kept = other.clone();
    other["developer_information"] = json!({ "dropped": true });
    assert_eq!(it.put(&app, &other).await.status, 204);
    let app = it.world.sim().app(&app.client_id).unwrap();
    assert!(
        app.scopes.is_empty() && app.subscriptions.is_empty(),
        "another machine's endpoint is never called"
    );
    assert_eq!(it.export(&app).await.json["manifest"], kept);
    let mut broken = manifest();
    broken["oauth_information"]["usage"] = json!("everybody");
    let refused = it.put(&app, &broken).await;
    assert_eq!(
        (refused.status, &refused.json["error"]),
        (400, &json!("invalid_manifest"))
    );
    assert_eq!(it.export(&app).await.json["manifest"], kept, "nothing was saved");
    it.world.receiver.fail_challenges(true);
    let refused = it.put(&app, &manifest()).await;
    assert_eq!(refused.status, 400);
    let setting = "/features/event_subscription/events[0]/development_webhook_url";
    assert_eq!(refused.json["errors"][0]["setting"], setting);
}

#[actix_web::test]
async fn redirects_follow_allow_list_and_strict_mode() {
    let it = developer().await;
    let app = it.app().await;
    let takes = async |manifest: &Value, redirect: &str| {
        assert_eq!(it.put(&app, manifest).await.status, 204);
        let mut url = url::Url::parse(&it.world.url("oauth/authorize")).unwrap();
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &app.client_id),
            ("redirect_uri", redirect),
        ]);
        let order = ConsentOrder {
            authorize_url: url,
            user_id: it.user.id.clone(),
            decision: Decision::Allow,
            declined_scopes: Vec::new(),
        };
        it.world.sim().consent(&order).is_ok()
    };
    let mut manifest = manifest();
    manifest["features"] = json!({});
    let below = format!("{REDIRECT}/below");
    assert!(takes(&manifest, REDIRECT).await);
    assert!(!takes(&manifest, &below).await, "strict");
    manifest["oauth_information"]["strict_mode"] = json!(false);
    assert!(takes(&manifest, &below).await);
    manifest["oauth_information"]["oauth_allow_list"] = json!(["http://localhost:9"]);
    assert!(
        !takes(&manifest, REDIRECT).await,
        "registered, and not in the allow list"
    );
    assert!(
        !takes(&manifest, "http://localhost:9/x").await,
        "another sub-domain"
    );
    manifest["oauth_information"]["subdomain_strict_mode"] = json!(false);
    assert!(takes(&manifest, "http://localhost:9/x").await);
}

#[actix_web::test]
async fn a_published_app_has_no_manifest_and_sends_to_its_production_url() {
    let it = developer().await;
    let app = it.app().await;
    assert_eq!(it.put(&app, &manifest()).await.status, 204);
    let app = it.world.sim().set_published(&app.client_id, true).await.unwrap();
    assert_eq!(app.subscriptions[0].url.path(), "/production");
    let refused = it.export(&app).await;
    assert_eq!((refused.status, refused.code()), (404, 1500));
    let refused = it.put(&app, &manifest()).await;
    assert_eq!((refused.status, refused.code()), (400, 1500));
    let info = it.call("GET", &format!("apps/{}", app.app_id), None).await;
    assert_eq!(info.json["app_status"], "PUBLISHED");
    assert_eq!(
        info.json["app_scopes"],
        json!(["cloud_recording:read:recording", "user:read:user"])
    );
    it.world.sim().set_published(&app.client_id, false).await.unwrap();
    assert_eq!(it.export(&app).await.status, 200);
}

#[actix_web::test]
async fn an_app_is_made_and_deleted_by_the_api() {
    let it = developer().await;
    it.world.receiver.fail_challenges(false);
    let mut without_events = manifest();
    without_events["features"] = json!({ "products": ["ZOOM_MEETING"] });
    let mut order = json!({
        "app_type": "general", "app_name": "Recap", "contact_name": "Ada", "contact_email": "ada@example.com",
        "company_name": "Example", "manifest": without_events,
    });
    let made = it.call("POST", "apps", Some(&order)).await;
    assert_eq!(made.status, 201, "{}", made.json);
    let client_id = made.json["development_credentials"]["client_id"]
        .as_str()
        .unwrap();
    let app = it.world.sim().app(client_id).unwrap();
    assert_eq!(made.json["app_id"], app.app_id.as_str());
    it.world.install(&app, &it.user).await;
    order["manifest"]["oauth_information"]["usage"] = json!("nobody");
    assert_eq!(it.call("POST", "apps", Some(&order)).await.status, 400);
    order.as_object_mut().unwrap().remove("company_name");
    let lacking = it.call("POST", "apps", Some(&order)).await;
    assert_eq!((lacking.status, lacking.code()), (404, 1500));
    let path = format!("apps/{}", app.app_id);
    assert_eq!(it.call("DELETE", &path, None).await.status, 204);
    let gone = it.call("GET", &path, None).await;
    assert_eq!((gone.status, gone.code()), (404, 1401));
}

#[actix_web::test]
async fn tokens_without_the_scope_and_apps_of_others_are_refused() {
    let reader = developer_with(&["marketplace:read:app:admin"]).await;
    let app = reader.app().await;
    assert_eq!(reader.export(&app).await.status, 200);
    let refused = reader.put(&app, &manifest()).await;
    assert_eq!((refused.status, refused.code()), (401, 201));
    assert!(
        refused.json["message"]
            .as_str()
            .unwrap()
            .contains("scopes:[marketplace:write:app")
    );
    let it = developer().await;
    let others = NewApp {
        account_id: Some("another-account".to_owned()),
        ..NewApp::default()
    };
    let others = it.world.sim().create_app(others).await.unwrap();
    assert_eq!(it.export(&others).await.status, 404);
    assert_eq!(it.put(&others, &manifest()).await.status, 403);
}

#[actix_web::test]
async fn somebody_changes_and_publishes_an_app_by_hand() {
    let it = developer().await;
    let app = it.app().await;
    assert_eq!(it.put(&app, &manifest()).await.status, 204);
    let control = |path: &str| it.world.url(&format!("control/apps/{}/{path}", app.client_id));
    let patch = json!({ "oauth_information": { "strict_mode": false, "usage": "nonsense" } });
    let changed = it
        .world
        .http
        .patch(control("manifest"))
        .send_json(&patch)
        .await
        .unwrap();
    assert_eq!(changed.status(), 200);
    let mut shown = it.world.http.get(control("manifest")).send().await.unwrap();
    let shown: Value = shown.json().await.unwrap();
    assert_eq!(shown["oauth_information"]["strict_mode"], false);
    assert_eq!(shown["display_information"]["display_name"], "Recap");
    for (change, published) in [("publish", true), ("unpublish", false)] {
        let answer = it.world.http.post(control(change)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(it.world.sim().app(&app.client_id).unwrap().published, published);
    }
    let unknown = it.world.sim().edit_manifest("nobody", &json!({})).await;
    assert_eq!(unknown.err(), Some(ControlError::UnknownApp));
}

#[actix_web::test]
async fn an_export_hides_passwords_and_a_slash_command_is_taken_once() {
    let it = developer().await;
    let app = it.app().await;
    let mut chat = json!({
        "display_information": { "display_name": "Bot" },
        "oauth_information": { "usage": "ADMIN_MANAGEMENT", "scopes": [{ "scope": "imchat:bot", "optional": false }] },
        "features": {
            "products": ["ZOOM_CHAT"],
            "team_chat_subscription": { "enable": true, "slash_command": {
                "command": "recap", "development_message_url": "https://a.example/bot" } },
            "event_subscription": { "enable": true, "events": [{
                "event_types": ["app_deauthorized"], "development_webhook_url": "https://a.example/events",
                "production_event_custom_header": { "custom_header_type": 1, "username": "u", "password": "PLANTED" } }] },
        },
    });
    assert_eq!(it.put(&app, &chat).await.status, 204);
    let exported = it.export(&app).await.json.to_string();
    assert!(
        exported.contains("username") && !exported.contains("PLANTED"),
        "{exported}"
    );
    assert_eq!(
        it.put(&app, &chat).await.status,
        204,
        "its own command is not taken"
    );
    let other = it.app().await;
    let refused = it.put(&other, &chat).await;
    assert_eq!(
        refused.json["errors"][0]["setting"],
        "/features/team_chat_subscription/slash_command/command"
    );
    chat["features"]["team_chat_subscription"]["slash_command"]["command"] = json!("other");
    assert_eq!(it.put(&other, &chat).await.status, 204);
}
