use domicile_telemetry::testing::{Capture, capture};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info_span};

use super::*;

fn count(capture: &Capture, name: &str, attributes: &[(&str, &str)], expected: u32) {
    let counted = capture.counter(name, attributes);
    assert!(
        (counted - f64::from(expected)).abs() < f64::EPSILON,
        "{name} {attributes:?}: {counted}"
    );
}

#[tokio::test]
async fn what_happens_is_counted_and_nothing_of_a_body_is_told() {
    let capture = capture();
    let room = Room::new().await;
    room.links.add("acc", None, "org:acme");
    let recorder = Recorder::new(&room);
    let body = recording("acc", "PLANTED-host", "PLANTED-topic");
    room.keep(&body).await;
    let again = room.arrival(body.as_bytes(), None).await;
    room.intake.keep(Endpoint::Events, &again).await.unwrap();
    room.keep("PLANTED").await;
    room.keep(r#"{"event":"PLANTED.event"}"#).await;
    let failing = room.keep(&recording("acc", "PLANTED-host", "other")).await;
    recorder.mood(failing, Mood::Fails);
    room.dispatcher(&recorder).run_due().await.unwrap();

    let received = "domicile.intake.received";
    count(
        &capture,
        received,
        &[("endpoint", "events"), ("outcome", "kept")],
        4,
    );
    count(
        &capture,
        received,
        &[("endpoint", "events"), ("outcome", "duplicate")],
        1,
    );
    count(&capture, received, &[("outcome", "failed")], 0);
    let dispatched = "domicile.intake.dispatched";
    let known = ("event_type", "recording.completed");
    count(&capture, dispatched, &[known, ("outcome", "dispatched")], 1);
    count(&capture, dispatched, &[known, ("outcome", "postponed")], 1);
    count(
        &capture,
        dispatched,
        &[("event_type", "other"), ("outcome", "quarantined")],
        1,
    );
    for (reason, expected) in [("unparseable", 1), ("unknown_event", 1), ("handler_failed", 0)] {
        count(
            &capture,
            "domicile.intake.quarantined",
            &[("reason", reason)],
            expected,
        );
    }
    assert!(!capture.everything().contains("PLANTED"));
}

#[tokio::test]
async fn what_waits_is_measured_while_the_dispatcher_runs() {
    let capture = capture();
    let room = Room::new().await;
    // Later than now, so that no loop takes it.
    room.keep(&recording("acc", "host", "a")).await;
    room.db
        .client()
        .await
        .batch_execute("UPDATE inbox SET due_at = 'infinity'")
        .await
        .unwrap();
    room.clock.advance(Duration::from_secs(90));
    let dispatcher = room.dispatcher(&Recorder::new(&room));
    let stop = CancellationToken::new();
    let measured = async {
        while capture.gauge("domicile.intake.pending", &[]).is_none() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    soon(async { tokio::join!(dispatcher.run(stop.clone()), measured) }).await;
    let gauge = |name| capture.gauge(name, &[]).unwrap();
    assert!((gauge("domicile.intake.pending") - 1.0).abs() < f64::EPSILON);
    assert!((gauge("domicile.intake.oldest_pending_age") - 90.0).abs() < 0.001);
}

#[tokio::test]
async fn one_trace_leads_from_the_request_to_the_handler() {
    let _capture = capture();
    let room = Room::new().await;
    room.links.add("acc", None, "org:acme");
    let recorder = Recorder::new(&room);
    let request = info_span!("request");
    let trace = async {
        room.keep(&recording("acc", "host", "a")).await;
        domicile_telemetry::current_traceparent().unwrap()
    }
    .instrument(request)
    .await;
    room.dispatcher(&recorder).run_due().await.unwrap();
    let handed_over = recorder.taken.lock().unwrap()[0].traceparent.clone().unwrap();
    let trace_id = |traceparent: &str| traceparent.split('-').nth(1).unwrap().to_owned();
    assert_eq!(trace_id(&handed_over), trace_id(&trace));
    assert_ne!(handed_over, trace);
}
