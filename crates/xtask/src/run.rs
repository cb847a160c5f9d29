//! Failures that are told to a person, and programs that are run.

use std::error::Error;
use std::fmt;
use std::process::Command;

/// A command ended without doing its job; the text is for the person at the terminal.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

/// What every command ends with.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        Self(text)
    }
}

/// Runs a program on this terminal.
pub(crate) fn shown(command: &mut Command) -> Outcome {
    let status = command
        .status()
        .map_err(|error| Failure(format!("{}: {error}", line(command))))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure(format!("`{}` failed: {status}", line(command))))
    }
}

/// The command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Tells the person of a step that takes long.
pub(crate) fn note(text: &str) {
    eprintln!("xtask: {text}");
}
