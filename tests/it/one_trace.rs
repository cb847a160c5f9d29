//! One trace shows a recording from Zoom's webhook to the app, as a real collector receives it.

use std::collections::HashMap;

use domicile_zoomsim::FileKind;
use nix::sys::signal::Signal;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::crash::ready;
use crate::harness::collector::{Collector, attribute, body};
use crate::harness::eventually;
use crate::harness::process::Process;
use crate::harness::world::{ALICE, API_KEY, CLIENT_SECRET, EVENTS_SECRET, VAULT_KEY, WEBHOOK_SECRET, World};

/// The spans around this one, itself first and the first of its trace last.
fn way_up<'a>(spans: &'a HashMap<Vec<u8>, Span>, from: &'a Span) -> Vec<&'a Span> {
    let mut way = vec![from];
    let mut at = from;
    while !at.parent_span_id.is_empty() {
        at = spans
            .get(&at.parent_span_id)
            .unwrap_or_else(|| panic!("the parent of {} was never exported", at.name));
        way.push(at);
    }
    way
}

fn names<'a>(way: &[&'a Span]) -> Vec<&'a str> {
    way.iter().map(|span| span.name.as_str()).collect()
}

/// These names in this order; others may stand between them.
fn in_order(way: &[&str], wanted: &[&str]) -> bool {
    let mut rest = way.iter();
    wanted.iter().all(|name| rest.any(|it| it == name))
}

async fn world(collector: &Collector) -> (World, Process) {
    let mut world = World::without_region().await;
    world.release_ports();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "100"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
        ("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=domicile-7f9"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    world.environment.extend(settings);
    let process = Process::start(&world.environment, "run");
    ready(&world).await;
    world.register_app().await;
    (world, process)
}

/// The exported spans by their ids, once the app's answer to `recording.stored` is among them.
async fn exported(collector: &Collector) -> (HashMap<Vec<u8>, Span>, Span) {
    eventually("the whole trace at the collector", async || {
        let spans = collector.spans();
        let told = spans.iter().find(|span| {
            span.name == "deliver_event"
                && attribute(&span.attributes, "event.type").as_deref() == Some("recording.stored")
        })?;
        let ends = |name: &str| {
            spans
                .iter()
                .any(|span| span.trace_id == told.trace_id && span.name == name)
        };
        let all = ends("POST /zoom/events") && ends("recording.fetch") && ends("dispatch");
        let told = told.clone();
        let spans: HashMap<_, _> = spans
            .into_iter()
            .map(|span| (span.span_id.clone(), span))
            .collect();
        // A span is sent when it ends, so what is around another comes after it.
        let whole = spans
            .values()
            .filter(|span| span.trace_id == told.trace_id)
            .all(|span| span.parent_span_id.is_empty() || spans.contains_key(&span.parent_span_id));
        (all && whole).then_some((spans, told))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_from_the_webhook_over_the_jobs_and_the_download_to_the_delivery() {
    let collector = Collector::start().await;
    let (world, mut process) = world(&collector).await;
    let user = world.zoom_user();
    world.link(ALICE, &user).await;
    let uuid = world.recording(&user, &[(FileKind::Mp4, 300_000), (FileKind::Chat, 700)]);
    world.finish(&uuid).await;
    let events = world.told("recording.stored").await;
    let (spans, told) = exported(&collector).await;
    let of_trace: Vec<&Span> = spans
        .values()
        .filter(|span| span.trace_id == told.trace_id)
        .collect();

    // The webhook begins it, in a trace of the region's own that only links to the one that Zoom named.
    let webhook = of_trace
        .iter()
        .find(|span| span.name == "POST /zoom/events")
        .unwrap();
    assert_eq!(webhook.kind, SpanKind::Server as i32);
    assert!(
        webhook.parent_span_id.is_empty(),
        "nobody outside names our traces"
    );
    assert_eq!(
        attribute(&webhook.attributes, "http.response.status_code").as_deref(),
        Some("200")
    );
    assert_eq!(webhook.links.len(), 1, "Zoom's own trace can be found");
    assert_ne!(webhook.links[0].trace_id, webhook.trace_id);

    // Each download hangs below its job, and the job below the dispatch of the webhook.
    let downloads: Vec<_> = of_trace
        .iter()
        .filter(|span| span.name == "GET zoom_download")
        .collect();
    assert!(downloads.len() >= 2, "each file has one");
    for download in downloads {
        assert_eq!(download.kind, SpanKind::Client as i32);
        let way = names(&way_up(&spans, download));
        let wanted = [
            "GET zoom_download",
            "recording.fetch",
            "recording.merge",
            "dispatch",
            "POST /zoom/events",
        ];
        assert!(in_order(&way, &wanted), "{way:?}");
        assert_eq!(way.last(), Some(&"POST /zoom/events"), "{way:?}");
    }

    // So does the post to the app, which was told the same trace.
    let posts: Vec<_> = of_trace
        .iter()
        .filter(|span| span.name == "POST app_events")
        .collect();
    assert_eq!(posts.len(), 1);
    let way = names(&way_up(&spans, posts[0]));
    let wanted = [
        "POST app_events",
        "deliver_event",
        "dispatch",
        "POST /zoom/events",
    ];
    assert!(in_order(&way, &wanted), "{way:?}");
    let stored = events
        .iter()
        .find(|event| event.event_type() == "recording.stored")
        .unwrap();
    let told_the_app = stored.traceparent.as_deref().unwrap();
    let ours = format!(
        "00-{}-{}-01",
        hex::encode(&posts[0].trace_id),
        hex::encode(&posts[0].span_id)
    );
    assert_eq!(told_the_app, ours);

    // The log lines are at the collector too, with the same ids.
    let stored = eventually("the log lines at the collector", async || {
        let logs = collector.logs();
        let mut of_files = logs
            .into_iter()
            .filter(|record| body(record) == "a recording file is stored");
        of_files.next()
    })
    .await;
    assert_eq!(stored.trace_id, told.trace_id);
    assert!(spans.contains_key(&stored.span_id), "of a span of the trace");
    assert!(attribute(&stored.attributes, "size_bytes").is_some());

    // And the metrics, all of one process of one region.
    eventually("metrics at the collector", async || {
        let metrics = collector.metrics();
        let there = |name: &str| metrics.iter().any(|it| it == name);
        (there("domicile.intake.received") && there("http.server.request.duration")).then_some(())
    })
    .await;
    let resources = collector.resources();
    assert_eq!(resources.len(), 1, "{resources:?}");
    let names: Vec<_> = resources[0].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "domicile.region",
            "k8s.pod.name",
            "service.instance.id",
            "service.name",
            "service.version"
        ]
    );

    process.signal(Signal::SIGTERM);
    assert!(process.ended().await.success());
    // INV-3, of everything that left.
    for secret in [
        CLIENT_SECRET,
        WEBHOOK_SECRET,
        EVENTS_SECRET,
        VAULT_KEY,
        API_KEY,
        "Quarterly numbers",
        ALICE,
        "Bearer ",
    ] {
        assert!(!collector.holds(secret), "{secret}");
    }
}
