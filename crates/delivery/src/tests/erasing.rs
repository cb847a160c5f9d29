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
        self.put(&event).await;
        event.id
    }

    pub(super) async fn put(&self, event: &NewEvent) {
        self.db
            .db()
            .run_tx("write", async |conn: &mut Conn| -> Result<(), StoreError> {
                self.delivery.write(conn, event.clone()).await
            })
            .await
            .unwrap();
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

#[tokio::test]
async fn what_was_said_to_the_bot_goes_with_the_link_in_whichever_mailbox_it_is() {
    let room = Room::new(None).await;
    let said = |number: u128, subject: Option<&str>, event_type: &'static str| {
        let (room, subject) = (&room, subject.map(|subject| subject.parse().unwrap()));
        async move {
            let mut event = room.event(mailbox(number), "user:1", "said").await;
            (event.subject, event.event_type) = (subject, event_type);
            room.put(&event).await;
            event.id.to_string()
        }
    };
    let acme = "org:acme".parse().unwrap();
    // 1 is the link's mailbox, 2 and 3 are those of two of its account's users; 2 is the one that the link names.
    said(2, None, "bot.command").await;
    said(2, Some("org:acme"), "bot.command").await;
    said(3, Some("org:acme"), "bot.action").await;
    let ended = room.clock.now();
    let kept = [
        said(1, Some("org:acme"), "link.revoked").await,
        said(1, Some("org:acme"), "bot.message_failed").await,
        said(3, None, "bot.command").await,
        said(3, Some("user:2"), "bot.command").await,
        said(4, Some("org:acme"), "recording.stored").await,
    ];
    room.clock.advance(Duration::from_secs(1));
    let later = said(2, Some("org:acme"), "bot.command").await;
    for _ in 0..2 {
        room.delivery
            .erase_said(mailbox(2), mailbox(1), &acme, ended)
            .await
            .unwrap();
        let mut expected = kept.to_vec();
        expected.push(later.clone());
        assert_eq!(room.ids().await, expected);
    }
}

#[tokio::test]
async fn an_event_whose_key_is_destroyed_does_not_hold_up_what_comes_after_it() {
    let app = App::start();
    let room = Room::new(Some(app.url())).await;
    room.write(mailbox(1), "user:1", "erased").await;
    let account = ZoomAccountId::new(ACCOUNT);
    room.db
        .db()
        .run_tx(
            "destroy",
            async |conn: &mut Conn| -> Result<(), domicile_vault::VaultError> {
                room.vault.destroy(conn, &account).await.map(drop)
            },
        )
        .await
        .unwrap();
    let after = room.write(mailbox(1), "user:1", "after").await;
    room.workers().run_due().await.unwrap();
    assert_eq!(
        room.ids().await,
        [after.to_string()],
        "what nobody can read is gone"
    );
    assert_eq!(app.notes(), ["after"]);
}
