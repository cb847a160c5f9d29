//! The pages, as a browser without scripts uses them.

use domicile_zoomsim::{NewApp, Usage};
use url::Url;

use crate::support::{REDIRECT, World, query, world};

async fn text(world: &World, path: &str) -> String {
    let mut response = world.http.get(world.url(path)).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let policy = response
        .headers()
        .get("content-security-policy")
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.starts_with("default-src 'none'"));
    String::from_utf8(response.body().await.unwrap().to_vec()).unwrap()
}

async fn submit(world: &World, path: &str, fields: &[(&str, &str)]) -> String {
    let response = world.http.post(world.url(path)).send_form(&fields).await.unwrap();
    assert!(
        response.status().is_redirection(),
        "{path}: {}",
        response.status()
    );
    response
        .headers()
        .get("location")
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

#[actix_web::test]
async fn the_consent_page_offers_users_and_sends_the_choice_back() {
    let world = world().await;
    let (app, ada, bela) = (world.app(Usage::UserManaged).await, world.user(), world.user());
    let url = world.authorize_url(
        &app,
        &[
            ("state", "<s>"),
            ("code_challenge", "c"),
            ("code_challenge_method", "S256"),
        ],
    );
    let page = text(
        &world,
        &url.to_string().replace(world.zoomsim.oauth_url().as_str(), ""),
    )
    .await;
    for expected in [
        app.name.as_str(),
        &ada.email,
        &bela.email,
        "&lt;s&gt;",
        "Allow",
        "Decline",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    let fields = [
        ("response_type", "code"),
        ("client_id", &app.client_id),
        ("redirect_uri", REDIRECT),
        ("state", "<s>"),
        ("user_id", &bela.id),
    ];
    let allow = [fields.as_slice(), &[("decision", "allow")]].concat();
    let back = Url::parse(&submit(&world, "oauth/authorize", &allow).await).unwrap();
    assert_eq!(query(&back, "state"), "<s>");
    assert_eq!(world.redeem(&app, &query(&back, "code")).await.status, 200);
    assert_eq!(world.sim().grants()[0].user_id, bela.id);
    let decline = [fields.as_slice(), &[("decision", "decline")]].concat();
    let back = Url::parse(&submit(&world, "oauth/authorize", &decline).await).unwrap();
    assert_eq!(query(&back, "error"), "access_denied");
}

#[actix_web::test]
async fn the_consent_page_lets_the_user_leave_optional_scopes_out() {
    let world = world().await;
    let new = NewApp {
        redirect_uris: vec![REDIRECT.into()],
        scopes: vec!["user:read:user".into()],
        optional_scopes: vec!["meeting:read:meeting".into(), "meeting:read:list_meetings".into()],
        ..NewApp::default()
    };
    let app = world.sim().create_app(new).await.unwrap();
    let user = world.user();
    let url = world.authorize_url(&app, &[]);
    let page = text(
        &world,
        &url.to_string().replace(world.zoomsim.oauth_url().as_str(), ""),
    )
    .await;
    assert_eq!(
        page.matches(r#"type="checkbox" name="optional_scope""#).count(),
        2
    );
    let fields = [
        ("response_type", "code"),
        ("client_id", app.client_id.as_str()),
        ("redirect_uri", REDIRECT),
        ("user_id", &user.id),
        ("decision", "allow"),
    ];
    for (ticked, granted) in [
        (vec![], "user:read:user"),
        (
            vec!["meeting:read:meeting"],
            "user:read:user meeting:read:meeting",
        ),
        (
            vec!["meeting:read:list_meetings", "meeting:read:meeting", "nonsense"],
            "user:read:user meeting:read:meeting meeting:read:list_meetings",
        ),
    ] {
        let boxes = ticked.into_iter().map(|scope| ("optional_scope", scope));
        let form: Vec<_> = fields.into_iter().chain(boxes).collect();
        let back = Url::parse(&submit(&world, "oauth/authorize", &form).await).unwrap();
        let answer = world.redeem(&app, &query(&back, "code")).await;
        assert_eq!(answer.json["scope"], granted);
    }
}

#[actix_web::test]
async fn the_marketplace_starts_an_install_without_state() {
    let world = world().await;
    let app = world.app(Usage::UserManaged).await;
    assert!(
        text(&world, "")
            .await
            .contains(&format!("/marketplace/{}/add", app.client_id))
    );
    let response = world
        .http
        .get(world.url(&format!("marketplace/{}/add", app.client_id)))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 302);
    let to = response.headers().get("location").unwrap().to_str().unwrap();
    let to = Url::parse(&world.url(to)).unwrap();
    assert_eq!(
        (query(&to, "redirect_uri").as_str(), query(&to, "state").as_str()),
        (REDIRECT, "")
    );
}

#[actix_web::test]
async fn the_desk_makes_users_and_recordings_finishes_them_and_orders_faults() {
    let world = world().await;
    let app = world.app(Usage::UserManaged).await;
    let note = submit(
        &world,
        "desk/users",
        &[("first_name", "Grace"), ("last_name", "H"), ("account_id", "")],
    )
    .await;
    assert!(note.starts_with("/?note="), "{note}");
    let user = world.sim().users().remove(0);
    world.install(&app, &user).await;
    submit(
        &world,
        "desk/recordings",
        &[("host_id", &user.id), ("topic", "All <hands>"), ("kib", "4")],
    )
    .await;
    let uuid = world.sim().meetings().remove(0).uuid;
    submit(&world, "desk/faults", &[("fault", "0"), ("times", "1")]).await;
    assert!(text(&world, "").await.contains("DuplicateDelivery"));
    submit(&world, "desk/finish", &[("uuid", &uuid)]).await;
    assert_eq!(world.receiver.events().len(), 2);
    for form in ["finish-transcript", "trash", "recover", "delete"] {
        submit(&world, &format!("desk/{form}"), &[("uuid", &uuid)]).await;
    }
    submit(&world, "desk/retry-now", &[]).await;
    submit(&world, "desk/advance", &[("seconds", "300")]).await;
    let (desk, log) = (text(&world, "").await, text(&world, "log").await);
    assert!(desk.contains("All &lt;hands&gt;") && desk.contains("Grace H"));
    assert!(log.contains("recording.completed") && log.contains("recording.deleted"));
    assert!(!desk.contains("<script") && !desk.contains("https://"));
    submit(
        &world,
        "desk/deauthorize",
        &[("client_id", &app.client_id), ("user_id", &user.id)],
    )
    .await;
    assert!(world.sim().grants().is_empty());
}
