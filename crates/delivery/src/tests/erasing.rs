use super::*;

impl Room {
    async fn erase(&self, number: u128) {
        let subject = "user:1".parse().unwrap();
        self.delivery
            .erase_before(mailbox(number), &subject, "link.revoked")
            .await
            .unwrap();
    }

    async fn end(&self, number: u128) -> EventId {
        let mut event = self.event(mailbox(number), "user:1", "the end").await;
        event.event_type = "link.revoked";
        self.db
            .db()
            .run_tx("write", async |conn: &mut Conn| -> Result<(), StoreError> {
                self.delivery.write(conn, event.clone()).await
            })
            .await
            .unwrap();
        event.id
    }

    async fn ids(&self) -> Vec<String> {
        let client = self.db.client().await;
        let sql = "SELECT id::text FROM events ORDER BY sequence";
        let rows = client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

#[tokio::test]
async fn what_comes_before_the_end_of_a_link_goes_and_the_end_is_delivered() {
    let app = App::start();
    let room = Room::new(Some(app.url())).await;
    room.write(mailbox(1), "user:1", "delivered").await;
    room.workers().run_due().await.unwrap();
    let others = room.write(mailbox(2), "user:1", "of another link").await;
    room.write(mailbox(1), "user:1", "pending").await;
    room.erase(1).await;
    assert_eq!(room.ids().await.len(), 3, "nothing has ended");
    let end = room.end(1).await;
    for _ in 0..2 {
        room.erase(1).await;
        assert_eq!(room.ids().await, [others.to_string(), end.to_string()]);
    }
    room.workers().run_due().await.unwrap();
    let delivered: Vec<_> = room
        .events()
        .await
        .into_iter()
        .map(|(status, ..)| status)
        .collect();
    assert_eq!(delivered, ["delivered", "delivered"]);
}
