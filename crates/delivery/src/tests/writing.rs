use tokio::sync::Notify;

use super::*;

#[tokio::test]
async fn a_transaction_that_fails_leaves_neither_event_nor_job() {
    let app = App::start();
    let room = Room::new(Some(app.url())).await;
    let event = room.event(mailbox(1), "user:1", "one").await;
    let result = room
        .db
        .db()
        .run_tx("write", async |conn: &mut Conn| -> Result<(), StoreError> {
            room.delivery.write(conn, event.clone()).await?;
            Err(StoreError::NotFound)
        })
        .await;
    assert!(result.is_err());
    assert!(room.events().await.is_empty());
    assert!(room.jobs().await.is_empty());
}

#[tokio::test]
async fn without_a_destination_the_event_is_kept_and_nothing_is_asked_for() {
    let room = Room::new(None).await;
    room.write(mailbox(1), "user:1", "one").await;
    assert_eq!(room.events().await, [("pending".to_owned(), 0, None)]);
    assert!(room.jobs().await.is_empty());
    assert!(room.delivery.handler(None).is_none());
}

#[tokio::test]
async fn the_data_is_sealed() {
    let room = Room::new(None).await;
    room.write(mailbox(1), "user:1", "PLANTED").await;
    let client = room.db.client().await;
    let row = client
        .query_one(
            "SELECT position('PLANTED'::bytea IN data_sealed) FROM events",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, i32>(0), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_takes_one_writer_at_a_time_so_that_its_order_is_that_of_its_commits() {
    let room = Arc::new(Room::new(None).await);
    let (written, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let first = tokio::spawn({
        let (room, written, go_on) = (room.clone(), written.clone(), go_on.clone());
        async move {
            let event = room.event(mailbox(1), "user:1", "first").await;
            room.db
                .db()
                .run_tx("write", async |conn: &mut Conn| -> Result<(), StoreError> {
                    room.delivery.write(conn, event.clone()).await?;
                    written.notify_one();
                    go_on.notified().await;
                    Ok(())
                })
                .await
        }
    });
    soon(written.notified()).await;
    let second = tokio::spawn({
        let room = room.clone();
        async move { room.write(mailbox(1), "user:1", "second").await }
    });
    // The second waits for the first; another mailbox does not.
    let client = room.db.client().await;
    soon(async {
        loop {
            let waiting = client
                .query(
                    "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = \
                     (SELECT oid FROM pg_database WHERE datname = current_database())",
                    &[],
                )
                .await
                .unwrap();
            if !waiting.is_empty() {
                break;
            }
        }
    })
    .await;
    soon(room.write(mailbox(2), "user:2", "other")).await;
    assert_eq!(room.events().await.len(), 1);
    go_on.notify_one();
    soon(first).await.unwrap().unwrap();
    soon(second).await.unwrap();
    assert_eq!(room.events().await.len(), 3);
}
