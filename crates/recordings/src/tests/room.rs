//! The room with everything around it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domicile_egress::{Contacts, Egress, testing};
use domicile_kernel::{Ids, InboxId, LinkId, RecordingId, Secret};
use domicile_leases::{JobError, Workers};
use domicile_objects::{ObjectKey, ObjectStorage, S3Options};
use domicile_store::{Conn, StoreError};
use domicile_testkit::clock::{SeededRng, TestClock, ids};
use domicile_testkit::db::TestDb;
use domicile_vault::{KeyScope, Place, RegionKeys, Vault};
use domicile_zoom::api::ZoomApi;
use domicile_zoom::host::{ApiBase, ZoomHosts};
use futures_util::TryStreamExt;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Notify;
use url::Url;

use super::events::{ACCOUNT, HOST};
use super::media::{Media, paused};
use super::store::{self, Told};
use crate::{AccessTokens, InboxBodies, Library, NoProgress, Parts, handlers, take};

pub(super) struct Room {
    pub(super) db: TestDb,
    pub(super) clock: TestClock,
    pub(super) ids: Ids,
    pub(super) vault: Vault,
    pub(super) storage: ObjectStorage,
    pub(super) media: Media,
    pub(super) library: Library,
    pub(super) link_id: LinkId,
    pub(super) outbox: Arc<Told>,
    /// Whom it talked to.
    pub(super) contacts: Contacts,
    bodies: Arc<Bodies>,
    tokens: Arc<Tokens>,
    all: Workers,
    merging: Workers,
    folder: TempDir,
}

impl Room {
    pub(super) async fn new() -> Self {
        Self::with_hosts("127.0.0.1").await
    }

    /// A room that takes these hosts for Zoom's.
    pub(super) async fn with_hosts(hosts: &str) -> Self {
        let db = TestDb::create().await;
        let clock = TestClock::new();
        let ids = ids(&clock, &SeededRng::new(1));
        let keys = Secret::new(format!("k1:{}", STANDARD.encode([7; 32])));
        let vault = Vault::new(db.db(), ids.clone(), RegionKeys::parse(&keys).ok().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let egress: Egress = testing::loopback();
        let storage = ObjectStorage::open(
            &Url::from_directory_path(folder.path()).unwrap(),
            &S3Options::default(),
            egress.client("objects", testing::TIMEOUTS),
        )
        .unwrap();
        let media = Media::start();
        let hosts: Arc<ZoomHosts> = Arc::new(hosts.parse().unwrap());
        let loopback: ZoomHosts = "127.0.0.1".parse().unwrap();
        let tokens = Arc::new(Tokens {
            base: loopback.validate_api_url(&media.base()).unwrap(),
            fails: Mutex::new(false),
        });
        let bodies = Arc::<Bodies>::default();
        let outbox = Arc::<Told>::default();
        let handlers = handlers(Parts {
            db: db.db(),
            ids: ids.clone(),
            vault: vault.clone(),
            storage: storage.clone(),
            outbox: outbox.clone(),
            bodies: bodies.clone(),
            tokens: tokens.clone(),
            progress: Arc::new(NoProgress),
            downloads: egress.client("zoom_download", testing::TIMEOUTS),
            api: ZoomApi::new(egress.client("zoom_api", testing::TIMEOUTS), hosts, clock.port()),
        });
        let workers = |count| {
            let builder = Workers::builder(db.db(), ids.clone());
            handlers
                .iter()
                .take(count)
                .cloned()
                .fold(builder, domicile_leases::WorkersBuilder::handler)
                .build()
        };
        let room = Self {
            library: Library::new(db.db(), vault.clone(), storage.clone()),
            link_id: ids.make(),
            all: workers(3),
            merging: workers(1),
            db,
            clock,
            ids,
            vault,
            storage,
            media,
            outbox,
            contacts: egress.fence().contacts().clone(),
            bodies,
            tokens,
            folder,
        };
        room.add_link(room.link_id, "user:1", HOST).await;
        room
    }

    pub(super) async fn add_link(&self, id: LinkId, subject: &str, user: &str) {
        self.run_sql(&format!(
            "INSERT INTO links (id, subject, zoom_client_id, zoom_account_id, zoom_user_id, status, scopes, created_at,
                 updated_at) VALUES ('{id}', '{subject}', 'app', '{ACCOUNT}', '{user}', 'active', '{{}}', now(), now())"
        ))
        .await;
    }

    pub(super) async fn revoke_link(&self) {
        self.run_sql("UPDATE links SET status = 'revoked', revoked_at = now()")
            .await;
    }

    pub(super) async fn run_sql(&self, sql: &str) {
        self.db.client().await.batch_execute(sql).await.unwrap();
    }

    /// Every row of a query as text, columns joined by spaces.
    pub(super) async fn rows(&self, sql: &str) -> Vec<String> {
        let wrapped = format!("SELECT translate(row(q.*)::text, '()', '') FROM ({sql}) q");
        let rows = self.db.client().await.query(&wrapped, &[]).await.unwrap();
        rows.iter()
            .map(|row| row.get::<_, String>(0).replace(',', " "))
            .collect()
    }

    /// Dispatches an event to a link, as intake does.
    pub(super) async fn dispatch_to(&self, link_id: LinkId, event: &Value) {
        let inbox_id: InboxId = self.ids.make();
        self.bodies
            .0
            .lock()
            .unwrap()
            .insert(inbox_id, event.to_string().into_bytes());
        self.db
            .db()
            .run_tx("dispatch", async |conn: &mut Conn| -> Result<(), StoreError> {
                take(conn, &self.ids, inbox_id, link_id, None).await
            })
            .await
            .unwrap();
    }

    pub(super) async fn dispatch(&self, event: &Value) {
        self.dispatch_to(self.link_id, event).await;
    }

    /// Runs everything that is due.
    pub(super) async fn run(&self) -> usize {
        self.all.run_due().await.unwrap()
    }

    /// Runs the merges that are due, and no more.
    pub(super) async fn merge(&self) -> usize {
        self.merging.run_due().await.unwrap()
    }

    /// Runs everything that is due, by three workers.
    pub(super) async fn run_at_once(&self) {
        futures_util::future::join_all((0..3).map(|_| self.run())).await;
    }

    /// Lets so much time pass, and runs everything that is due then.
    pub(super) async fn run_after(&self, wait: Duration) -> usize {
        self.clock.advance(wait);
        self.run().await
    }

    /// Fails the access tokens, as after a lost grant.
    pub(super) fn lose_grant(&self) {
        *self.tokens.fails.lock().unwrap() = true;
    }

    /// `kind status class attempts` of each unfinished job.
    pub(super) async fn jobs(&self) -> Vec<String> {
        self.rows(
            "SELECT kind, status, coalesce(last_error_class, '-'), attempts FROM jobs ORDER BY kind, key",
        )
        .await
    }

    /// Seconds until the only unfinished job is due.
    pub(super) async fn due_in_seconds(&self) -> i64 {
        use domicile_kernel::Clock;
        let rows = self
            .rows("SELECT extract(epoch FROM due_at)::bigint FROM jobs")
            .await;
        rows[0].parse::<i64>().unwrap() - self.clock.now().timestamp()
    }

    /// `kind status class` of each file.
    pub(super) async fn files(&self) -> Vec<String> {
        self.rows(
            "SELECT zoom_file_id, status, coalesce(failure_class, '-') FROM recording_files ORDER BY zoom_file_id",
        )
        .await
    }

    pub(super) async fn recording_id(&self) -> RecordingId {
        self.rows("SELECT id FROM recordings").await[0].parse().unwrap()
    }

    /// What the app was told: type and opened data.
    pub(super) async fn told(&self) -> Vec<(String, Value)> {
        let mut conn = self.db.db().conn().await.unwrap();
        let mut told = Vec::new();
        for (id, mailbox, event_type, sealed) in store::told(&mut conn).await {
            assert_eq!(mailbox, self.link_id.as_uuid());
            let place = Place::new("events", "data_sealed", id);
            let data = self.vault.open(place, &sealed).await.unwrap();
            told.push((event_type, serde_json::from_slice(data.expose()).unwrap()));
        }
        told
    }

    /// The stored bytes of the only stored file.
    pub(super) async fn stored(&self) -> Vec<u8> {
        let key = &self
            .rows("SELECT object_key FROM recording_files WHERE object_key IS NOT NULL")
            .await[0];
        let key = ObjectKey::parse(key).unwrap();
        let pieces: Vec<_> = self.storage.read(&key, None).try_collect().await.unwrap();
        pieces.concat()
    }

    /// How many objects the storage holds, unfinished ones too.
    pub(super) fn objects(&self) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .map(|path| if path.is_dir() { count(&path) } else { 1 })
                .sum()
        }
        count(self.folder.path())
    }

    /// Where the folder holds the object of this key.
    pub(super) fn path_of(&self, key: &ObjectKey) -> PathBuf {
        self.folder.path().join(key.as_str())
    }

    /// The keys of the attempts that the files name.
    pub(super) async fn attempt_keys(&self) -> Vec<String> {
        self.rows(
            "SELECT attempt_key FROM recording_files WHERE attempt_key IS NOT NULL ORDER BY zoom_file_id",
        )
        .await
    }

    /// Leaves what an attempt at the only file leaves that dies after its upload and before its commit.
    pub(super) async fn leave_dead_attempt(&self) -> ObjectKey {
        let file = self.rows("SELECT recording_id, id FROM recording_files").await[0].replace(' ', "/");
        let key = ObjectKey::parse(&format!("recordings/{}/{file}-dead.mp4", self.link_id)).unwrap();
        let mut upload = self.storage.begin(&key);
        upload
            .write(Bytes::from_static(b"what a dead attempt left"))
            .await
            .unwrap();
        upload.finish().await.unwrap();
        self.run_sql(&format!("UPDATE recording_files SET attempt_key = '{key}'"))
            .await;
        key
    }

    /// Destroys the account's key, which is erasure.
    pub(super) async fn erase(&self) {
        let account = domicile_kernel::ZoomAccountId::new(ACCOUNT);
        self.vault.key(&KeyScope::Account(account.clone())).await.unwrap();
        let mut conn = self.db.db().conn().await.unwrap();
        self.vault.destroy(&mut conn, &account).await.unwrap();
    }
}

/// A pause in the middle of a download.
#[derive(Default)]
pub(super) struct Pause {
    /// The download is half way.
    pub(super) begun: Arc<Notify>,
    /// It may go on.
    pub(super) go_on: Arc<Notify>,
}

impl Pause {
    /// From now on these bytes are served, with this pause.
    pub(super) fn answer(&self, room: &Room, bytes: &[u8]) {
        let (tell, wait, bytes) = (Arc::clone(&self.begun), Arc::clone(&self.go_on), bytes.to_vec());
        room.media.answers(move |_| paused(&bytes, &tell, &wait));
    }
}

/// Runs what is due; in the middle of the download of these bytes, `meanwhile` happens.
pub(super) async fn run_with(room: &Room, bytes: &[u8], meanwhile: impl AsyncFnOnce()) {
    let pause = Pause::default();
    pause.answer(room, bytes);
    tokio::join!(room.run(), async {
        pause.begun.notified().await;
        meanwhile().await;
        pause.go_on.notify_one();
    });
}

#[derive(Default)]
struct Bodies(Mutex<HashMap<InboxId, Vec<u8>>>);

#[async_trait]
impl InboxBodies for Bodies {
    async fn body(&self, inbox_id: InboxId) -> Result<Secret<Vec<u8>>, JobError> {
        let body = self.0.lock().unwrap().get(&inbox_id).cloned();
        body.map(Secret::new)
            .ok_or_else(|| JobError::fail("no_body", "no such inbox row"))
    }
}

struct Tokens {
    base: ApiBase,
    fails: Mutex<bool>,
}

#[async_trait]
impl AccessTokens for Tokens {
    async fn access_token(&self, _: LinkId) -> Result<(Secret<String>, ApiBase), JobError> {
        if *self.fails.lock().unwrap() {
            return Err(JobError::retry("needs_reauthorization", "the grant is lost"));
        }
        Ok((Secret::from("access-token"), self.base.clone()))
    }
}
