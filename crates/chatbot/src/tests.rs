//! What the tests of this room share: a room over a database of its own, and a Zoom that answers over a real socket.

mod callbacks;
mod calling;
mod changing;
mod erasing;
mod sending;
mod zoom;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domicile_kernel::{BotMessageId, Ids, InboxId, LinkId, Secret, Subject, ZoomAccountId, ZoomUserId};
use domicile_leases::Workers;
use domicile_store::{Conn, NewEvent, Outbox, StoreError};
use domicile_testkit::clock::{SeededRng, TestClock, ids};
use domicile_testkit::db::TestDb;
use domicile_vault::{Place, RegionKeys, Vault};
use domicile_zoom::chat::content::{Card, Content};
use domicile_zoom::chat::{ChatApi, ChatbotTokens};
use domicile_zoom::host::ZoomHosts;
use domicile_zoom::oauth::ZoomOAuth;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::{
    BotEraser, ChatbotSettings, LinkedUser, Links, MessageView, Messages, NewMessage, Origin, Parts,
    Recipient, Written,
};
use zoom::{Answer, Zoom};

const VAULT_KEYS: &str = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const ACCOUNT: &str = "account-1";
const ROBOT: &str = "v1robot@xmpp.zoom.us";
const ALICE: &str = "user:alice";
const ALICE_ID: &str = "AliceId";

/// Keeps what it is told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<NewEvent>>>);

#[async_trait]
impl Outbox for Told {
    async fn write(&self, _conn: &mut Conn, event: NewEvent) -> Result<(), StoreError> {
        self.0.lock().unwrap().push(event);
        Ok(())
    }
}

/// Knows the links that a test made.
#[derive(Clone, Default)]
struct Linked(Arc<Mutex<HashMap<Subject, LinkedUser>>>);

#[async_trait]
impl Links for Linked {
    async fn by_subject(
        &self,
        _conn: &mut Conn,
        subject: &Subject,
    ) -> Result<Option<LinkedUser>, StoreError> {
        Ok(self.0.lock().unwrap().get(subject).cloned())
    }

    async fn sole_account(&self, _conn: &mut Conn) -> Result<Option<ZoomAccountId>, StoreError> {
        let links = self.0.lock().unwrap();
        let mut accounts = links.values().map(|linked| linked.account.clone());
        let first = accounts.next();
        Ok(first.filter(|first| accounts.all(|other| other == *first)))
    }
}

struct Room {
    db: TestDb,
    clock: TestClock,
    vault: Vault,
    ids: Ids,
    zoom: Zoom,
    told: Told,
    linked: Linked,
    messages: Messages,
}

impl Room {
    async fn new() -> Self {
        let db = TestDb::create().await;
        let clock = TestClock::new();
        let ids = ids(&clock, &SeededRng::new(1));
        let keys = RegionKeys::parse(&Secret::from(VAULT_KEYS)).unwrap();
        let vault = Vault::new(db.db(), ids.clone(), keys);
        let zoom = Zoom::start().await;
        let (told, linked) = (Told::default(), Linked::default());
        let messages = Messages::new(Parts {
            db: db.db(),
            ids: ids.clone(),
            vault: vault.clone(),
            outbox: Arc::new(told.clone()),
            api: api(&zoom.url, &clock),
            links: Arc::new(linked.clone()),
            settings: ChatbotSettings {
                robot_jid: ROBOT.to_owned(),
            },
        });
        Self {
            db,
            clock,
            vault,
            ids,
            zoom,
            told,
            linked,
            messages,
        }
    }

    fn workers(&self) -> Workers {
        self.messages
            .handlers()
            .into_iter()
            .fold(
                Workers::builder(self.db.db(), self.ids.clone()),
                domicile_leases::WorkersBuilder::handler,
            )
            .build()
    }

    /// Runs what is due, and says how many jobs that were.
    async fn run(&self) -> usize {
        self.workers().run_due().await.unwrap()
    }

    /// Links Alice, or whom else.
    async fn link(&self, subject: &str, user: &str) -> LinkId {
        let link: LinkId = self.ids.make();
        self.db
            .client()
            .await
            .execute(
                "INSERT INTO links (id, subject, zoom_client_id, zoom_account_id, zoom_user_id, status, scopes, created_at, updated_at)
                 VALUES ($1, $2, 'c', $3, $4, 'active', '{}', now(), now())",
                &[&link.as_uuid(), &subject, &ACCOUNT, &user],
            )
            .await
            .unwrap();
        let linked = LinkedUser {
            link_id: link,
            account: ZoomAccountId::new(ACCOUNT),
            user: Some(ZoomUserId::new(user)),
        };
        self.linked
            .0
            .lock()
            .unwrap()
            .insert(subject.parse().unwrap(), linked);
        link
    }

    async fn end_link(&self, link: LinkId) {
        self.db
            .client()
            .await
            .execute(
                "UPDATE links SET status = 'revoked', revoked_at = now() WHERE id = $1",
                &[&link.as_uuid()],
            )
            .await
            .unwrap();
    }

    async fn write(&self, new: NewMessage) -> Written {
        let prepared = self.messages.prepare(new).await.unwrap();
        self.db
            .db()
            .run_tx("write", async |conn: &mut Conn| {
                self.messages.write(conn, &prepared).await
            })
            .await
            .unwrap()
    }

    /// A message that is wanted, and nothing else due.
    async fn wanted(&self, number: u128, text: &str) -> BotMessageId {
        self.write(message(number, text)).await.id
    }

    async fn edit(&self, id: BotMessageId, text: &str) -> crate::Edited {
        let edit = self
            .messages
            .prepare_edit(id, &ZoomAccountId::new(ACCOUNT), &card(text))
            .await
            .unwrap();
        self.db
            .db()
            .run_tx("edit", async |conn: &mut Conn| {
                self.messages.write_edit(conn, &edit).await
            })
            .await
            .unwrap()
    }

    async fn delete(&self, id: BotMessageId) -> bool {
        self.db
            .db()
            .run_tx("delete", async |conn: &mut Conn| {
                self.messages.write_delete(conn, id).await
            })
            .await
            .unwrap()
    }

    async fn view(&self, id: BotMessageId) -> MessageView {
        self.messages.get(id).await.unwrap().unwrap()
    }

    /// Status and reason of a message.
    async fn status(&self, id: BotMessageId) -> (&'static str, Option<String>) {
        let view = self.view(id).await;
        (view.status, view.reason)
    }

    /// Type and data of what the app was told.
    async fn told(&self) -> Vec<(&'static str, Value)> {
        let events = self.told.0.lock().unwrap().clone();
        let mut told = Vec::new();
        for event in events {
            let place = Place::new("events", "data_sealed", event.id);
            let data = self.vault.open(place, &event.data_sealed).await.unwrap();
            told.push((event.event_type, serde_json::from_slice(data.expose()).unwrap()));
        }
        told
    }

    /// The number of rows of a table.
    async fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        self.db.client().await.query_one(&sql, &[]).await.unwrap().get(0)
    }

    fn eraser(&self) -> BotEraser {
        BotEraser::new(self.db.db(), self.ids.clone())
    }
}

/// A bot at this Zoom.
fn api(url: &Url, clock: &TestClock) -> ChatApi {
    let hosts: Arc<ZoomHosts> = Arc::new("127.0.0.1".parse().unwrap());
    let egress = domicile_egress::testing::loopback();
    let client = || egress.client("test", domicile_egress::testing::TIMEOUTS);
    let oauth = ZoomOAuth::new(
        "bot-id",
        Secret::from("PLANTED-CLIENT-SECRET"),
        url,
        &url.join("/oauth/callback").unwrap(),
        client(),
        clock.port(),
    )
    .unwrap();
    let base = hosts.validate_api_url(url.as_str()).unwrap();
    let tokens = ChatbotTokens::new(oauth, Arc::clone(&hosts), base, clock.port());
    ChatApi::new(client(), hosts, tokens, clock.port())
}

fn card(text: &str) -> Content {
    Card::new(text).build().unwrap()
}

fn origin(number: u128) -> Origin {
    Origin::command(InboxId::from(Uuid::from_u128(number)))
}

/// A message of no link.
fn message(number: u128, text: &str) -> NewMessage {
    NewMessage {
        origin: origin(number),
        account: ZoomAccountId::new(ACCOUNT),
        recipient: Recipient {
            to_jid: "chan@conference.xmpp.zoom.us".to_owned(),
            user_jid: Some("aliceid@xmpp.zoom.us".to_owned()),
            reply_to: None,
            visible_to_user: None,
        },
        link: None,
        content: card(text),
        markdown: false,
        callback: None,
        traceparent: None,
    }
}

/// A message about Alice's link.
fn about(link: LinkId, number: u128, text: &str) -> NewMessage {
    NewMessage {
        link: Some((link, ALICE.parse().unwrap())),
        ..message(number, text)
    }
}
