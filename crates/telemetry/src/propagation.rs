//! Trace context that travels in rows (W3C Trace Context), so that one trace spans webhook, jobs and delivery.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Span, dispatcher};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::trace_ids;

const TRACEPARENT: &str = "traceparent";

/// Links the span to the trace that this `traceparent` names, and leaves it in its own: for the trace of somebody who may
/// not say where ours belong and whether they are recorded. One that does not parse is ignored.
pub fn add_link(span: &Span, traceparent: &str) {
    let linked = extract(traceparent);
    let linked = linked.span().span_context().clone();
    if linked.is_valid() {
        span.add_link(linked);
    }
}

fn extract(traceparent: &str) -> Context {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

/// Makes the span a child of the trace that this `traceparent` names; one that does not parse is ignored.
pub fn set_parent(span: &Span, traceparent: &str) {
    let parent = extract(traceparent);
    if !parent.span().span_context().is_valid() {
        return;
    }
    let joined = span.with_subscriber(|(id, dispatch)| trace_ids::join(dispatch, id, &parent));
    if joined != Some(true) {
        // The only failure is a span that no OpenTelemetry layer sees, and then there is no trace to join.
        let _ = span.set_parent(parent);
    }
}

/// The context of the current span, to be injected into what is sent.
pub fn context() -> Context {
    match dispatcher::get_default(trace_ids::current) {
        Some(ids) => Context::new().with_remote_span_context(ids),
        None => Context::current(),
    }
}

/// The `traceparent` of the current span, to be kept in a row; none where no trace is recorded.
pub fn current_traceparent() -> Option<String> {
    let context = context();
    let span = context.span();
    let span = span.span_context();
    // W3C Trace Context, version 00.
    span.is_valid().then(|| {
        let flags = span.trace_flags().to_u8();
        format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id())
    })
}
