//! INV-3: the real binary goes through a whole story with everything that may fail in it, at its most talkative, and no
//! secret comes out where it does not belong.

mod bot;
mod calls;
mod linking;
mod recording;
mod session_jwt;
mod story;

use bytes::Bytes;
use domicile_zoomsim::NewUser;
use http::Request;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::world::World;
use story::Story;

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_comes_out_where_it_does_not_belong() {
    let mut story = Story::begin(World::without_region().await).await;
    let new = NewUser {
        first_name: Some("Wilhelmina".to_owned()),
        last_name: Some("von Oppenheim-Planted".to_owned()),
        email: Some("wilhelmina+planted@nordbank.example".to_owned()),
        api_url: Some(story.zoom.url().as_str().trim_end_matches('/').to_owned()),
        ..NewUser::default()
    };
    let user = story.world.zoom.sim().create_user(new).unwrap();
    story.detector.add("name", &user.first_name);
    story.detector.add("name", &user.last_name);
    story.world.app.fail_next(2);
    story.linking(&user).await;
    story.recording(&user).await;
    story.zoom_calls().await;
    story.bot().await;
    story.refreshes().await;
    for path in ["/metrics", "/readyz", "/livez"] {
        let request = Request::get(story.ops(path)).body(Bytes::new()).unwrap();
        let answer = story.send(path, request).await;
        assert_eq!(answer.status, 200);
    }
    story.get("/v1/links", &[]).await;
    story.get("/v1/events", &[("body", "topic")]).await;
    story.unlinking().await;
    story.process.signal(Signal::SIGTERM);
    assert!(story.process.ended().await.success());
    story.overheard();

    let (log, exported) = (story.log(), story.collector.text());
    expect_much(&story, &log, &exported);
    story.say("the log", &log, &[]);
    story.say("the exported spans and metrics", &exported, &[]);
    for event in story.world.app.events() {
        story.say("an event for the app", &event.body, &["topic"]);
    }
    // On a connection that is used again the next request follows the last body without a line's end between them.
    let wire = story.zoom.text();
    let requests = wire.lines().filter_map(|line| line.strip_suffix(" HTTP/1.1"));
    let urls: Vec<_> = requests.filter_map(|line| line.rsplit(' ').next()).collect();
    assert!(urls.iter().any(|url| url.starts_with("/oauth/token")), "{urls:?}");
    for url in urls {
        story.say("the URL of a call to Zoom", url, &[]);
    }
    // What finds nothing must be able to find: the same log with every secret in it.
    let detector = &story.detector;
    let planted: Vec<_> = detector.all().collect();
    let found = detector.leaks(&format!("{log}{}", planted.join("\n")), &[]);
    assert_eq!(found.len(), planted.len());
    let mut leaks = Vec::new();
    for said in &story.said {
        let found = detector.leaks(&said.text, &said.may_carry);
        leaks.extend(found.iter().map(|leak| format!("{}: {leak}", said.place)));
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n\n"));
}

/// A search through little proves little.
fn expect_much(story: &Story, log: &str, exported: &str) {
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let (level, target) = (line["level"].as_str().unwrap(), line["target"].as_str().unwrap());
        let ours = target.starts_with("domicile");
        assert!(ours || ["INFO", "WARN", "ERROR"].contains(&level), "{line}");
    }
    for line in [
        "a connect session was opened",
        "a browser's step was refused",
        "POST /v1/connect-sessions/confirm failed: Zoom gave no usable grant",
        "a link is active",
        "a duplicate",
        "an event is in quarantine",
        "the attempt failed",
        "asking Zoom's API for another",
        "a recording file is stored",
        "the app answered 503",
        "lost_answer",
        "Zoom ended the grant",
        "all jobs of this process have ended",
    ] {
        assert!(log.contains(line), "{line} in:\n{log}");
    }
    for span in ["complete_connect_session", "recording.fetch", "domicile"] {
        assert!(exported.contains(span), "{span} was exported");
    }
    let metrics = story
        .said
        .iter()
        .find(|said| said.place.contains("body of the answer to /metrics"));
    assert!(metrics.unwrap().text.contains("domicile_"));
    assert!(story.said.len() > 300, "{} texts", story.said.len());
    for (name, least) in [
        ("connect token", 10),
        ("state", 11),
        ("cookie", 11),
        ("code", 9),
        ("ticket", 8),
        ("access token", 3),
        ("refresh token", 3),
        ("PKCE verifier", 7),
        ("download token", 1),
        ("download access token", 1),
        ("download URL", 4),
        ("signed media query", 4),
        ("passcode", 2),
        ("topic", 1),
        ("e-mail address", 1),
    ] {
        let count = story.detector.count(name);
        assert!(count >= least, "{count} times: {name}");
    }
}
