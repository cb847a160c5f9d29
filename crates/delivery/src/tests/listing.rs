use actix_web::http::header;
use actix_web::{test, web};
use domicile_web::extract::AppKeys;
use tokio::sync::Notify;

use super::*;

/// SHA-256 of `key`.
const APP_KEYS: &str = "app:2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683";

async fn get(room: &Room, uri: &str) -> (u16, Value) {
    call(room, uri, Some("Bearer key")).await
}

async fn call(room: &Room, uri: &str, authorization: Option<&str>) -> (u16, Value) {
    let app = actix_web::App::new()
        .configure(domicile_web::extract::configure)
        .app_data(web::Data::new(APP_KEYS.parse::<AppKeys>().unwrap()))
        .app_data(web::Data::new(room.delivery.clone()))
        .configure(crate::routes::configure);
    let app = test::init_service(app).await;
    let mut request = test::TestRequest::get().uri(uri);
    if let Some(authorization) = authorization {
        request = request.insert_header((header::AUTHORIZATION, authorization));
    }
    let response = test::call_service(&app, request.to_request()).await;
    let status = response.status().as_u16();
    let body = test::read_body(response).await;
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

fn notes(page: &Value) -> Vec<&str> {
    let events = page["data"].as_array().unwrap().iter();
    events
        .map(|event| event["data"]["recording"]["note"].as_str().unwrap())
        .collect()
}

#[actix_web::test]
async fn an_event_is_listed_with_the_bytes_with_which_it_is_delivered() {
    let app = App::start();
    let room = Room::new(Some(app.url())).await;
    let id = room.write(mailbox(1), "user:1", "é").await;
    let listed = get(&room, "/v1/events").await.1;
    let read = get(&room, &format!("/v1/events/{id}")).await;
    room.workers().run_due().await.unwrap();
    let delivered = app.posts()[0].json();
    assert_eq!(listed, json!({"data": [delivered], "next_cursor": null}));
    assert_eq!(read, (200, delivered));
    let document = room.delivery.get(id).await.unwrap().unwrap();
    assert_eq!(document.get().as_bytes(), app.posts()[0].body);
    // Delivered or not, it can be read.
    assert_eq!(get(&room, "/v1/events").await.1, listed);
}

#[actix_web::test]
async fn a_list_is_read_page_by_page_and_for_one_subject() {
    let room = Room::new(None).await;
    for number in 0..5 {
        let subject = if number % 2 == 0 { "user:even" } else { "user:odd" };
        room.write(mailbox(number), subject, &number.to_string()).await;
    }
    let (_, first) = get(&room, "/v1/events?limit=2").await;
    assert_eq!(notes(&first), ["0", "1"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, second) = get(&room, &format!("/v1/events?limit=2&cursor={cursor}")).await;
    assert_eq!(notes(&second), ["2", "3"]);
    let cursor = second["next_cursor"].as_str().unwrap();
    let (_, last) = get(&room, &format!("/v1/events?limit=2&cursor={cursor}")).await;
    assert_eq!(notes(&last), ["4"]);
    assert_eq!(last["next_cursor"], Value::Null);

    let (_, even) = get(&room, "/v1/events?subject=user:even&limit=2").await;
    assert_eq!(notes(&even), ["0", "2"]);
    let (_, none) = get(&room, "/v1/events?subject=user:none").await;
    assert_eq!(none, json!({"data": [], "next_cursor": null}));
}

#[actix_web::test]
async fn a_wrong_call_is_told_what_is_wrong() {
    let room = Room::new(None).await;
    let id = EventId::from(Uuid::from_u128(7));
    for (uri, status) in [
        (format!("/v1/events/{id}"), 404),
        ("/v1/events/nonsense".to_owned(), 404),
        ("/v1/events?limit=0".to_owned(), 422),
        ("/v1/events?cursor=nonsense".to_owned(), 422),
        ("/v1/events?subject=nonsense".to_owned(), 422),
    ] {
        assert_eq!(get(&room, &uri).await.0, status, "{uri}");
    }
    for uri in ["/v1/events".to_owned(), format!("/v1/events/{id}")] {
        assert_eq!(call(&room, &uri, None).await.0, 401);
        assert_eq!(call(&room, &uri, Some("Bearer other")).await.0, 401);
    }
}

#[actix_web::test]
async fn what_was_erased_is_left_out() {
    let room = Room::new(None).await;
    let erased = room.write(mailbox(1), "user:1", "one").await;
    room.db
        .db()
        .run_tx("erase", async |conn: &mut Conn| {
            room.vault.destroy(conn, &ZoomAccountId::new(ACCOUNT)).await
        })
        .await
        .unwrap();
    room.write(mailbox(1), "user:1", "two").await;
    // Another process has no keys in memory.
    let keys = RegionKeys::parse(&Secret::from(VAULT_KEYS)).unwrap();
    let settings = DeliverySettings {
        region: "eu".parse().unwrap(),
        destination: None,
    };
    let vault = Vault::new(room.db.db(), room.ids.clone(), keys);
    let egress = domicile_egress::testing::loopback();
    let room = Room {
        delivery: Delivery::new(settings, room.db.db(), room.ids.clone(), vault, &egress),
        ..room
    };
    assert_eq!(notes(&get(&room, "/v1/events").await.1), ["two"]);
    assert_eq!(get(&room, &format!("/v1/events/{erased}")).await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_appears_behind_a_cursor_that_was_given_out() {
    let room = Arc::new(Room::new(None).await);
    room.write(mailbox(1), "user:1", "zero").await;
    let (written, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = tokio::spawn({
        let (room, written, go_on) = (room.clone(), written.clone(), go_on.clone());
        async move {
            let event = room.event(mailbox(2), "user:2", "slow").await;
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
    // Committed later in sequence, but earlier in time.
    room.write(mailbox(3), "user:3", "quick").await;
    let listed = room.delivery.list(0, None, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    let cursor = listed[0].0;
    go_on.notify_one();
    soon(slow).await.unwrap().unwrap();
    let later: Vec<Value> = room
        .delivery
        .list(cursor, None, 10)
        .await
        .unwrap()
        .iter()
        .map(|(_, event)| serde_json::from_str(event.as_ref().unwrap().get()).unwrap())
        .collect();
    assert_eq!(notes(&json!({"data": later})), ["slow", "quick"]);
}
