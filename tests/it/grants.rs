//! Refreshing grants: what is lost, what is not, and who asks.

use chrono::TimeDelta;
use domicile_kernel::LinkId;
use domicile_kernel::state::{LinkStatus, ReauthorizationReason};
use domicile_linking::LinkingError;
use domicile_store::audit::{self, AuditQuery};
use domicile_testkit::token_endpoint::{Ending, Fault};
use domicile_zoomsim::{FaultKind, NewFault, Target};
use serde_json::json;

use crate::harness::eventually;
use crate::harness::grants::{Grants, link_of, refused, serial, shown, wait_of};
use crate::harness::world::{ALICE, World};

fn name(link: LinkId) -> String {
    link.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_grant_is_kept_alive_and_nothing_is_asked_before_its_time() {
    let world = Grants::start().await;
    let (region, link) = (world.replica(), world.link().await);
    let workers = region.workers();
    workers.run_due().await.unwrap();
    assert_eq!(world.zoom.seen(&name(link)).requests, 0);
    for generation in 2..=4 {
        world.idle();
        workers.run_due().await.unwrap();
        let grant = world.grant(link).await;
        assert_eq!(
            (grant.generation, grant.state.as_str(), grant.held),
            (generation, "fresh", false)
        );
        let wait = world.due_at(link).await.unwrap() - world.now();
        assert!(
            wait >= TimeDelta::days(20) && wait <= TimeDelta::days(40),
            "{wait}"
        );
    }
    assert_eq!(world.zoom.seen(&name(link)).requests, 3);
    assert_eq!(
        link_of(&region, link).await.scopes.len(),
        2,
        "as the last answer named them"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_in_use_is_refreshed_ahead_of_its_expiry_and_its_use_is_written_once() {
    let world = Grants::start().await;
    let (region, link) = (world.replica(), world.link().await);
    for round in 1..=3 {
        world.advance(TimeDelta::minutes(1));
        let first_use = world.now();
        let token = region.linking.access_token(link).await.unwrap();
        assert_eq!((serial(&token), token.generation), (round, i64::from(round)));
        let until_due = world.due_at(link).await.unwrap() - world.now();
        assert!(
            until_due >= TimeDelta::minutes(44) && until_due <= TimeDelta::minutes(54),
            "{until_due}"
        );
        world.advance(TimeDelta::minutes(20));
        region.linking.access_token(link).await.unwrap();
        assert_eq!(
            world.used_at(link).await,
            first_use,
            "one write in the life of a token"
        );
        world.advance(TimeDelta::minutes(34));
        region.workers().run_due().await.unwrap();
        assert_eq!(world.zoom.seen(&name(link)).rotations, round, "before it ran out");
    }
    // What is not used any more is left alone until its keep-alive.
    world.advance(TimeDelta::hours(5));
    region.workers().run_due().await.unwrap();
    assert_eq!(world.zoom.seen(&name(link)).requests, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_tried_once_more_and_costs_nothing_if_zoom_had_not_rotated() {
    let world = Grants::start().await;
    let (region, link) = (world.replica(), world.link().await);
    world.idle();
    world.zoom.next(Fault::HangUp);
    region.workers().run_due().await.unwrap();
    let grant = world.grant(link).await;
    assert_eq!(
        (grant.generation, grant.state.as_str(), grant.held),
        (1, "unsure", false)
    );
    assert_eq!(link_of(&region, link).await.status, LinkStatus::Active);
    world.advance(TimeDelta::seconds(3));
    region.workers().run_due().await.unwrap();
    let grant = world.grant(link).await;
    assert_eq!(
        (grant.generation, grant.state.as_str(), grant.failures),
        (2, "fresh", 0)
    );
    assert_eq!(world.zoom.seen(&name(link)).requests, 2);
    assert_eq!(world.events().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_that_held_the_only_pair_is_told_as_such_after_the_second_try() {
    for fault in [Fault::LoseAnswer, Fault::GarbleAnswer, Fault::OutageAfter(502)] {
        let world = Grants::start().await;
        let (region, link) = (world.replica(), world.link().await);
        world.idle();
        world.zoom.next(fault);
        // Between the two tries Zoom may fail in any way; that is no answer.
        for silent in [Fault::Outage(503), Fault::RateLimited(5), Fault::HangUp] {
            world.zoom.next(silent);
        }
        for _ in 0..4 {
            region.workers().run_due().await.unwrap();
            assert_eq!(world.grant(link).await.state, "unsure", "{fault:?}");
            assert_eq!(link_of(&region, link).await.status, LinkStatus::Active);
            world.advance(TimeDelta::seconds(60));
        }
        region.workers().run_due().await.unwrap();
        assert_eq!(world.grant(link).await.state, "ended");
        let lost = link_of(&region, link).await;
        assert_eq!(lost.status, LinkStatus::NeedsReauthorization);
        assert_eq!(
            lost.reauthorization_reason,
            Some(ReauthorizationReason::LostRotation)
        );
        let events = world.events().await;
        let [(event_type, data)] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(event_type, "link.needs_reauthorization");
        assert_eq!(data["reason"], "lost_rotation");
        assert_eq!(data["link"]["reauthorization_reason"], "lost_rotation");
        let query = AuditQuery {
            link_id: Some(link),
            ..AuditQuery::default()
        };
        let entries = audit::list(&mut world.db().db().conn().await.unwrap(), &query, 10)
            .await
            .unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(
            (
                entries[0].actor.as_str(),
                entries[0].action.as_str(),
                entries[0].reason.as_deref()
            ),
            ("zoom", "link.lose_grant", Some("lost_rotation"))
        );
        assert_eq!(world.due_at(link).await, None, "nothing is asked any more");
        assert!(matches!(
            refused(&region, link).await,
            LinkingError::NeedsReauthorization(Some(ReauthorizationReason::LostRotation))
        ));
        assert_eq!(world.zoom.seen(&name(link)).requests, 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_in_which_zoom_ends_a_grant_has_its_reason() {
    let world = Grants::start().await;
    let region = world.replica();
    for (ending, reason) in [
        (Some(Ending::Revoked), "revoked"),
        (Some(Ending::UserGone), "user_gone"),
        (Some(Ending::AppDisabled), "app_disabled"),
        (None, "invalid_grant"),
    ] {
        let link = world.link().await;
        match ending {
            Some(ending) => world.zoom.end(&name(link), ending),
            None => world.zoom.rotate_unheard(&name(link)),
        }
        world.advance(TimeDelta::hours(2));
        let error = refused(&region, link).await;
        assert!(
            matches!(error, LinkingError::NeedsReauthorization(Some(_))),
            "{error:?}"
        );
        assert_eq!(
            json!(link_of(&region, link).await.view())["reauthorization_reason"],
            reason
        );
        assert_eq!(world.events().await.last().unwrap().1["reason"], reason);
        assert_eq!(world.zoom.seen(&name(link)).requests, 1);
    }
    let link = world.link().await;
    world.advance(TimeDelta::days(90));
    refused(&region, link).await;
    assert_eq!(
        link_of(&region, link).await.reauthorization_reason,
        Some(ReauthorizationReason::RefreshTokenExpired)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_outage_however_long_ends_a_grant_or_its_job() {
    let world = Grants::start().await;
    let (region, link) = (world.replica(), world.link().await);
    let workers = region.workers();
    world.idle();
    let tries = 120;
    for n in 0..tries {
        let faults = [
            Fault::Outage(500),
            Fault::RateLimited(1),
            Fault::HangUp,
            Fault::Outage(504),
        ];
        world.zoom.next(faults[n % faults.len()]);
        workers.run_due().await.unwrap();
        world.advance(TimeDelta::minutes(16));
    }
    assert_eq!(
        world.zoom.seen(&name(link)).requests,
        u32::try_from(tries).unwrap()
    );
    assert_eq!(link_of(&region, link).await.status, LinkStatus::Active);
    workers.run_due().await.unwrap();
    let grant = world.grant(link).await;
    assert_eq!(
        (grant.generation, grant.state.as_str(), grant.failures),
        (2, "fresh", 0)
    );
    assert_eq!(world.events().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_obeyed_by_the_job_and_by_who_needs_a_token_now() {
    let world = Grants::start().await;
    let (one, other, link) = (world.replica(), world.replica(), world.link().await);
    world.advance(TimeDelta::hours(2));
    world.zoom.next(Fault::RateLimited(120));
    assert!(wait_of(&refused(&one, link).await).as_secs() >= 120);
    world.advance(TimeDelta::seconds(119));
    assert_eq!(wait_of(&refused(&other, link).await).as_secs(), 1);
    one.workers().run_due().await.unwrap();
    other.workers().run_due().await.unwrap();
    assert_eq!(world.zoom.seen(&name(link)).requests, 1);
    assert_eq!(world.grant(link).await.state, "fresh", "nothing was done at Zoom");
    world.advance(TimeDelta::seconds(1));
    assert_eq!(serial(&other.linking.access_token(link).await.unwrap()), 2);
    assert_eq!(world.zoom.seen(&name(link)).requests, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_cannot_be_renewed_is_used_to_its_end() {
    let world = Grants::start().await;
    let (region, link) = (world.replica(), world.link().await);
    world.advance(TimeDelta::minutes(59) + TimeDelta::seconds(30));
    world.zoom.next(Fault::Outage(503));
    assert_eq!(serial(&region.linking.access_token(link).await.unwrap()), 1);
    world.advance(TimeDelta::minutes(1));
    assert_eq!(serial(&region.linking.access_token(link).await.unwrap()), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_job_and_all_who_need_a_token_make_one_call() {
    let world = Grants::start().await;
    let (one, two, three, link) = (
        world.replica(),
        world.replica(),
        world.replica(),
        world.link().await,
    );
    world.idle();
    world.zoom.next(Fault::HoldAnswer);
    let asking: Vec<_> = [&one, &one, &two]
        .map(|region| region.linking.clone())
        .into_iter()
        .map(|linking| tokio::spawn(async move { linking.access_token(link).await }))
        .collect();
    world.zoom.holds(1).await;
    three.workers().run_due().await.unwrap();
    world.zoom.release();
    for asked in asking {
        assert_eq!(asked.await.unwrap().unwrap().generation, 2);
    }
    three.workers().run_due().await.unwrap();
    let seen = world.zoom.seen(&name(link));
    assert_eq!((seen.requests, seen.most_in_flight), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_anothers_refresh_waits_some_seconds_and_no_longer() {
    let world = Grants::start().await;
    let (one, two, link) = (world.replica(), world.replica(), world.link().await);
    world.advance(TimeDelta::hours(2));
    world.zoom.next(Fault::HoldAnswer);
    let first = {
        let linking = one.linking.clone();
        tokio::spawn(async move { linking.access_token(link).await })
    };
    world.zoom.holds(1).await;
    assert!(wait_of(&refused(&two, link).await).as_secs() <= 60);
    world.zoom.release();
    assert_eq!(first.await.unwrap().unwrap().generation, 2);
    assert_eq!(world.zoom.seen(&name(link)).requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_renewed_once_and_never_for_one_that_is_old() {
    let world = Grants::start().await;
    let (one, two, link) = (world.replica(), world.replica(), world.link().await);
    let token = one.linking.access_token(link).await.unwrap();
    let (first, second) = tokio::join!(
        one.linking.renew_access_token(link, token.generation),
        two.linking.renew_access_token(link, token.generation),
    );
    assert_eq!((first.unwrap().generation, second.unwrap().generation), (2, 2));
    assert_eq!(world.zoom.seen(&name(link)).requests, 1);
    let newer = one
        .linking
        .renew_access_token(link, token.generation)
        .await
        .unwrap();
    assert_eq!((newer.generation, serial(&newer)), (2, 2));
    assert_eq!(
        world.zoom.seen(&name(link)).requests,
        1,
        "a stale generation asks nobody"
    );
    let next = two
        .linking
        .renew_access_token(link, newer.generation)
        .await
        .unwrap();
    assert_eq!((next.generation, world.zoom.seen(&name(link)).requests), (3, 2));
}

/// A process that ends in the middle of its call to Zoom, with everything that it holds.
async fn dies_while_asking(world: &Grants, link: LinkId, fault: Fault) {
    world.zoom.next(fault);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let dying = {
        let _inside = runtime.enter();
        world.replica()
    };
    let linking = dying.linking.clone();
    runtime.spawn(async move { linking.access_token(link).await.map(|_| ()) });
    world.zoom.holds(1).await;
    runtime.shutdown_background();
    assert!(world.grant(link).await.held);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_was_asking_is_unsure_when_its_lease_is_over() {
    for (fault, lost) in [(Fault::HoldRequest, false), (Fault::HoldAnswer, true)] {
        let world = Grants::start().await;
        let (region, link) = (world.replica(), world.link().await);
        world.advance(TimeDelta::hours(2));
        dies_while_asking(&world, link, fault).await;
        if lost {
            // The request that never goes on has rotated the token.
            assert_eq!(world.zoom.seen(&name(link)).rotations, 1);
        }
        region.workers().run_due().await.unwrap();
        assert_eq!(world.zoom.seen(&name(link)).requests, 1, "the lease still stands");
        world.advance(TimeDelta::seconds(60));
        region.workers().run_due().await.unwrap();
        assert_eq!(world.zoom.seen(&name(link)).requests, 2, "the job looks after it");
        let reason = link_of(&region, link).await.reauthorization_reason;
        assert_eq!(reason, lost.then_some(ReauthorizationReason::LostRotation));
        assert_eq!(world.grant(link).await.generation, if lost { 1 } else { 2 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_comes_when_the_lease_is_lost_is_kept_and_the_next_holder_loses_nothing() {
    let world = Grants::start().await;
    let (one, two, link) = (world.replica(), world.replica(), world.link().await);
    world.advance(TimeDelta::hours(2));
    world.zoom.next(Fault::HoldAnswer);
    let late = {
        let linking = one.linking.clone();
        tokio::spawn(async move { linking.access_token(link).await })
    };
    world.zoom.holds(1).await;
    // The first process seems dead, so another asks with the same token, which the first has used up.
    world.advance(TimeDelta::seconds(61));
    world.zoom.next(Fault::HoldRequest);
    let next = {
        let linking = two.linking.clone();
        tokio::spawn(async move { linking.access_token(link).await })
    };
    world.zoom.holds(2).await;
    world.zoom.release();
    assert_eq!(late.await.unwrap().unwrap().generation, 2);
    assert!(
        world.grant(link).await.held,
        "the second lease is not the first one's to give back"
    );
    world.zoom.release();
    assert_eq!(next.await.unwrap().unwrap().generation, 2);
    assert_eq!(world.zoom.seen(&name(link)).refusals, 1);
    let grant = world.grant(link).await;
    assert_eq!((grant.state.as_str(), grant.held), ("fresh", false));
    assert_eq!(link_of(&one, link).await.status, LinkStatus::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_after_another_authorization_won_ends_nothing() {
    let world = Grants::start().await;
    let (region, link) = (world.replica(), world.link().await);
    world.advance(TimeDelta::hours(2));
    world.zoom.next(Fault::HoldRequest);
    let asking = {
        let linking = region.linking.clone();
        tokio::spawn(async move { linking.access_token(link).await })
    };
    world.zoom.holds(1).await;
    world.reauthorize(link).await;
    world.zoom.release();
    let token = asking.await.unwrap().unwrap();
    assert_eq!((token.generation, serial(&token)), (2, 2));
    assert_eq!(world.zoom.seen(&name(link)).refusals, 1);
    assert_eq!(link_of(&region, link).await.status, LinkStatus::Active);
    assert!(!world.grant(link).await.held);
    assert_eq!(world.events().await, []);
}

/// The same with all of it real: consent, confirmation, the region's own jobs.
#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_overtakes_a_refresh_whose_answer_is_late() {
    let world = World::start().await;
    let user = world.zoom_user();
    world.link(ALICE, &user).await;
    let client = world.db.client().await;
    let slow = NewFault::once(Target::Token, FaultKind::Slow { millis: 2_000 });
    world.zoom.sim().order_fault(slow).unwrap();
    let due = "UPDATE grants SET refreshed_at = now() - interval '50 days';
               UPDATE jobs SET due_at = now() WHERE kind = 'grant.refresh'";
    client.batch_execute(due).await.unwrap();
    eventually("the refresh", async || {
        world.zoom.sim().faults().is_empty().then_some(())
    })
    .await;
    world.link(ALICE, &user).await;
    let state = async || {
        let sql = "SELECT generation, refresh_lease_token IS NOT NULL FROM grants";
        let row = client.query_one(sql, &[]).await.unwrap();
        (row.get::<_, i64>(0), row.get::<_, bool>(1))
    };
    assert_eq!(state().await, (2, true));
    eventually("the end of the late refresh", async || {
        let (generation, held) = state().await;
        assert_eq!(generation, 2);
        (!held).then_some(())
    })
    .await;
    // Its job ends a moment later and writes when the next refresh is due.
    eventually("the end of its job", async || {
        let sql = "SELECT bool_and(status = 'queued') FROM jobs WHERE kind = 'grant.refresh'";
        let row = client.query_one(sql, &[]).await.unwrap();
        row.get::<_, bool>(0).then_some(())
    })
    .await;
    // The pair in the row is the one that works.
    client.batch_execute(due).await.unwrap();
    eventually("the next rotation", async || {
        (state().await == (3, false)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_for_a_link_that_ended_meanwhile_is_revoked_and_not_kept() {
    let world = Grants::start().await;
    let (region, link) = (world.replica(), world.link().await);
    world.advance(TimeDelta::hours(2));
    world.zoom.next(Fault::HoldAnswer);
    let asking = {
        let linking = region.linking.clone();
        tokio::spawn(async move { linking.access_token(link).await })
    };
    world.zoom.holds(1).await;
    let unlink = "UPDATE links SET status = 'revoked', revoked_at = updated_at WHERE id = $1::text::uuid";
    world.client.execute(unlink, &[&name(link)]).await.unwrap();
    world.zoom.release();
    let error = asking.await.unwrap().err().unwrap();
    assert!(matches!(error, LinkingError::LinkRevoked), "{}", shown(&error));
    assert_eq!(world.zoom.seen(&name(link)).revocations, 1);
    let grant = world.grant(link).await;
    assert_eq!((grant.generation, grant.held), (1, false));
    world.advance(TimeDelta::days(60));
    region.workers().run_due().await.unwrap();
    assert_eq!(
        (world.due_at(link).await, world.zoom.seen(&name(link)).requests),
        (None, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_survives_a_database_that_fails_when_it_is_to_be_written() {
    let world = Grants::start().await;
    let (region, link) = (world.replica(), world.link().await);
    world.advance(TimeDelta::hours(2));
    world.zoom.next(Fault::HoldAnswer);
    let asking = {
        let linking = region.linking.clone();
        tokio::spawn(async move { linking.access_token(link).await })
    };
    world.zoom.holds(1).await;
    let mut blocker = world.db().client().await;
    let held = blocker.transaction().await.unwrap();
    held.execute("LOCK TABLE links, grants", &[]).await.unwrap();
    world.zoom.release();
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'domicile' AND wait_event_type = 'Lock'";
    for _ in 0..2 {
        eventually("a writer to fail", async || {
            (world.client.query_one(kill, &[]).await.unwrap().get::<_, i64>(0) > 0).then_some(())
        })
        .await;
    }
    held.rollback().await.unwrap();
    assert_eq!(asking.await.unwrap().unwrap().generation, 2);
    assert_eq!(world.zoom.seen(&name(link)).requests, 1);
}
