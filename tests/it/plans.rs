//! What the service runs in a loop stays on its indexes when tables are large. One connection does everything, which also
//! shows that nothing asks for a second connection while it holds one.

use domicile::outside;
use domicile::region::Region;
use domicile::settings::{Environment, Settings};
use domicile_delivery::desk::{EventSelection, EventsDesk};
use domicile_kernel::state::JobStatus;
use domicile_kernel::{EventId, LinkId, Subject, ZoomAccountId};
use domicile_leases::desk::JobSelection;
use domicile_linking::desk::{LinkSelection, LinksDesk};
use domicile_linking::identity::Presence;
use domicile_linking::{NewConnectSession, Returned};
use domicile_recordings::desk::{RecordingSelection, RecordingsDesk};
use domicile_recordings::reconcile::ReconcileOptions;
use domicile_store::audit::{Actor, AuditQuery};
use domicile_store::{Conn, NewEvent, Outbox, StoreError};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::harness::eventually;
use crate::harness::world::{ALICE, World};

/// The link that everything below belongs to, among many others.
const LINK: Uuid = Uuid::from_u128(1);

/// Twenty thousand rows in each table that grows, and one live link.
const ROWS: &str = "
    INSERT INTO links (id, subject, zoom_client_id, zoom_account_id, zoom_user_id, status, scopes, created_at, updated_at)
    SELECT gen_random_uuid(), 'user:' || n, 'c', 'account-' || n % 500, 'user-' || n, 'active', '{}', now(), now()
    FROM generate_series(10000, 30000) n;
    INSERT INTO links (id, subject, zoom_client_id, zoom_account_id, zoom_user_id, status, scopes, created_at, updated_at)
    VALUES ('00000000-0000-0000-0000-000000000001', 'user:1001', 'c', 'a', 'u', 'active', '{}', now(), now());
    INSERT INTO grants (link_id, access_token_sealed, refresh_token_sealed, access_expires_at, api_url, generation, refreshed_at)
    SELECT id, '\\x00', '\\x00', '2020-01-01', 'https://api.example/', 1, '2020-01-01' FROM links;
    INSERT INTO jobs (id, kind, key, status, again, attempts, due_at, created_at, updated_at)
    VALUES (gen_random_uuid(), 'grant.refresh', '00000000-0000-0000-0000-000000000001', 'queued', false, 0, '2020-01-01', now(), now());
    INSERT INTO connect_sessions (id, subject, return_url, status, connect_token_hash, refusal_reason, created_at, expires_at, finished_at)
    SELECT gen_random_uuid(), 'user:' || n, 'https://app.example/', 'refused', sha256(n::text::bytea), 'expired', now(), now(), now()
    FROM generate_series(1, 20000) n;
    INSERT INTO inbox (id, endpoint, digest, status, event_type, received_at, body_sealed, body_size_bytes, attempts, due_at, finished_at)
    SELECT gen_random_uuid(), 'events', sha256(n::text::bytea), 'dispatched', 'x', now(), '\\x00', 1, 0, now(), now()
    FROM generate_series(1, 20000) n;
    INSERT INTO inbox (id, endpoint, digest, status, event_type, zoom_account_id, zoom_user_id, received_at, body_sealed, body_size_bytes, attempts, due_at)
    VALUES (gen_random_uuid(), 'events', sha256('x'), 'pending', 'recording.completed', 'a', 'u', now(), '\\x00', 1, 0, '2020-01-01');
    INSERT INTO recordings (id, link_id, zoom_account_id, meeting_uuid, status, created_at, updated_at)
    SELECT gen_random_uuid(), l.id, l.zoom_account_id, 'm', 'stored', now(), now() FROM links l;
    INSERT INTO recording_files (id, recording_id, zoom_file_id, kind, extension, status, object_key, size_bytes, sha256, created_at, updated_at, stored_at)
    SELECT gen_random_uuid(), r.id, 'f', 'MP4', 'mp4', 'stored', 'k', 1, sha256('x'), now(), now(), now() FROM recordings r;
    INSERT INTO events (id, mailbox, type, version, subject, occurred_at, data_sealed, status, attempts, delivered_at)
    SELECT gen_random_uuid(), l.id, 'x', 1, l.subject, now(), '\\x00', 'delivered', 1, now() FROM links l;
    INSERT INTO delivery_attempts (event_id, attempt, started_at, duration_ms, status_code)
    SELECT e.id, 1, now(), 1, 200 FROM events e;
    INSERT INTO jobs (id, kind, key, status, again, attempts, due_at, created_at, updated_at)
    SELECT gen_random_uuid(), kind, n::text, 'queued', false, 0, '2100-01-01', now(), now()
    FROM generate_series(1, 5000) n,
         unnest(ARRAY['recording.merge', 'recording.fetch', 'delivery.mailbox', 'grant.refresh', 'connect_session.expire']) kind;
    INSERT INTO vault_keys (id, zoom_account_id, region_key_id, wrapped_key, created_at)
    SELECT gen_random_uuid(), 'account-' || n, 'k1', '\\x00', now() FROM generate_series(1, 20000) n;
    INSERT INTO audit_entries (id, occurred_at, actor, action, outcome, subject, link_id)
    SELECT gen_random_uuid(), now(), 'service', 'x', 'done', l.subject, l.id FROM links l;
    INSERT INTO admitted_accounts (zoom_account_id, admitted_at, admitted_by)
    SELECT 'account-' || n, now(), 'operator' FROM generate_series(1, 20000) n;
    INSERT INTO bot_messages (id, origin, request_sealed, zoom_account_id, link_id, subject, to_jid, user_jid, robot_jid, is_markdown, content_sealed,
        wanted, wanted_revision, sent_revision, state, zoom_message_id, created_at, updated_at)
    SELECT gen_random_uuid(), 'api:x:' || l.id, '\\x00', l.zoom_account_id, l.id, l.subject,
        'x', l.zoom_user_id || '@xmpp.zoom.us', 'r', false, '\\x00', 'present', 1, 1, 'sent', 'm', now(), now()
    FROM links l;
    INSERT INTO bot_people (zoom_account_id, zoom_user_id, user_jid, robot_jid, seen_at)
    SELECT l.zoom_account_id, l.zoom_user_id, 'x', 'r', now() FROM links l;
    INSERT INTO bot_messages (id, origin, request_sealed, zoom_account_id, to_jid, user_jid, robot_jid, is_markdown, content_sealed,
        wanted, wanted_revision, sent_revision, state, created_at, updated_at)
    VALUES ('00000000-0000-0000-0000-000000000003', 'command:x', '\\x00', 'a', 'x', 'u@xmpp.zoom.us', 'r', false, '\\x00',
        'present', 1, 0, 'pending', '2020-01-01', '2020-01-01');
    INSERT INTO bot_people (zoom_account_id, zoom_user_id, user_jid, robot_jid, seen_at) VALUES ('a', 'old', 'x', 'r', '2020-01-01');
    INSERT INTO jobs (id, kind, key, lane, status, again, attempts, due_at, created_at, updated_at)
    VALUES (gen_random_uuid(), 'bot.message', '00000000-0000-0000-0000-000000000003', 'a', 'queued', false, 0, '2020-01-01', now(), now());
    ANALYZE;";

/// The lists of the operators' commands, and the reconciliation of all that is stored.
async fn operators_look(region: &Region) {
    let mut conn = region.db.conn().await.unwrap();
    for selection in [
        JobSelection::default(),
        JobSelection {
            status: Some(JobStatus::Quarantined),
            kind: Some("recording.fetch".to_owned()),
            ..JobSelection::default()
        },
    ] {
        domicile_leases::desk::list(&mut conn, &selection, None, 50)
            .await
            .unwrap();
        domicile_leases::desk::redrive_selected(&mut conn, &selection, 50, region.ids.clock().now())
            .await
            .unwrap();
    }
    drop(conn);
    let links = LinksDesk::new(region.db.clone());
    links.list(&LinkSelection::default(), None, 50).await.unwrap();
    links.show(LinkId::from(LINK)).await.unwrap().unwrap();
    let recordings = RecordingsDesk::new(region.db.clone(), region.ids.clone());
    let selection = RecordingSelection::default();
    let newest = recordings.list(&selection, None, 50).await.unwrap()[0].id;
    recordings.list(&selection, Some(newest), 50).await.unwrap();
    recordings.show(newest).await.unwrap().unwrap();
    let events = EventsDesk::new(region.db.clone(), region.ids.clone());
    let newest = events.list(&EventSelection::default(), None, 50).await.unwrap()[0].id;
    events.show(newest).await.unwrap().unwrap();
    let mailbox = EventSelection {
        subject: Some(ALICE.parse().unwrap()),
        ..EventSelection::default()
    };
    events.list(&mailbox, Some(i64::MAX), 50).await.unwrap();
    let options = ReconcileOptions {
        apply: false,
        deep: false,
        grace: chrono::TimeDelta::zero(),
        since: None,
    };
    let report = region.reconciler().reconcile(&options).await.unwrap();
    assert!(report.stored_files > 20_000);
}

/// How often each large table was read from end to end.
async fn sequential_scans(client: &Client) -> Vec<(String, i64)> {
    let sql = "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE n_live_tup >= 10000 ORDER BY relname";
    client
        .query(sql, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_in_a_loop_reads_no_large_table_from_end_to_end() {
    let world = World::without_region().await;
    let client = world.db.client().await;
    client.batch_execute(ROWS).await.unwrap();
    let flush = "SELECT pg_stat_force_next_flush()";
    client.batch_execute(flush).await.unwrap();
    let before = sequential_scans(&client).await;
    assert_eq!(before.len(), 14, "each table that grows is large: {before:?}");

    let bot = [(
        "DOMICILE_BOT_ROBOT_JID".to_owned(),
        "v1robot@xmpp.zoom.us".to_owned(),
    )];
    let environment: Environment = world.environment.clone().into_iter().chain(bot).collect();
    let mut settings = Settings::from_environment(&environment).unwrap();
    settings.database.max_connections = 1;
    let region = Region::build(settings, outside::ids()).unwrap();

    // Linking: a session, its start, a callback, a confirmation, the lists.
    let subject: Subject = ALICE.parse().unwrap();
    let created = region
        .linking
        .create_session(
            NewConnectSession {
                subject: &subject,
                return_url: &world.app.return_url(),
                replace: false,
            },
            &Actor::Service,
        )
        .await
        .unwrap();
    let token = created
        .connect_url
        .expose()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let nobody = Presence::Unasked;
    region.linking.start_session(&token, &nobody).await.unwrap();
    region
        .linking
        .start_session("unknown", &nobody)
        .await
        .err()
        .unwrap();
    region
        .linking
        .receive("unknown", |_| None, Returned::Denied, &nobody)
        .await
        .err()
        .unwrap();
    region
        .linking
        .confirm("unknown", &subject, &Actor::Service)
        .await
        .unwrap_err();
    for query in [
        AuditQuery::default(),
        AuditQuery {
            subject: Some(subject.clone()),
            ..AuditQuery::default()
        },
        AuditQuery {
            link_id: Some(LinkId::from(LINK)),
            before: Some(i64::MAX),
            ..AuditQuery::default()
        },
    ] {
        region.linking.audit_entries(&query, 51).await.unwrap();
    }
    region
        .linking
        .admitted(Some(&ZoomAccountId::new("account-5")), 51)
        .await
        .unwrap();
    region.linking.links(Some(&subject), None, 51).await.unwrap();
    region
        .linking
        .links(None, Some(LinkId::from(LINK)), 51)
        .await
        .unwrap();

    operators_look(&region).await;

    // A grant at its end, whose tokens do not open; the counting of those in trouble.
    region
        .linking
        .access_token(LinkId::from(LINK))
        .await
        .err()
        .unwrap();
    let stop = CancellationToken::new();
    let counting = {
        let (linking, stop) = (region.linking.clone(), stop.clone());
        tokio::spawn(async move { linking.sample(stop).await })
    };
    let counted = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'domicile'
                   AND state = 'idle' AND query LIKE '%GROUP BY \"grants\".\"state\"%'";
    eventually("the count of grants in trouble", async || {
        (client.query_one(counted, &[]).await.unwrap().get::<_, i64>(0) == 1).then_some(())
    })
    .await;
    stop.cancel();
    counting.await.unwrap();

    // The inbox's dispatch with its routing, then every kind of job that is due; an event for the app among them.
    assert_eq!(region.dispatcher().run_due().await.unwrap(), 1);
    region.dispatcher().delete_old().await.unwrap();
    let event = NewEvent {
        id: EventId::from(Uuid::from_u128(2)),
        mailbox: LinkId::from(LINK).into(),
        event_type: "link.active",
        version: 1,
        subject: Some(subject),
        account: Some(ZoomAccountId::new("a")),
        occurred_at: created.expires_at,
        data_sealed: vec![0],
    };
    region
        .db
        .run_tx("write_event", async |conn: &mut Conn| -> Result<(), StoreError> {
            region.delivery.write(conn, event.clone()).await
        })
        .await
        .unwrap();
    // The bot's messages: one that is due, whose content does not open; then erasing and forgetting.
    assert!(region.workers().run_due().await.unwrap() >= 3);
    region.bot_eraser().erase(LinkId::from(LINK)).await.unwrap();
    assert_eq!(region.bot_eraser().delete_old().await.unwrap(), 1);

    // A session that ends has told its statistics.
    drop(region);
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'domicile'";
    eventually("the end of the region's sessions", async || {
        (client.query_one(sessions, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(())
    })
    .await;
    assert_eq!(sequential_scans(&client).await, before);
}
