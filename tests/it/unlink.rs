//! The end of a link: at Zoom, in the region, and for the app.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use domicile_zoomsim::{FaultKind, FileKind, NewApp, NewFault, NewUser, Target, Usage, User};
use http::{Method, Request};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::browser::{Answer, call};
use crate::harness::eventually;
use crate::harness::process::Process;
use crate::harness::wire::Tap;
use crate::harness::world::{ALICE, BOB, CLIENT_ID, CLIENT_SECRET, World, types};

const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// A world in which all that the region says to Zoom is heard.
struct Ended {
    world: World,
    tap: Tap,
}

impl Ended {
    async fn begin() -> Self {
        let (mut world, tap) = Self::without_region().await;
        world.start_region().await;
        world.register_app().await;
        Self { world, tap }
    }

    async fn without_region() -> (World, Tap) {
        let mut world = World::without_region().await;
        let tap = Tap::before(world.zoom.oauth_url()).await;
        let oauth_url = ("DOMICILE_ZOOM_OAUTH_URL".to_owned(), tap.url().to_string());
        world.environment.extend([oauth_url]);
        (world, tap)
    }

    /// A Zoom user whose API is heard too, of this account or of one of her own.
    fn user(&self, account: Option<&User>) -> User {
        let new = NewUser {
            account_id: account.map(|user| user.account_id.clone()),
            api_url: Some(self.tap.url().origin().ascii_serialization()),
            ..NewUser::default()
        };
        self.world.zoom.sim().create_user(new).unwrap()
    }

    async fn unlink(&self, link: &Value) -> Answer {
        let path = format!("/v1/links/{}", link["id"].as_str().unwrap());
        self.world.api(Method::DELETE, &path, None).await
    }

    fn order(&self, target: Target, fault: FaultKind, times: u32) {
        let order = NewFault::once(target, fault).times(times);
        self.world.zoom.sim().order_fault(order).unwrap();
    }

    /// How often Zoom was asked to end a grant.
    fn revocations(&self) -> usize {
        self.tap.text().matches("POST /oauth/revoke").count()
    }

    async fn count(&self, sql: &str) -> i64 {
        count(&self.world, sql).await
    }

    async fn no_jobs(&self) {
        no_jobs(&self.world).await;
    }

    async fn execute(&self, sql: &str) {
        self.world.db.client().await.batch_execute(sql).await.unwrap();
    }

    /// Whoever waits for its time to come again has waited long enough.
    async fn hasten(&self) {
        self.execute("UPDATE jobs SET due_at = '2000-01-01' WHERE status = 'queued' AND kind IN ('link.unlink', 'grant.revoke')")
            .await;
    }

    /// The reasons of the audit's entries with this action, oldest first.
    async fn audited(&self, action: &str) -> Vec<String> {
        let sql = "SELECT reason FROM audit_entries WHERE action = $1 ORDER BY sequence";
        let rows = self.world.db.client().await.query(sql, &[&action]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// The status with which Zoom answers the last access token that it gave.
    async fn last_token_at_zoom(&self) -> u16 {
        let said = self.tap.text();
        let token = said.rsplit("\"access_token\":\"").next().unwrap();
        let token = token.split('"').next().unwrap();
        let url = self.world.zoom.api_url().join("/v2/users/me").unwrap();
        let request = Request::get(url.as_str()).header("authorization", format!("Bearer {token}"));
        call(&self.world.client, request.body(Bytes::new()).unwrap())
            .await
            .status
            .as_u16()
    }

    async fn call_zoom(&self, link: &Value) -> Answer {
        let path = format!("/v1/links/{}/zoom/users/me", link["id"].as_str().unwrap());
        self.world.api(Method::GET, &path, None).await
    }
}

async fn count(world: &World, sql: &str) -> i64 {
    world.db.client().await.query_one(sql, &[]).await.unwrap().get(0)
}

/// Waits until everything that the end of a link asks for is done.
async fn no_jobs(world: &World) {
    let left = "SELECT count(*) FROM jobs WHERE kind IN ('link.unlink', 'grant.revoke')";
    eventually("the end of the jobs", async || {
        (count(world, left).await == 0).then_some(())
    })
    .await;
}

/// The objects in the region's storage.
fn objects(world: &World) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&world.storage.path().join("recordings"), &mut found);
    found
}

const LIVE_KEYS: &str =
    "SELECT count(*) FROM vault_keys WHERE zoom_account_id IS NOT NULL AND destroyed_at IS NULL";

#[tokio::test(flavor = "multi_thread")]
async fn an_unlinked_link_ends_at_zoom_and_leaves_nothing_but_a_tombstone() {
    let it = Ended::begin().await;
    let world = &it.world;
    let user = it.user(None);
    let link = world.link(ALICE, &user).await;
    world
        .stored_recording(&user, &[(FileKind::Chat, 900), (FileKind::Timeline, 400)])
        .await;
    assert_eq!(objects(world).len(), 2);
    assert_eq!(it.last_token_at_zoom().await, 200);

    let answer = it.unlink(&link).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    let events = world.told("link.revoked").await;
    let told = events.last().unwrap().event();
    assert_eq!(told["data"]["reason"], "unlinked");
    assert_eq!(told["data"]["link"]["status"], "revoked");
    assert_eq!(told["data"]["link"]["id"], link["id"]);
    it.no_jobs().await;

    assert!(
        objects(world).is_empty(),
        "objects are left: {:?}",
        objects(world)
    );
    for table in ["recordings", "recording_files", "grants"] {
        assert_eq!(
            it.count(&format!("SELECT count(*) FROM {table}")).await,
            0,
            "{table}"
        );
    }
    assert_eq!(it.count(LIVE_KEYS).await, 0, "the account's key is destroyed");
    assert_eq!((it.revocations(), it.last_token_at_zoom().await), (1, 401));
    let listed = world.api(Method::GET, "/v1/events", None).await.json();
    let listed: Vec<_> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["type"])
        .collect();
    assert_eq!(
        listed,
        ["link.revoked"],
        "what was told before is erased, the end can still be read"
    );
    let recordings = world.api(Method::GET, "/v1/recordings", None).await.json();
    assert_eq!(recordings["data"], json!([]));
    let path = format!("/v1/links/{}", link["id"].as_str().unwrap());
    let tombstone = world.api(Method::GET, &path, None).await.json();
    assert_eq!(tombstone["status"], "revoked");
    for (action, reason) in [
        ("link.revoke", "unlinked"),
        ("link.erase", "key_destroyed"),
        ("grant.revoke", "revoked"),
    ] {
        assert_eq!(it.audited(action).await, [reason], "{action}");
    }

    // Again, and it changes nothing.
    assert_eq!(it.unlink(&link).await.status, 204);
    it.no_jobs().await;
    assert_eq!(it.audited("link.revoke").await.len(), 1);
    assert_eq!(it.revocations(), 1);

    // Late events are kept in quarantine.
    let late = world.recording(&user, &[(FileKind::Chat, 900)]);
    world.finish(&late).await;
    let quarantined = Some(("quarantined".to_owned(), Some("unknown_account".to_owned())));
    eventually("the quarantine", async || {
        (world.inbox().await.pop() == quarantined).then_some(())
    })
    .await;

    // The same pair links anew, by a new link that works.
    let second = world.link(ALICE, &user).await;
    assert_ne!(second["id"], link["id"]);
    world.stored_recording(&user, &[(FileKind::Chat, 700)]).await;
    assert_eq!(it.call_zoom(&second).await.status, 200);
    assert_eq!(it.call_zoom(&link).await.problem(), "gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_known_link_can_be_unlinked() {
    let it = Ended::begin().await;
    for id in [NOBODY, "no-uuid"] {
        assert_eq!(it.unlink(&json!({ "id": id })).await.problem(), "not_found");
    }
    let link = it.world.link(ALICE, &it.user(None)).await;
    let path = format!("/v1/links/{}", link["id"].as_str().unwrap());
    let url = it.world.app_url.join(&path).unwrap();
    let request = Request::delete(url.as_str()).body(Bytes::new()).unwrap();
    assert_eq!(call(&it.world.client, request).await.status, 401);
    assert_eq!(
        it.world.api(Method::GET, &path, None).await.json()["status"],
        "active"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_fetch_is_stopped_and_what_it_wrote_goes_away() {
    let it = Ended::begin().await;
    let world = &it.world;
    let user = it.user(None);
    let link = world.link(ALICE, &user).await;
    let stall = FaultKind::Stalled {
        at_bytes: 100_000,
        millis: 600_000,
    };
    it.order(Target::Media, stall, 1);
    let uuid = world.recording(&user, &[(FileKind::Mp4, 400_000)]);
    world.finish(&uuid).await;
    eventually("the download", async || {
        world.zoom.sim().faults().is_empty().then_some(())
    })
    .await;

    assert_eq!(it.unlink(&link).await.status, 204);
    world.told("link.revoked").await;
    let fetching = "SELECT count(*) FROM jobs WHERE kind LIKE 'recording.%'";
    eventually("the end of the fetch", async || {
        (it.count(fetching).await == 0).then_some(())
    })
    .await;
    let sealed = "SELECT count(*) FROM recording_files WHERE download_url_sealed IS NOT NULL OR download_token_sealed IS NOT NULL";
    eventually("the end of its credentials", async || {
        (it.count(sealed).await == 0).then_some(())
    })
    .await;
    // The row that names the object stays for as long as the fetch may still write it.
    assert_eq!(it.count("SELECT count(*) FROM recording_files").await, 1);
    it.execute("UPDATE links SET updated_at = updated_at - interval '3 minutes'")
        .await;
    eventually("the second look", async || {
        it.hasten().await;
        (it.count("SELECT count(*) FROM recordings").await == 0).then_some(())
    })
    .await;
    it.no_jobs().await;
    eventually("the end of the upload", async || {
        objects(world).is_empty().then_some(())
    })
    .await;
    assert!(!types(&world.app.events()).contains(&"recording.stored".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_link_of_the_same_account_keeps_its_recordings_and_the_key() {
    let it = Ended::begin().await;
    let world = &it.world;
    let alice = it.user(None);
    let bob = it.user(Some(&alice));
    let (alices, _bobs) = (world.link(ALICE, &alice).await, world.link(BOB, &bob).await);
    for user in [&alice, &bob] {
        let uuid = world.recording(user, &[(FileKind::Chat, 900)]);
        world.finish(&uuid).await;
    }
    let stored = "SELECT count(*) FROM recording_files WHERE status = 'stored'";
    eventually("both recordings", async || {
        (it.count(stored).await == 2).then_some(())
    })
    .await;

    assert_eq!(it.unlink(&alices).await.status, 204);
    it.no_jobs().await;
    assert_eq!(it.audited("link.erase").await, ["key_kept"]);
    assert_eq!((it.count(LIVE_KEYS).await, objects(world).len()), (1, 1));
    let list = world.api(Method::GET, "/v1/recordings", None).await.json();
    let list = list["data"].as_array().unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(
        (&list[0]["subject"], &list[0]["meeting"]["topic"]),
        (&json!(BOB), &json!("Quarterly numbers"))
    );
    let content = list[0]["files"][0]["content_url"].as_str().unwrap();
    assert_eq!(world.api(Method::GET, content, None).await.status, 200);
    let uuid = world.recording(&bob, &[(FileKind::Chat, 300)]);
    world.finish(&uuid).await;
    eventually("a further recording", async || {
        (it.count(stored).await == 2).then_some(())
    })
    .await;
    assert_eq!(it.revocations(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_zoom_is_out_of_reach_everything_is_erased_and_the_grant_is_revoked_later() {
    let it = Ended::begin().await;
    let world = &it.world;
    let user = it.user(None);
    let link = world.link(ALICE, &user).await;
    world.stored_recording(&user, &[(FileKind::Chat, 900)]).await;
    it.order(Target::Revoke, FaultKind::ServerError { status: 503 }, 1000);
    assert_eq!(it.unlink(&link).await.status, 204);
    world.told("link.revoked").await;
    eventually("the erasure", async || {
        (it.audited("link.erase").await == ["key_destroyed"]).then_some(())
    })
    .await;
    assert!(objects(world).is_empty());
    assert_eq!(it.count(LIVE_KEYS).await, 0);
    // Only the tokens are left, sealed under the region's own key.
    let sealed = "SELECT count(*) FROM grants JOIN vault_keys ON encode(access_token_sealed, 'hex') LIKE
        '%' || replace(vault_keys.id::text, '-', '') || '%' WHERE zoom_account_id IS NULL";
    assert_eq!(it.count(sealed).await, 1);
    assert_eq!(it.last_token_at_zoom().await, 200, "not revoked yet");

    world.zoom.sim().cancel_all_faults();
    eventually("the revocation", async || {
        it.hasten().await;
        (it.count("SELECT count(*) FROM grants").await == 0).then_some(())
    })
    .await;
    it.no_jobs().await;
    assert_eq!(it.audited("grant.revoke").await, ["revoked"]);
    assert_eq!(it.last_token_at_zoom().await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_whose_access_token_has_run_out_is_refreshed_to_be_revoked() {
    let it = Ended::begin().await;
    let user = it.user(None);
    let link = it.world.link(ALICE, &user).await;
    it.execute("UPDATE grants SET access_expires_at = '2000-01-01'")
        .await;
    // The first answers are lost or bad; the grant is not given up by that.
    it.order(Target::Token, FaultKind::ServerError { status: 502 }, 1);
    it.order(Target::Revoke, FaultKind::ServerError { status: 502 }, 1);
    assert_eq!(it.unlink(&link).await.status, 204);
    eventually("the revocation", async || {
        it.hasten().await;
        (it.count("SELECT count(*) FROM grants").await == 0).then_some(())
    })
    .await;
    assert_eq!(it.audited("grant.revoke").await, ["revoked"]);
    assert_eq!(it.last_token_at_zoom().await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_has_ended_at_zoom_already_is_a_success() {
    let it = Ended::begin().await;
    let user = it.user(None);
    let link = it.world.link(ALICE, &user).await;
    it.world
        .zoom
        .sim()
        .deauthorize(CLIENT_ID, &user.id)
        .await
        .unwrap();
    assert_eq!(it.unlink(&link).await.status, 204);
    it.no_jobs().await;
    assert_eq!(it.audited("grant.revoke").await, ["ended_by_zoom"]);
    assert_eq!(it.revocations(), 0);
}

/// To revoke one token ends all of its user's, so a revocation that comes late must not hit the grant that came after.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_comes_late_leaves_the_grant_of_a_new_link_alone() {
    let it = Ended::begin().await;
    let user = it.user(None);
    let first = it.world.link(ALICE, &user).await;
    it.order(Target::Revoke, FaultKind::ServerError { status: 503 }, 1000);
    assert_eq!(it.unlink(&first).await.status, 204);
    eventually("an attempt", async || (it.revocations() > 0).then_some(())).await;
    let second = it.world.link(ALICE, &user).await;
    it.world.zoom.sim().cancel_all_faults();
    eventually("the end of the first grant", async || {
        it.hasten().await;
        (it.audited("grant.revoke").await == ["granted_anew"]).then_some(())
    })
    .await;
    it.no_jobs().await;
    assert_eq!(it.call_zoom(&second).await.status, 200);
    assert_eq!(it.last_token_at_zoom().await, 200);
}

/// Of an organisation's link nobody knows who granted it, so Zoom is asked whether the token still works.
#[tokio::test(flavor = "multi_thread")]
async fn the_late_revocation_of_an_organisations_grant_leaves_the_new_one_alone_too() {
    let (mut world, tap) = Ended::without_region().await;
    world.start_region().await;
    let app = NewApp {
        client_id: Some(CLIENT_ID.to_owned()),
        client_secret: Some(CLIENT_SECRET.to_owned()),
        usage: Usage::AdminManaged,
        redirect_uris: vec![world.public_url.join("/oauth/callback").unwrap().to_string()],
        ..NewApp::default()
    };
    world.zoom.sim().create_app(app).await.unwrap();
    let it = Ended { world, tap };
    let admin = it.user(None);
    let first = it.world.link("org:acme", &admin).await;
    it.order(Target::Revoke, FaultKind::ServerError { status: 503 }, 1000);
    assert_eq!(it.unlink(&first).await.status, 204);
    eventually("an attempt", async || (it.revocations() > 0).then_some(())).await;
    let second = it.world.link("org:acme", &admin).await;
    it.world.zoom.sim().cancel_all_faults();
    eventually("the end of the first grant", async || {
        it.hasten().await;
        (it.audited("grant.revoke").await == ["ended_by_zoom"]).then_some(())
    })
    .await;
    it.no_jobs().await;
    assert_eq!(it.call_zoom(&second).await.status, 200);
}

/// The process that serves has the account's key in memory when the one that works destroys it.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_another_process_destroyed_is_not_used_for_the_next_link() {
    let (mut world, tap) = Ended::without_region().await;
    world.release_ports();
    let _serve = Process::start(&world.environment, "serve");
    ready(&world).await;
    world.register_app().await;
    let mut environment = world.environment.clone();
    environment.insert("DOMICILE_HTTP_OPS_LISTEN".to_owned(), "127.0.0.1:0".to_owned());
    let _work = Process::start(&environment, "work");
    let it = Ended { world, tap };
    let user = it.user(None);
    let first = it.world.link(ALICE, &user).await;
    it.world.stored_recording(&user, &[(FileKind::Chat, 900)]).await;
    assert_eq!(it.unlink(&first).await.status, 204);
    it.no_jobs().await;
    assert_eq!(it.audited("link.erase").await, ["key_destroyed"]);
    let second = it.world.link(ALICE, &user).await;
    assert_eq!(
        it.call_zoom(&second).await.status,
        200,
        "its tokens can be opened"
    );
    let uuid = it.world.recording(&user, &[(FileKind::Chat, 400)]);
    it.world.finish(&uuid).await;
    let stored = "SELECT count(*) FROM recordings WHERE status = 'stored'";
    eventually("the recording of the new link", async || {
        (it.count(stored).await == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_between_the_next_process_ends_it() {
    let (mut world, tap) = Ended::without_region().await;
    world.release_ports();
    let mut process = Process::start(&world.environment, "run");
    ready(&world).await;
    world.register_app().await;
    let it = Ended { world, tap };
    let user = it.user(None);
    let link = it.world.link(ALICE, &user).await;
    it.world
        .stored_recording(&user, &[(FileKind::Chat, 900), (FileKind::Timeline, 400)])
        .await;
    // Zoom answers so late that the kill falls into the revocation.
    it.order(Target::Revoke, FaultKind::Slow { millis: 600_000 }, 1);
    assert_eq!(it.unlink(&link).await.status, 204);
    eventually("the revocation under way", async || {
        it.world.zoom.sim().faults().is_empty().then_some(())
    })
    .await;
    process.signal(Signal::SIGKILL);
    process.ended().await;
    it.execute("UPDATE jobs SET lease_expires_at = '2000-01-01' WHERE status = 'leased'")
        .await;
    // As if it had died before its erasure was written down.
    it.execute(
        "INSERT INTO jobs (id, kind, key, status, again, attempts, due_at, created_at, updated_at)
         SELECT gen_random_uuid(), 'link.unlink', id::text, 'queued', false, 0, '2000-01-01', now(), now() FROM links
         ON CONFLICT DO NOTHING",
    )
    .await;
    let _second = Process::start(&it.world.environment, "run");
    it.no_jobs().await;
    it.world.told("link.revoked").await;
    assert!(objects(&it.world).is_empty());
    assert_eq!(it.count("SELECT count(*) FROM grants").await, 0);
    assert_eq!(
        (it.count(LIVE_KEYS).await, it.last_token_at_zoom().await),
        (0, 401)
    );
}

async fn ready(world: &World) {
    let url = format!("http://{}/readyz", world.environment["DOMICILE_HTTP_OPS_LISTEN"]);
    eventually("readiness", async || {
        let request = Request::get(&url).body(Bytes::new()).unwrap();
        let answer = world.client.send(request).await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await;
}
