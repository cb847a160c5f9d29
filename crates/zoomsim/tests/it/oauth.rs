//! Authorization, tokens, rotation, revocation.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use domicile_zoomsim::{ConsentOrder, Decision, NewApp, NewUser, Role, Usage, UserStatus};
use sha2::{Digest, Sha256};

use crate::support::{REDIRECT, query, read, world};

#[actix_web::test]
async fn a_code_brings_tokens_of_zooms_form() {
    let world = world().await;
    let app = world.app(Usage::UserManaged).await;
    let user = world.sim().create_user(NewUser {
        api_url: Some("https://api-eu.zoom.us".into()),
        ..NewUser::default()
    });
    let answer = world.install(&app, &user.unwrap()).await;
    let access = answer["access_token"].as_str().unwrap();
    assert!(access.len() > 600, "{}", access.len());
    assert_eq!(access.split('.').count(), 3);
    assert_eq!(answer["token_type"], "bearer");
    assert_eq!(answer["expires_in"], 3600);
    assert_eq!(answer["api_url"], "https://api-eu.zoom.us");
    assert!(answer["scope"].as_str().unwrap().contains("user:read:user "));
    assert_ne!(answer["refresh_token"], answer["access_token"]);
    world.zoomsim.shutdown().await;
}

#[actix_web::test]
async fn without_a_cluster_api_url_is_the_simulator_itself() {
    let world = world().await;
    let app = world.app(Usage::UserManaged).await;
    let answer = world.install(&app, &world.user()).await;
    let base = world.zoomsim.api_url().as_str().trim_end_matches('/');
    assert_eq!(answer["api_url"], base);
    let me = world
        .get_url(
            &format!("{base}/v2/users/me"),
            answer["access_token"].as_str().unwrap(),
        )
        .await;
    assert_eq!(me.status, 200);
}

#[actix_web::test]
async fn a_code_works_once_and_for_five_minutes() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    let code = world.code(&app, &user, &[]);
    assert_eq!(world.redeem(&app, &code).await.status, 200);
    let again = world.redeem(&app, &code).await;
    assert_eq!(
        (again.status, again.json["error"].as_str()),
        (400, Some("invalid_grant"))
    );

    let code = world.code(&app, &user, &[]);
    world.clock.forward(TimeDelta::minutes(5));
    let late = world.redeem(&app, &code).await;
    assert_eq!(
        (late.status, late.json["error"].as_str()),
        (400, Some("invalid_grant"))
    );
    assert!(late.json["reason"].is_string());
}

#[actix_web::test]
async fn pkce_is_checked_and_a_missing_method_means_plain() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    let verifier = "a-verifier-of-the-clients-own-making-0123456789";
    let hashed = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let with = async |query: &[(&str, &str)], verifier: Option<&str>| {
        let code = world.code(&app, &user, query);
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT),
        ];
        fields.extend(verifier.map(|it| ("code_verifier", it)));
        world.token(&app, &fields).await.status
    };
    let s256 = [
        ("code_challenge", hashed.as_str()),
        ("code_challenge_method", "S256"),
    ];
    assert_eq!(with(&s256, Some(verifier)).await, 200);
    assert_eq!(with(&s256, Some("another")).await, 400);
    assert_eq!(with(&s256, None).await, 400);
    assert_eq!(with(&[("code_challenge", verifier)], Some(verifier)).await, 200);
    assert_eq!(
        with(&[("code_challenge", hashed.as_str())], Some(verifier)).await,
        400
    );
}

#[actix_web::test]
async fn the_redirect_uri_must_be_a_registered_one_and_the_same_twice() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    let wrong = world
        .authorize_url(&app, &[])
        .to_string()
        .replace("callback", "Callback");
    let page = read(world.http.get(wrong).send().await.unwrap()).await;
    assert_eq!(page.status, 400);
    assert_eq!(page.json["errorCode"], 4700);
    assert_eq!(page.json["errorMessage"], "Invalid redirect url");
    assert_eq!(
        (&page.json["status"], &page.json["result"]),
        (&false.into(), &serde_json::Value::Null)
    );

    let code = world.code(&app, &user, &[]);
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", "http://127.0.0.1:9/"),
    ];
    assert_eq!(world.token(&app, &fields).await.json["error"], "invalid_grant");
}

#[actix_web::test]
async fn clients_must_authenticate_and_name_a_known_grant_type() {
    let world = world().await;
    let app = world.app(Usage::UserManaged).await;
    let mut stranger = app.clone();
    stranger.client_secret = "wrong".into();
    let answer = world
        .token(&stranger, &[("grant_type", "client_credentials")])
        .await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.json,
        serde_json::json!({ "reason": "Invalid client_id or client_secret", "error": "invalid_client" })
    );
    let answer = world.token(&app, &[("grant_type", "password")]).await;
    assert_eq!(
        (answer.status, answer.json["error"].as_str()),
        (400, Some("unsupported_grant_type"))
    );
    assert_eq!(world.token(&app, &[]).await.json["error"], "invalid_request");
}

#[actix_web::test]
async fn refreshing_rotates_without_grace() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    let first = world.install(&app, &user).await;
    let old = first["refresh_token"].as_str().unwrap();
    let second = world.refresh(&app, old).await;
    assert_eq!(second.status, 200);
    let dead = world.refresh(&app, old).await;
    assert_eq!(dead.status, 400);
    assert_eq!(
        dead.json,
        serde_json::json!({ "reason": "Invalid Token!", "error": "invalid_grant" })
    );
    // The access token of before lives on, and the new refresh token works.
    assert_eq!(
        world
            .get("v2/users/me", first["access_token"].as_str().unwrap())
            .await
            .status,
        200
    );
    assert_eq!(
        world
            .refresh(&app, second.json["refresh_token"].as_str().unwrap())
            .await
            .status,
        200
    );
}

#[actix_web::test]
async fn a_refresh_token_lives_ninety_days_and_belongs_to_its_client() {
    let world = world().await;
    let (app, other) = (
        world.app(Usage::UserManaged).await,
        world.app(Usage::UserManaged).await,
    );
    let first = world.install(&app, &world.user()).await;
    let token = first["refresh_token"].as_str().unwrap();
    assert_eq!(world.refresh(&other, token).await.json["error"], "invalid_grant");
    world.clock.forward(TimeDelta::days(90) - TimeDelta::seconds(1));
    let next = world.refresh(&app, token).await;
    assert_eq!(next.status, 200);
    world.clock.forward(TimeDelta::days(90));
    assert_eq!(
        world
            .refresh(&app, next.json["refresh_token"].as_str().unwrap())
            .await
            .status,
        400
    );
}

#[actix_web::test]
async fn authorizing_again_ends_the_earlier_tokens() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    let first = world.install(&app, &user).await;
    world.install(&app, &user).await;
    let answer = world
        .get("v2/users/me", first["access_token"].as_str().unwrap())
        .await;
    assert_eq!((answer.status, answer.code()), (401, 4741));
    let answer = world
        .refresh(&app, first["refresh_token"].as_str().unwrap())
        .await;
    assert_eq!(
        (answer.status, answer.json["error"].as_str()),
        (400, Some("invalid_grant"))
    );
}

#[actix_web::test]
async fn revoking_ends_both_tokens() {
    let world = world().await;
    let app = world.app(Usage::UserManaged).await;
    let tokens = world.install(&app, &world.user()).await;
    let access = tokens["access_token"].as_str().unwrap();
    let request = world
        .http
        .post(world.url("oauth/revoke"))
        .basic_auth(&app.client_id, &app.client_secret);
    let answer = read(request.send_form(&[("token", access)]).await.unwrap()).await;
    assert_eq!(answer.json, serde_json::json!({ "status": "success" }));
    assert_eq!(world.get("v2/users/me", access).await.status, 401);
    assert_eq!(
        world
            .refresh(&app, tokens["refresh_token"].as_str().unwrap())
            .await
            .status,
        400
    );
}

#[actix_web::test]
async fn a_deleted_user_has_no_tokens() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    let tokens = world.install(&app, &user).await;
    world
        .sim()
        .set_user_status(&user.id, UserStatus::Deleted)
        .await
        .unwrap();
    let answer = world
        .get("v2/users/me", tokens["access_token"].as_str().unwrap())
        .await;
    assert_eq!((answer.status, answer.code()), (401, 4735));
    assert_eq!(
        world
            .refresh(&app, tokens["refresh_token"].as_str().unwrap())
            .await
            .json["error"],
        "invalid_grant"
    );
}

#[actix_web::test]
async fn client_credentials_bring_a_bot_token_without_refresh_token() {
    let world = world().await;
    let app = world.app(Usage::AdminManaged).await;
    let answer = world.token(&app, &[("grant_type", "client_credentials")]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json["scope"], "imchat:bot");
    assert!(answer.json.get("refresh_token").is_none());
    assert_eq!(
        world
            .get("v2/users/me", answer.json["access_token"].as_str().unwrap())
            .await
            .status,
        401
    );
}

#[actix_web::test]
async fn tokens_do_not_travel_in_the_query() {
    let world = world().await;
    let app = world.app(Usage::UserManaged).await;
    let tokens = world.install(&app, &world.user()).await;
    let access = tokens["access_token"].as_str().unwrap();
    let answer = world
        .get(&format!("v2/users/me?access_token={access}"), access)
        .await;
    assert_eq!((answer.status, answer.code()), (401, 124));

    let refresh = tokens["refresh_token"].as_str().unwrap();
    let url = world.url(&format!(
        "oauth/token?grant_type=refresh_token&refresh_token={refresh}"
    ));
    let request = world
        .http
        .post(url)
        .basic_auth(&app.client_id, &app.client_secret);
    assert_eq!(
        read(request.send().await.unwrap()).await.json["error"],
        "invalid_request"
    );
    // The grant type may stand there.
    let url = world.url("oauth/token?grant_type=client_credentials");
    let request = world
        .http
        .post(url)
        .basic_auth(&app.client_id, &app.client_secret);
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[actix_web::test]
async fn declining_sends_the_browser_back_with_access_denied() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    let order = ConsentOrder {
        authorize_url: world.authorize_url(&app, &[("state", "a b&c")]),
        user_id: user.id,
        decision: Decision::Decline,
        declined_scopes: Vec::new(),
    };
    let back = world.sim().consent(&order).unwrap();
    assert_eq!(query(&back, "error"), "access_denied");
    assert_eq!(query(&back, "state"), "a b&c");
    assert_eq!(query(&back, "code"), "");
}

#[actix_web::test]
async fn only_administrators_authorise_an_admin_managed_app() {
    let world = world().await;
    let app = world.app(Usage::AdminManaged).await;
    let member = world
        .sim()
        .create_user(NewUser {
            role: Role::Member,
            ..NewUser::default()
        })
        .unwrap();
    let order = |user_id| ConsentOrder {
        authorize_url: world.authorize_url(&app, &[]),
        user_id,
        decision: Decision::Allow,
        declined_scopes: Vec::new(),
    };
    assert!(world.sim().consent(&order(member.id)).is_err());
    assert!(world.sim().consent(&order(world.user().id)).is_ok());
}

#[actix_web::test]
async fn optional_scopes_are_granted_unless_the_user_leaves_them_out() {
    let world = world().await;
    let new = NewApp {
        redirect_uris: vec![REDIRECT.into()],
        scopes: vec!["user:read:user".into()],
        optional_scopes: vec!["meeting:read:meeting".into(), "meeting:read:list_meetings".into()],
        ..NewApp::default()
    };
    let app = world.sim().create_app(new).await.unwrap();
    let user = world.user();
    let order = |declined: &[&str]| ConsentOrder {
        authorize_url: world.authorize_url(&app, &[]),
        user_id: user.id.clone(),
        decision: Decision::Allow,
        declined_scopes: declined.iter().map(|scope| (*scope).to_owned()).collect(),
    };
    let all = world.install(&app, &user).await;
    assert_eq!(
        all["scope"],
        "user:read:user meeting:read:meeting meeting:read:list_meetings"
    );
    let back = world.sim().consent(&order(&["meeting:read:meeting"])).unwrap();
    let answer = world.redeem(&app, &query(&back, "code")).await.json;
    assert_eq!(answer["scope"], "user:read:user meeting:read:list_meetings");
    assert_eq!(
        world.sim().grants()[0].scopes,
        ["user:read:user", "meeting:read:list_meetings"]
    );
    // A refresh keeps what was granted, and the API holds every call against it.
    let token = answer["refresh_token"].as_str().unwrap();
    let answer = world.refresh(&app, token).await.json;
    assert_eq!(answer["scope"], "user:read:user meeting:read:list_meetings");
    let token = answer["access_token"].as_str().unwrap();
    assert_eq!(world.get("v2/users/me", token).await.status, 200);
    assert_eq!(world.get("v2/users/me/meetings", token).await.status, 200);
    assert_eq!(world.get("v2/meetings/1", token).await.code(), 4711);
    for wrong in ["user:read:user", "nonsense"] {
        assert!(world.sim().consent(&order(&[wrong])).is_err(), "{wrong}");
    }
}

#[actix_web::test]
async fn an_unknown_client_or_challenge_method_is_an_error_of_the_page() {
    let world = world().await;
    let app = world.app(Usage::UserManaged).await;
    let page =
        async |url: String| read(world.http.get(url).send().await.unwrap()).await.json["errorCode"].clone();
    let good = world.authorize_url(&app, &[]).to_string();
    assert_eq!(page(good.replace(&app.client_id, "nobody")).await, 4702);
    assert_eq!(
        page(format!("{good}&code_challenge=x&code_challenge_method=S512")).await,
        4700
    );
    assert_eq!(
        page(good.replace("response_type=code", "response_type=token")).await,
        4700
    );
}

#[actix_web::test]
async fn a_client_id_cannot_be_registered_twice() {
    let world = world().await;
    let new = NewApp {
        client_id: Some("one".into()),
        ..NewApp::default()
    };
    world.sim().create_app(new.clone()).await.unwrap();
    assert!(world.sim().create_app(new).await.is_err());
}
