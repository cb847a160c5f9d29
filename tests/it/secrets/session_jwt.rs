//! The app's session tokens, valid and not, where the region reads them from the browser.

use domicile_zoomsim::{Decision, FaultKind, NewFault, Target};
use http::header::LOCATION;
use nix::sys::signal::Signal;

use super::story::Story;
use crate::harness::browser::Browser;
use crate::harness::world::{ALICE, BOB, World};

#[tokio::test(flavor = "multi_thread")]
async fn no_session_token_comes_out_where_it_does_not_belong() {
    let mut story = Story::begin(World::session_jwt_without_region().await).await;
    let user = story.world.zoom_user();
    let cookie = story.world.app.session_cookie();
    let (hers, his) = (
        story.world.app.session_jwt_for(ALICE),
        story.world.app.session_jwt_for(BOB),
    );
    let parts: Vec<_> = hers.split('.').collect();
    let forged = format!("{}.{}.{}", parts[0], parts[1], his.rsplit('.').next().unwrap());
    let plain = "a-session-token-that-is-none";
    for token in [&hers, &his, &forged] {
        story.detector.add("session token", token);
        story
            .detector
            .add("session token", token.rsplit('.').next().unwrap());
    }
    story.detector.add("session token", plain);

    // Nobody, somebody else, forgeries, two at once.
    let connect_url = story.connect_url(ALICE).await;
    for token in ["", plain, &forged, &his] {
        let mut browser = Browser::new();
        if !token.is_empty() {
            browser.plant(&cookie, token);
        }
        let answer = story
            .browse(&mut browser, "a start by nobody", &connect_url)
            .await;
        assert!(answer.status.is_client_error());
    }
    let mut browser = Browser::new();
    browser.plant(&cookie, &hers);
    let tossed = format!("{cookie}={his}");
    let answer = browser.get_with_cookie_before(&connect_url, &tossed).await;
    assert_eq!(story.keep("two tokens at once", answer, &[]).status, 401);

    // Another at the callback, and Zoom that fails after it.
    for (token, fault) in [
        (&his, None),
        (&hers, Some(NewFault::once(Target::Token, FaultKind::LostAnswer))),
        (
            &hers,
            Some(NewFault::once(Target::Users, FaultKind::Unauthorized)),
        ),
    ] {
        let mut browser = Browser::new();
        browser.plant(&cookie, &hers);
        let connect_url = story.connect_url(ALICE).await;
        let authorize_url = story.start(&mut browser, &connect_url).await;
        let callback = story.decide(authorize_url, &user, Decision::Allow);
        browser.plant(&cookie, token);
        if let Some(fault) = fault {
            story.fault(fault);
        }
        let answer = story
            .browse(&mut browser, "a callback that fails", &callback)
            .await;
        assert!(!answer.status.is_success() && !answer.status.is_redirection());
    }

    // The one that comes about.
    let mut browser = Browser::new();
    browser.plant(&cookie, &hers);
    let connect_url = story.connect_url(ALICE).await;
    let authorize_url = story.start(&mut browser, &connect_url).await;
    let callback = story.decide(authorize_url, &user, Decision::Allow);
    let answer = browser.get(&callback).await;
    let answer = story.keep("the callback", answer, &[(LOCATION.as_str(), "link id")]);
    assert!(answer.location().as_str().contains("link_id="));
    story.told("link.active").await;
    story.get("/v1/audit-entries", &[]).await;
    story.process.signal(Signal::SIGTERM);
    assert!(story.process.ended().await.success());

    let (log, exported) = (story.log(), story.collector.text());
    assert!(log.contains("without a valid session token") && log.contains("a link is active"));
    assert!(exported.contains("app_jwks"), "the keys were fetched");
    story.say("the log", &log, &[]);
    story.say("the exported spans and metrics", &exported, &[]);
    let detector = &story.detector;
    assert!(detector.count("session token") >= 5 && detector.count("code") >= 4);
    let mut leaks = Vec::new();
    for said in &story.said {
        let found = detector.leaks(&said.text, &said.may_carry);
        leaks.extend(found.iter().map(|leak| format!("{}: {leak}", said.place)));
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n\n"));
}
