use std::sync::Mutex;

use async_trait::async_trait;
use domicile_leases::{JobError, JobKind, NewJob, enqueue};

use super::app::Answer as Reply;
use super::*;
use crate::{Answer, AnswerReader};

/// What is kept of an answer, so that the database counts it.
const KEPT: JobKind = JobKind("test.kept");

/// Reads answers to one type of event; it fails as often as it is told to.
struct Reader {
    ids: Ids,
    failures: Mutex<u32>,
    read: Mutex<Vec<String>>,
}

struct Kept(Ids, Timestamp, EventId);

#[async_trait]
impl AnswerReader for Reader {
    fn reads(&self, event_type: &str) -> bool {
        event_type == "bot.command"
    }

    async fn read(&self, event: EventId, answer: &[u8]) -> Result<Option<Box<dyn Answer>>, JobError> {
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return Err(JobError::retry("test", "the answer cannot be read yet"));
        }
        let answer = String::from_utf8_lossy(answer).into_owned();
        self.read.lock().unwrap().push(answer);
        let now = self.ids.clock().now();
        Ok(Some(Box::new(Kept(self.ids.clone(), now, event))))
    }
}

#[async_trait]
impl Answer for Kept {
    async fn keep(&self, conn: &mut Conn) -> Result<(), StoreError> {
        let job = NewJob {
            kind: KEPT,
            key: &self.2.to_string(),
            lane: None,
            due_at: self.1,
            traceparent: None,
        };
        enqueue(conn, &self.0, job).await
    }
}

impl Room {
    async fn kept(&self) -> Vec<String> {
        let client = self.db.client().await;
        let rows = client
            .query("SELECT key FROM jobs WHERE kind = $1", &[&KEPT.0])
            .await
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

#[tokio::test]
async fn an_answer_is_kept_with_the_delivery_and_one_that_cannot_be_read_is_asked_for_again() {
    let app = App::start();
    let room = Room::new(Some(app.url())).await;
    let reader = Arc::new(Reader {
        ids: room.ids.clone(),
        failures: Mutex::new(1),
        read: Mutex::default(),
    });
    let workers = Workers::builder(room.db.db(), room.ids.clone())
        .handler(room.delivery.handler(Some(reader.clone())).unwrap())
        .build();
    let mut command = room
        .event(MailboxId::from_uuid(Uuid::from_u128(7)), "user:1", "said")
        .await;
    command.event_type = "bot.command";
    room.put(&command).await;
    workers.run_due().await.unwrap();
    assert_eq!(room.kept().await, [""; 0], "not delivered, so nothing is kept");
    assert_eq!(room.events().await[0].0, "pending");
    room.clock.advance(Duration::from_secs(60));
    workers.run_due().await.unwrap();
    assert_eq!(room.kept().await, [command.id.to_string()]);
    assert_eq!(room.events().await[0].0, "delivered");
    assert_eq!(app.posts().len(), 2, "with the same id");
    assert_eq!(reader.read.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_the_app_answers_to_other_events_or_without_success_is_not_read() {
    let app = App::start();
    let room = Room::new(Some(app.url())).await;
    let reader = Arc::new(Reader {
        ids: room.ids.clone(),
        failures: Mutex::new(0),
        read: Mutex::default(),
    });
    let workers = Workers::builder(room.db.db(), room.ids.clone())
        .handler(room.delivery.handler(Some(reader.clone())).unwrap())
        .build();
    room.write(MailboxId::from_uuid(Uuid::from_u128(8)), "user:1", "other")
        .await;
    app.answer("user:2", Reply::status(503));
    let mut command = room
        .event(MailboxId::from_uuid(Uuid::from_u128(9)), "user:2", "said")
        .await;
    command.event_type = "bot.command";
    room.put(&command).await;
    workers.run_due().await.unwrap();
    assert_eq!(app.posts().len(), 2);
    assert_eq!(reader.read.lock().unwrap().len(), 0);
    assert_eq!(room.kept().await, [""; 0]);
}
