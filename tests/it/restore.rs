//! A restore: a real dump of the database, taken in the middle of a story, comes back beside a storage that went on, and an
//! old storage beside a database that went on. `domicile reconcile` brings both into agreement.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use domicile_localpg::Binaries;
use domicile_testkit::db::TestDb;
use domicile_zoomsim::FileKind;
use nix::sys::signal::Signal;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use url::Url;

use crate::crash::world_with;
use crate::harness::eventually;
use crate::harness::process::{Process, run};
use crate::harness::world::{ALICE, World};

fn tool(name: &str) -> Command {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.domicile/tools");
    let binaries = Binaries::find(&tools, None, |_| {}).unwrap();
    let path = binaries.folder.join(name);
    assert!(
        path.exists(),
        "{} is missing: install PostgreSQL's client programs",
        path.display()
    );
    Command::new(path)
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn copy(from: &Path, to: &Path) {
    succeed(Command::new("cp").arg("-a").arg(from.join(".")).arg(to));
}

/// The objects of recordings in a folder.
fn objects(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.join("recordings")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}

/// The report, and the exit code.
fn reconcile(environment: &BTreeMap<String, String>, arguments: &[&str]) -> (Value, Option<i32>) {
    let arguments: Vec<_> = ["reconcile", "--format", "json"]
        .iter()
        .chain(arguments)
        .copied()
        .collect();
    let output = run(environment, &arguments);
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (report, output.status.code())
}

/// What was found, as `discrepancy: act`, sorted.
fn found(report: &Value) -> Vec<String> {
    let found = report["found"].as_array().unwrap().iter();
    let mut found: Vec<_> = found
        .map(|it| {
            format!(
                "{}: {}",
                it["discrepancy"].as_str().unwrap(),
                it["act"].as_str().unwrap()
            )
        })
        .collect();
    found.sort();
    found
}

/// Works until every recording of this database is stored.
async fn all_stored(environment: &BTreeMap<String, String>, url: &str, recordings: i64) {
    let mut environment = environment.clone();
    environment.insert("DOMICILE_HTTP_OPS_LISTEN".to_owned(), "127.0.0.1:0".to_owned());
    let mut process = Process::start(&environment, "work");
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "SELECT count(*) FILTER (WHERE status = 'stored'), count(*) FROM recordings";
    eventually("all recordings stored", async || {
        let row = client.query_one(sql, &[]).await.unwrap();
        (row.get::<_, i64>(0) == recordings && row.get::<_, i64>(1) == recordings).then_some(())
    })
    .await;
    process.signal(Signal::SIGTERM);
    assert!(process.ended().await.success());
}

/// What is stored is what Zoom served, and rows and objects agree to the byte.
async fn agrees(world: &World, environment: &BTreeMap<String, String>, folder: &Path, uuids: &[&String]) {
    let (report, code) = reconcile(environment, &["--deep", "--grace", "0s"]);
    assert_eq!((found(&report), code), (Vec::new(), Some(0)), "{report:#}");
    let mut stored: Vec<_> = objects(folder)
        .iter()
        .map(|path| hex::encode(Sha256::digest(std::fs::read(path).unwrap())))
        .collect();
    let mut served = Vec::new();
    for uuid in uuids {
        let digests = world.zoom.sim().digests(uuid).await.unwrap();
        served.extend(digests.into_iter().map(|file| file.sha256));
    }
    stored.sort();
    served.sort();
    assert_eq!(stored, served);
}

async fn file_of(world: &World, uuid: &str) -> PathBuf {
    let served = world.zoom.sim().digests(uuid).await.unwrap();
    let is_it =
        |path: &PathBuf| hex::encode(Sha256::digest(std::fs::read(path).unwrap())) == served[0].sha256;
    objects(world.storage.path()).into_iter().find(is_it).unwrap()
}

fn with_database(world: &World, db: &TestDb) -> BTreeMap<String, String> {
    let mut environment = world.environment.clone();
    environment.insert("DOMICILE_DATABASE_URL".to_owned(), db.url().expose().clone());
    environment
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_yesterday_agrees_again_with_the_storage_of_today() {
    let (world, mut process) = world_with("run").await;
    let user = world.zoom_user();
    world.link(ALICE, &user).await;
    let first = world.stored_recording(&user, &[(FileKind::Mp4, 60_000)]).await;

    // The backup, while the service runs.
    let folder = TempDir::new().unwrap();
    let dump = folder.path().join("eu.dump");
    succeed(
        tool("pg_dump")
            .args(["--format=custom", "--file"])
            .arg(&dump)
            .arg(world.db.url().expose()),
    );

    // The story goes on: two more recordings, of which the database of the backup knows nothing.
    let mut uuids = vec![first];
    for size in [50_000, 40_000] {
        let uuid = world.recording(&user, &[(FileKind::Mp4, size), (FileKind::Chat, 300)]);
        world.finish(&uuid).await;
        uuids.push(uuid);
    }
    let all = |events: &[domicile_testkit::app::ReceivedEvent]| events.len() == 4;
    assert!(
        world
            .app
            .wait_for_events(crate::harness::PATIENCE, all)
            .await
            .is_ok()
    );
    process.signal(Signal::SIGTERM);
    assert!(process.ended().await.success());
    assert_eq!(objects(world.storage.path()).len(), 5);

    let restored = TestDb::empty().await;
    let into = restored.url().expose().clone();
    succeed(
        tool("pg_restore")
            .args(["--no-owner", "--exit-on-error", "--dbname", &into])
            .arg(&dump),
    );
    let environment = with_database(&world, &restored);

    // Told first, and nothing is changed by that.
    let expected = [
        "orphan: keep",
        "orphan: keep",
        "orphan: keep",
        "orphan: keep",
        "unknown_recording: take_over",
        "unknown_recording: take_over",
    ];
    for _ in 0..2 {
        let (report, code) = reconcile(&environment, &[]);
        assert_eq!(
            (found(&report), code),
            (expected.map(str::to_owned).to_vec(), Some(4)),
            "{report:#}"
        );
        assert_eq!(report["applied"], false);
    }
    assert_eq!(objects(world.storage.path()).len(), 5);

    // Done: Zoom's recordings are taken over; what nobody names is too young to be deleted, unless it is told otherwise.
    let (report, code) = reconcile(&environment, &["--apply"]);
    assert_eq!((report["applied"].as_bool(), code), (Some(true), Some(0)));
    assert_eq!(
        objects(world.storage.path()).len(),
        5,
        "younger than the grace time"
    );
    all_stored(&environment, &into, 3).await;
    let (report, _) = reconcile(&environment, &["--apply", "--grace", "0s"]);
    assert_eq!(found(&report), ["orphan: delete"; 4], "{report:#}");
    let uuids: Vec<_> = uuids.iter().collect();
    agrees(&world, &environment, world.storage.path(), &uuids).await;

    // A file that Zoom has no more, but of which the object is there, is not lost either.
    let client = restored.client().await;
    let given_up =
        "UPDATE recording_files SET status = 'failed', failure_class = 'not_found', object_key = NULL,
                    size_bytes = NULL, sha256 = NULL, stored_at = NULL, content_type = NULL
                    WHERE kind = 'CHAT';
                    UPDATE recordings r SET status = 'incomplete' FROM recording_files f
                    WHERE f.recording_id = r.id AND f.status = 'failed'";
    client.batch_execute(given_up).await.unwrap();
    let (report, _) = reconcile(&environment, &["--apply", "--grace", "0s"]);
    assert_eq!(found(&report), ["unclaimed: adopt"; 2], "{report:#}");
    all_stored(&environment, &into, 3).await;
    agrees(&world, &environment, world.storage.path(), &uuids).await;
    let acts = "SELECT DISTINCT action FROM audit_entries WHERE actor = 'operator'";
    assert_eq!(
        client.query_one(acts, &[]).await.unwrap().get::<_, String>(0),
        "reconcile"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_of_yesterday_agrees_again_with_the_database_of_today() {
    let (world, mut process) = world_with("run").await;
    let user = world.zoom_user();
    world.link(ALICE, &user).await;
    let first = world.stored_recording(&user, &[(FileKind::Mp4, 60_000)]).await;
    let yesterday = TempDir::new().unwrap();
    copy(world.storage.path(), yesterday.path());
    let second = world.recording(&user, &[(FileKind::Mp4, 50_000)]);
    world.finish(&second).await;
    let third = world.recording(&user, &[(FileKind::Mp4, 30_000)]);
    world.finish(&third).await;
    let all = |events: &[domicile_testkit::app::ReceivedEvent]| events.len() == 4;
    assert!(
        world
            .app
            .wait_for_events(crate::harness::PATIENCE, all)
            .await
            .is_ok()
    );
    process.signal(Signal::SIGTERM);
    assert!(process.ended().await.success());

    // What comes back lacks two objects, has half of one of them, and one whose bytes have changed.
    let half = file_of(&world, &second).await;
    let place = yesterday
        .path()
        .join(half.strip_prefix(world.storage.path()).unwrap());
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::write(&place, vec![0; 25_000]).unwrap();
    let whole = objects(yesterday.path());
    let spoilt = whole.iter().find(|path| **path != place).unwrap();
    let mut bytes = std::fs::read(spoilt).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(spoilt, bytes).unwrap();

    let mut environment = world.environment.clone();
    environment.insert(
        "DOMICILE_OBJECTS_URL".to_owned(),
        Url::from_directory_path(yesterday.path()).unwrap().to_string(),
    );
    let (report, code) = reconcile(&environment, &[]);
    assert_eq!(
        found(&report),
        ["missing_object: refetch", "wrong_size: refetch"],
        "{report:#}"
    );
    assert_eq!(code, Some(4));
    let (report, _) = reconcile(&environment, &["--apply", "--deep"]);
    assert_eq!(
        found(&report),
        [
            "missing_object: refetch",
            "unclaimed: keep",
            "unclaimed: keep",
            "wrong_bytes: refetch",
            "wrong_size: refetch"
        ],
        "what was found out to be wrong waits until the right one is there: {report:#}"
    );
    // Once more before it is done: nothing is asked for twice.
    let (report, _) = reconcile(&environment, &["--apply", "--deep"]);
    assert_eq!(found(&report), ["unclaimed: keep"; 2]);

    all_stored(&environment, world.db.url().expose(), 3).await;
    let (report, _) = reconcile(&environment, &["--apply", "--grace", "0s"]);
    assert_eq!(found(&report), ["orphan: delete"; 2], "{report:#}");
    agrees(&world, &environment, yesterday.path(), &[&first, &second, &third]).await;
}
