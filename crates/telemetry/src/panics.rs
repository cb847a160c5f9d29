//! What is said of a panic.

use std::any::Any;
use std::panic::PanicHookInfo;

/// Logs every panic with its place. Its message is logged only where it is a literal of the source: any other was put
/// together from values, and these may be secret (INV-3). Replaces the standard hook, which prints them.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(report));
}

pub(crate) fn report(info: &PanicHookInfo<'_>) {
    let (file, line, column) = info.location().map_or(("unknown", 0, 0), |place| {
        (place.file(), place.line(), place.column())
    });
    let thread = std::thread::current();
    tracing::error!(
        target: "domicile_telemetry::panic",
        {
            code.file.path = file,
            code.line.number = line,
            code.column.number = column,
            thread.name = thread.name().unwrap_or("unnamed"),
            panic.message = message(info.payload()),
        },
        "a thread panicked"
    );
}

fn message(payload: &(dyn Any + Send)) -> &'static str {
    if let Some(literal) = payload.downcast_ref::<&'static str>() {
        literal
    } else if payload.is::<String>() {
        "withheld: put together from values"
    } else {
        "withheld: not a text"
    }
}
