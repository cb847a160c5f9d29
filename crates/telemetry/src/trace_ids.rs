//! Ids of traces that nobody collects.
//!
//! Without a collector a span is of use for its ids alone: log lines, rows and outgoing requests carry them. This layer
//! makes them and nothing else, at a small part of what an OpenTelemetry span costs.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tracing::span::{Attributes, Id};
use tracing::{Dispatch, Level, Metadata, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context as LayerContext, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

/// Gives each span an id, and the id of its parent's trace or of a new one.
pub(crate) struct TraceIds;

impl TraceIds {
    /// Which spans get ids.
    pub(crate) fn wants(metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && *metadata.level() <= Level::INFO
    }
}

/// In a span's extensions.
struct Ids(SpanContext);

impl<S> Layer<S> for TraceIds
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: LayerContext<'_, S>) {
        if !Self::wants(attributes.metadata()) {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let parent = span.parent().and_then(|parent| of(&parent));
        let ids = match parent {
            Some(parent) => child_of(&parent),
            None => new(RandomIdGenerator::default().new_trace_id(), TraceFlags::default()),
        };
        span.extensions_mut().insert(Ids(ids));
    }
}

fn child_of(parent: &SpanContext) -> SpanContext {
    new(parent.trace_id(), parent.trace_flags())
}

fn new(trace_id: opentelemetry::TraceId, flags: TraceFlags) -> SpanContext {
    let span_id = RandomIdGenerator::default().new_span_id();
    SpanContext::new(trace_id, span_id, flags, false, TraceState::NONE)
}

/// The ids of the span, or of the innermost one around it that has some.
pub(crate) fn of<S>(span: &SpanRef<'_, S>) -> Option<SpanContext>
where
    S: for<'a> LookupSpan<'a>,
{
    span.scope()
        .find_map(|span| span.extensions().get::<Ids>().map(|ids| ids.0.clone()))
}

/// The ids of the current span; nothing where OpenTelemetry keeps them.
pub(crate) fn current(dispatch: &Dispatch) -> Option<SpanContext> {
    let registry = dispatch.downcast_ref::<Registry>()?;
    let current = dispatch.current_span();
    of(&registry.span(current.id()?)?)
}

/// Moves the span into its parent's trace; false where OpenTelemetry keeps the ids.
pub(crate) fn join(dispatch: &Dispatch, id: &Id, parent: &Context) -> bool {
    let parent = parent.span().span_context().clone();
    let Some(span) = dispatch
        .downcast_ref::<Registry>()
        .and_then(|registry| registry.span(id))
    else {
        return false;
    };
    let mut extensions = span.extensions_mut();
    let Some(ids) = extensions.get_mut::<Ids>() else {
        return false;
    };
    ids.0 = child_of(&parent);
    true
}

#[cfg(test)]
mod tests {
    use tracing::level_filters::LevelFilter;
    use tracing::{Level, info, info_span, span, warn};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::propagation::{context, current_traceparent, set_parent};
    use crate::start::{json_lines, log_filter, with_ids};
    use crate::testing::Lines;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn logging<T>(filter: &str, act: impl FnOnce() -> T) -> (T, Vec<serde_json::Value>) {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = with_ids(json_lines(move || writer.clone()), log_filter(filter).unwrap());
        let outcome = tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), act);
        let text = lines.text();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        (outcome, lines.collect())
    }

    fn trace_and_span(traceparent: &str) -> (String, String) {
        let mut parts = traceparent.split('-').skip(1).map(str::to_owned);
        (parts.next().unwrap(), parts.next().unwrap())
    }

    #[test]
    fn spans_within_each_other_share_a_trace_and_others_do_not() {
        logging("domicile=debug", || {
            assert_eq!(current_traceparent(), None);
            let (outer, inner) = {
                let _outer = info_span!("outer").entered();
                let outer = current_traceparent().unwrap();
                // No collector would get them, so they are no spans of the trace, whether they are logged or not.
                let _logged = span!(Level::DEBUG, "logged").entered();
                let _unseen = span!(Level::TRACE, "unseen").entered();
                assert_eq!(current_traceparent().unwrap(), outer);
                let _inner = info_span!("inner").entered();
                (outer, current_traceparent().unwrap())
            };
            let ((trace, span), (same, other)) = (trace_and_span(&outer), trace_and_span(&inner));
            assert_eq!((trace.len(), span.len()), (32, 16));
            assert_eq!(trace, same);
            assert_ne!(span, other);
            let _next = info_span!("next").entered();
            assert_ne!(trace_and_span(&current_traceparent().unwrap()).0, trace);
        });
    }

    #[test]
    fn a_span_joins_the_trace_of_its_row_and_passes_it_on() {
        logging("info", || {
            let span = info_span!("job");
            set_parent(&span, PARENT);
            let _entered = span.entered();
            let (trace, span) = trace_and_span(&current_traceparent().unwrap());
            assert_eq!(trace, trace_and_span(PARENT).0);
            assert_ne!(span, trace_and_span(PARENT).1);
            let outgoing = context().span().span_context().clone();
            assert_eq!(outgoing.trace_id().to_string(), trace);
            assert_eq!(outgoing.span_id().to_string(), span);
            assert!(outgoing.is_sampled());
        });
    }

    #[test]
    fn a_traceparent_that_does_not_parse_leaves_the_span_its_own_trace() {
        logging("info", || {
            let span = info_span!("job");
            let _entered = span.clone().entered();
            let own = current_traceparent();
            set_parent(&span, "no traceparent");
            assert_eq!(current_traceparent(), own);
        });
    }

    #[test]
    fn log_lines_carry_the_ids() {
        let ((), lines) = logging("info", || {
            let span = info_span!("job");
            set_parent(&span, PARENT);
            span.in_scope(|| info!("done"));
            info!("outside");
        });
        assert_eq!(lines[0]["trace_id"], trace_and_span(PARENT).0);
        assert_eq!(lines[0]["span_id"].as_str().unwrap().len(), 16);
        assert!(lines[1].get("trace_id").is_none());
    }

    #[test]
    fn spans_have_ids_where_few_lines_are_logged() {
        let (traceparent, lines) = logging("warn", || {
            let span = info_span!("job");
            set_parent(&span, PARENT);
            let _entered = span.entered();
            info!("not logged");
            warn!("logged");
            current_traceparent().unwrap()
        });
        assert_eq!(trace_and_span(&traceparent).0, trace_and_span(PARENT).0);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["message"], "logged");
        assert_eq!(lines[0]["trace_id"], trace_and_span(PARENT).0);
    }

    #[test]
    fn what_nobody_wants_is_not_even_made() {
        for (filter, level) in [
            ("info", LevelFilter::INFO),
            ("warn", LevelFilter::INFO),
            ("warn,domicile=debug", LevelFilter::DEBUG),
        ] {
            let layer = with_ids::<Registry>(json_lines(std::io::sink), log_filter(filter).unwrap());
            assert_eq!(layer.max_level_hint(), Some(level), "{filter}");
        }
    }
}
