//! An event on its way to a bot: tried again, twice, and asked for while it is under way.

use std::time::Duration;

use chrono::TimeDelta;
use domicile_zoomsim::{ControlError, DeliveryState, Say};

use crate::chat::chat;

#[actix_web::test]
async fn an_event_is_retried_and_can_come_twice() {
    let chat = chat().await;
    chat.world.receiver.will_answer(&[503]);
    let said = chat
        .world
        .sim()
        .say(Say::new(&chat.user.id, chat.bot(), "help"))
        .await
        .unwrap();
    chat.world.sim().advance(TimeDelta::minutes(5)).await;
    let row = chat.world.sim().redeliver(said.deliveries[0].id).await.unwrap();
    assert_eq!(row.attempts.len(), 3);
    let events = chat.world.receiver.events();
    let same: Vec<_> = events.iter().rev().take(3).collect();
    assert!(same.windows(2).all(|pair| pair[0].body == pair[1].body));
    let id = |index: usize| same[index].header("x-zm-request-id").to_owned();
    assert_eq!(id(0), id(2));
    assert!(matches!(
        chat.world.sim().redeliver(0).await,
        Err(ControlError::UnknownDelivery)
    ));
}

/// Whoever makes the attempt: what is due is also looked for by itself, and may be quicker.
#[actix_web::test]
async fn who_asks_for_an_event_that_is_on_its_way_has_its_answer() {
    let chat = chat().await;
    let before = chat.world.receiver.events().len();
    let go_on = chat.world.receiver.hold_next();
    let sim = chat.world.sim().clone();
    let said = tokio::spawn({
        let (sim, say) = (sim.clone(), Say::new(&chat.user.id, chat.bot(), "help"));
        async move { sim.say(say).await.unwrap() }
    });
    while chat.world.receiver.events().len() == before {
        tokio::task::yield_now().await;
    }
    let id = sim.webhook_log().last().unwrap().id;
    let mut again = tokio::spawn(async move { sim.redeliver(id).await.unwrap() });
    let early = tokio::time::timeout(Duration::from_millis(50), &mut again).await;
    assert!(early.is_err(), "it waits for the attempt that is under way");
    go_on.notify_one();
    let row = again.await.unwrap();
    assert_eq!((row.state, row.attempts.len()), (DeliveryState::Delivered, 1));
    assert_eq!(said.await.unwrap().deliveries[0].state, DeliveryState::Delivered);
    assert_eq!(chat.world.receiver.events().len(), before + 1);
}
