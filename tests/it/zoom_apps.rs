//! Zoom apps as code: the binary against a Zoom, over real sockets.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Output;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domicile_zoomsim::{
    ConsentOrder, Decision, FaultKind, NewApp, NewFault, NewUser, Role, Target, Usage, Zoomsim,
    ZoomsimSettings,
};
use http::{Method, Request};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use crate::harness::browser::{call, client};
use crate::harness::process::run;

const CALLBACK: &str = "http://127.0.0.1:9/callback";
const LINKING: &str = "client-of-linking";
const BOT: &str = "client-of-bot";

/// A developer's account at Zoom with the two apps of the region eu, and the regions' files.
struct Studio {
    zoom: Zoomsim,
    token: String,
    folder: TempDir,
}

impl Studio {
    async fn open() -> Self {
        let zoom = Zoomsim::start(ZoomsimSettings::default()).await.unwrap();
        let folder = TempDir::new().unwrap();
        let studio = Self {
            token: token(
                &zoom,
                &["marketplace:read:app:admin", "marketplace:write:app:admin"],
            )
            .await,
            zoom,
            folder,
        };
        studio.add_region("eu").await;
        studio
    }

    /// A region's sample with this Zoom's address, and its apps there.
    async fn add_region(&self, id: &str) {
        let sample = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../regions/{id}.yaml"));
        let base = self.zoom.api_url().as_str().trim_end_matches('/');
        let text = fs::read_to_string(sample).unwrap().replacen(
            "zoom:\n",
            &format!("zoom:\n  apiUrl: {base}\n  hosts: [127.0.0.1]\n"),
            1,
        );
        let exception = "exceptions:\n  - rule: zoom-hosts\n    reason: a Zoom on this machine\n";
        fs::write(self.file(id), format!("{text}\n{exception}")).unwrap();
        for (kind, client) in [("linking", LINKING), ("bot", BOT)] {
            let app = NewApp {
                client_id: Some(if id == "eu" {
                    client.to_owned()
                } else {
                    format!("{client}-{id}")
                }),
                app_id: Some(app_id(&text, kind)),
                redirect_uris: vec![CALLBACK.to_owned()],
                ..NewApp::default()
            };
            self.zoom.sim().create_app(app).await.unwrap();
        }
    }

    fn file(&self, id: &str) -> PathBuf {
        self.folder.path().join(format!("{id}.yaml"))
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(&self.token, arguments)
    }

    fn run_with(&self, token: &str, arguments: &[&str]) -> Output {
        let environment = BTreeMap::from([("DOMICILE_MARKETPLACE_TOKEN".to_owned(), token.to_owned())]);
        let folder = self.folder.path().to_str().unwrap();
        let mut all = vec!["zoom-app"];
        all.extend(arguments);
        if arguments.first() != Some(&"drift") {
            all.extend(["--regions", folder]);
        }
        run(&environment, &all)
    }

    fn drift(&self) -> Output {
        self.run(&["drift", self.folder.path().to_str().unwrap()])
    }

    fn rendered(&self, app: &str) -> Value {
        let output = self.run(&["render", "eu", "--app", app]);
        assert_eq!(code(&output), 0, "{}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn applied(&self) {
        let output = self.run(&["apply", "eu", "--yes"]);
        assert_eq!(code(&output), 0, "{}", text(&output));
    }

    fn live(&self, client_id: &str) -> Value {
        self.zoom.sim().manifest(client_id).unwrap()
    }

    async fn edit(&self, client_id: &str, patch: Value) {
        self.zoom.sim().edit_manifest(client_id, &patch).await.unwrap();
    }

    async fn validate(&self, manifest: &Value) -> Value {
        let url = self
            .zoom
            .api_url()
            .join("v2/marketplace/apps/manifest/validate")
            .unwrap();
        let request = Request::builder()
            .method(Method::POST)
            .uri(url.as_str())
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(Bytes::from(json!({ "manifest": manifest }).to_string()))
            .unwrap();
        call(&client(), request).await.json()
    }
}

/// The id that stands in the region's file under this app.
fn app_id(file: &str, kind: &str) -> String {
    let (_, app) = file.split_once(&format!("    {kind}:\n")).unwrap();
    let (_, id) = app.split_once("appId: ").unwrap();
    id.lines().next().unwrap().trim().to_owned()
}

/// A token of the developer's account, from an app made by hand as at Zoom.
async fn token(zoom: &Zoomsim, scopes: &[&str]) -> String {
    let sim = zoom.sim();
    let owner = sim
        .create_user(NewUser {
            role: Role::Owner,
            ..NewUser::default()
        })
        .unwrap();
    let app = sim
        .create_app(NewApp {
            usage: Usage::AdminManaged,
            redirect_uris: vec![CALLBACK.to_owned()],
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ..NewApp::default()
        })
        .await
        .unwrap();
    let mut authorize_url = zoom.oauth_url().join("oauth/authorize").unwrap();
    authorize_url.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", &app.client_id),
        ("redirect_uri", CALLBACK),
    ]);
    let back = sim
        .consent(&ConsentOrder {
            authorize_url,
            user_id: owner.id,
            decision: Decision::Allow,
            declined_scopes: Vec::new(),
        })
        .unwrap();
    let code = back
        .query_pairs()
        .find(|(name, _)| name == "code")
        .unwrap()
        .1
        .into_owned();
    let basic = STANDARD.encode(format!("{}:{}", app.client_id, app.client_secret));
    let mut form = Url::parse("http://form/").unwrap();
    form.query_pairs_mut().extend_pairs([
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
    ]);
    let request = Request::builder()
        .method(Method::POST)
        .uri(zoom.oauth_url().join("oauth/token").unwrap().as_str())
        .header("authorization", format!("Basic {basic}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(form.query().unwrap().to_owned()))
        .unwrap();
    let answer = call(&client(), request).await;
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn rendered_manifests_pass_zooms_validator_and_a_plan_after_apply_is_empty() {
    let studio = Studio::open().await;
    for app in ["linking", "bot"] {
        let verdict = studio.validate(&studio.rendered(app)).await;
        assert_eq!(
            verdict,
            json!({ "ok": true, "error": "", "errors": null }),
            "{app}"
        );
    }
    let both: Value = serde_json::from_slice(&studio.run(&["render", "eu"]).stdout).unwrap();
    assert_eq!(both["bot"], studio.rendered("bot"));
    assert_eq!(code(&studio.run(&["lint", "eu"])), 0);

    let before = studio.run(&["plan", "eu"]);
    assert_eq!(code(&before), 2, "{}", text(&before));
    assert!(
        text(&before).contains("+ oauth_information.strict_mode: true"),
        "{}",
        text(&before)
    );
    let unasked = studio.run(&["apply", "eu"]);
    assert_eq!(code(&unasked), 1);
    assert!(text(&unasked).contains("--yes"), "{}", text(&unasked));
    assert_eq!(
        code(&studio.run(&["plan", "eu"])),
        2,
        "nothing was changed without a yes"
    );
    studio.applied();
    let after = studio.run(&["plan", "eu"]);
    assert_eq!(code(&after), 0, "{}", text(&after));
    assert_eq!(
        text(&after).matches("no difference").count(),
        2,
        "{}",
        text(&after)
    );
    for (app, client_id) in [("linking", LINKING), ("bot", BOT)] {
        let (live, wanted) = (studio.live(client_id), studio.rendered(app));
        assert_eq!(live["oauth_information"], wanted["oauth_information"], "{app}");
        for (name, value) in wanted["features"].as_object().unwrap() {
            assert_eq!(&live["features"][name], value, "{app}: {name}");
        }
    }
    studio.applied();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_hand_is_found_as_drift_and_undone_and_what_is_unknown_survives() {
    let studio = Studio::open().await;
    studio.applied();
    assert_eq!(code(&studio.drift()), 0);
    let unknown = json!({ "plugin_sdk": { "deep": { "new": [1, 2] } } });
    let wider = json!({
        "features": unknown,
        "oauth_information": { "strict_mode": false, "oauth_allow_list":
            ["https://zoom.eu.example.com/oauth/callback", "https://evil.example"] },
    });
    studio.edit(LINKING, wider).await;
    let found = studio.drift();
    let said = text(&found);
    assert_eq!(code(&found), 2, "{said}");
    for line in [
        "- oauth_information.oauth_allow_list[https://evil.example]: \"https://evil.example\"",
        "+ oauth_information.strict_mode: true",
        "= features.plugin_sdk: not in the template, kept",
    ] {
        assert!(said.contains(line), "{line} in:\n{said}");
    }
    studio.applied();
    assert_eq!(code(&studio.drift()), 0);
    let live = studio.live(LINKING);
    assert_eq!(live["features"]["plugin_sdk"], unknown["plugin_sdk"]);
    assert_eq!(live["oauth_information"]["strict_mode"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_app_is_compared_as_far_as_it_can_be_seen_and_never_applied() {
    let studio = Studio::open().await;
    studio.applied();
    let sim = studio.zoom.sim();
    sim.set_published(LINKING, true).await.unwrap();
    let same = studio.run(&["plan", "eu"]);
    assert_eq!(code(&same), 0, "{}", text(&same));
    assert!(text(&same).contains("The app is published"), "{}", text(&same));
    let scopes =
        json!({ "oauth_information": { "scopes": [{ "scope": "user:read:user", "optional": false }] } });
    studio.edit(LINKING, scopes).await;
    let differs = studio.run(&["plan", "eu"]);
    assert_eq!(code(&differs), 2, "{}", text(&differs));
    assert!(text(&differs).contains("+ oauth_information.scopes[cloud_recording:read:recording]"));
    // Neither is the bot's app touched when the other may not be.
    studio
        .edit(BOT, json!({ "oauth_information": { "strict_mode": false } }))
        .await;
    let refused = studio.run(&["apply", "eu", "--yes"]);
    assert_eq!(code(&refused), 1);
    assert!(
        text(&refused).contains("build flow and submit it for review"),
        "{}",
        text(&refused)
    );
    assert_eq!(studio.live(BOT)["oauth_information"]["strict_mode"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_regions_failure_does_not_hide_the_others() {
    let studio = Studio::open().await;
    studio.add_region("uk").await;
    studio.add_region("us").await;
    fs::write(studio.file("at"), "region: [").unwrap();
    studio.zoom.sim().delete_app(LINKING).unwrap();
    let found = studio.drift();
    let said = text(&found);
    assert_eq!(code(&found), 1, "{said}");
    for line in [
        "at.yaml is not right by itself",
        "Zoom knows no such app",
        "uk.yaml, linking app",
        "us.yaml, bot app",
    ] {
        assert!(said.contains(line), "{line} in:\n{said}");
    }
    fs::remove_file(studio.file("at")).unwrap();
    fs::remove_file(studio.file("eu")).unwrap();
    assert_eq!(code(&studio.drift()), 2, "all could be looked at, and differ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_200_that_says_no_is_a_no_and_nothing_is_put() {
    let studio = Studio::open().await;
    let taken = NewApp {
        client_id: Some("other".to_owned()),
        ..NewApp::default()
    };
    studio.zoom.sim().create_app(taken).await.unwrap();
    let command = json!({ "features": { "team_chat_subscription":
        { "enable": true, "slash_command": { "command": "example-eu" } } } });
    studio.edit("other", command).await;
    let before = studio.live(BOT);
    let refused = studio.run(&["apply", "eu", "--app", "bot", "--yes"]);
    assert_eq!(code(&refused), 1);
    let said = text(&refused);
    assert!(
        said.contains("/features/team_chat_subscription/slash_command/command"),
        "{said}"
    );
    assert_eq!(studio.live(BOT), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_secrets_are_not_blanked_unasked_and_no_secret_is_shown() {
    let studio = Studio::open().await;
    studio.applied();
    let mut events = studio.live(LINKING)["features"]["event_subscription"]["events"].clone();
    events[0]["production_event_custom_header"] =
        json!({ "custom_header_type": 1, "username": "zoom", "password": "PLANTED-1" });
    events[0]["development_event_custom_header"] =
        json!({ "custom_header_type": 3, "custom_header_key": "x-a", "custom_header_value": "PLANTED-2" });
    let patch = json!({
        "features": { "event_subscription": { "events": events }, "connect": { "client_secret": "PLANTED-3" } },
        "oauth_information": { "strict_mode": false },
    });
    studio.edit(LINKING, patch).await;
    let refused = studio.run(&["apply", "eu", "--yes"]);
    let said = text(&refused);
    assert_eq!(code(&refused), 1, "{said}");
    assert!(
        said.contains("production_event_custom_header") && said.contains("may blank"),
        "{said}"
    );
    assert_eq!(studio.live(LINKING)["oauth_information"]["strict_mode"], false);
    let allowed = studio.run(&["apply", "eu", "--yes", "--may-blank-secrets"]);
    assert_eq!(code(&allowed), 0, "{}", text(&allowed));
    let planned = studio.run(&["plan", "eu"]);
    for output in [&refused, &allowed, &planned] {
        assert!(!text(output).contains("PLANTED"), "{}", text(output));
        assert!(!text(output).contains(&studio.token), "{}", text(output));
    }
    assert_eq!(
        studio.live(LINKING)["features"]["connect"]["client_secret"],
        "PLANTED-3"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_settled_by_reading_back() {
    let studio = Studio::open().await;
    // Of one app's calls: export, validate, export, put, export.
    let lost = NewFault::once(Target::Marketplace, FaultKind::LostAnswer);
    for kind in ["linking", "bot"] {
        let slow = NewFault::once(Target::Marketplace, FaultKind::Slow { millis: 0 }).times(3);
        studio.zoom.sim().order_fault(slow).unwrap();
        studio.zoom.sim().order_fault(lost.clone()).unwrap();
        let applied = studio.run(&["apply", "eu", "--app", kind, "--yes"]);
        assert_eq!(code(&applied), 0, "{}", text(&applied));
        assert!(
            studio.zoom.sim().faults().is_empty(),
            "the answer of the put was lost"
        );
    }
    assert_eq!(code(&studio.run(&["plan", "eu"])), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_missing_dead_or_too_weak_is_named_as_such() {
    let studio = Studio::open().await;
    let none = run(
        &BTreeMap::new(),
        &["zoom-app", "plan", studio.file("eu").to_str().unwrap()],
    );
    assert_eq!(code(&none), 1);
    assert!(
        text(&none).contains("DOMICILE_MARKETPLACE_TOKEN: is not set"),
        "{}",
        text(&none)
    );
    let dead = studio.run_with("DEAD-TOKEN", &["plan", "eu"]);
    assert_eq!(code(&dead), 1);
    assert!(text(&dead).contains("refused the access token") && !text(&dead).contains("DEAD-TOKEN"));
    let reader = token(&studio.zoom, &["marketplace:read:app:admin"]).await;
    assert_eq!(code(&studio.run_with(&reader, &["plan", "eu"])), 2);
    let weak = studio.run_with(&reader, &["apply", "eu", "--yes"]);
    assert_eq!(code(&weak), 1);
    assert!(text(&weak).contains("marketplace:write:app"), "{}", text(&weak));
}

#[tokio::test(flavor = "multi_thread")]
async fn lint_finds_faults_in_files_and_in_regions_before_apply_touches_anything() {
    let studio = Studio::open().await;
    let mut manifest = studio.rendered("bot");
    manifest["oauth_information"]["oauth_allow_list"] = json!([]);
    let file = studio.folder.path().join("manifest.json");
    fs::write(&file, json!({ "manifest": manifest }).to_string()).unwrap();
    let found = run(
        &BTreeMap::new(),
        &["zoom-app", "lint", "--manifest", file.to_str().unwrap()],
    );
    assert_eq!(code(&found), 1);
    assert!(
        text(&found).contains("oauth_information.production_redirect_uri: "),
        "{}",
        text(&found)
    );

    let broken = fs::read_to_string(studio.file("eu"))
        .unwrap()
        .replace("- recording.completed\n", "- meeting.rtms_started\n");
    fs::write(studio.file("eu"), broken).unwrap();
    for command in [["lint", "eu"].as_slice(), &["apply", "eu", "--yes"]] {
        let found = studio.run(command);
        assert_eq!(code(&found), 1, "{}", text(&found));
        assert!(
            text(&found).contains("linking app: features.event_subscription.events[0].event_types[0]"),
            "{}",
            text(&found)
        );
    }
    assert!(
        studio.zoom.sim().app(BOT).unwrap().manifest.is_none(),
        "nothing was put"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_pack_is_written_for_each_app() {
    let studio = Studio::open().await;
    let out = studio.folder.path().join("pack");
    let written = studio.run(&["review-pack", "eu", "--out", out.to_str().unwrap()]);
    assert_eq!(code(&written), 0, "{}", text(&written));
    for app in ["linking", "bot"] {
        for name in [
            "README.md",
            "test-plan.md",
            "scopes.md",
            "data-flow.md",
            "data-deletion.md",
            "manifest.json",
        ] {
            let text = fs::read_to_string(out.join(app).join(name)).unwrap();
            assert!(text.len() > 100, "{app}/{name}");
        }
    }
    let manifest = fs::read_to_string(out.join("bot/manifest.json")).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&manifest).unwrap(),
        studio.rendered("bot")
    );
}
