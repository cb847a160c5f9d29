//! What the person at the terminal sees: steps, their proofs, progress.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::Instant;

/// Prints the story.
pub(crate) struct Report {
    start: Instant,
    step: u32,
    /// Stands before each line where several stories are told at once, such as `eu | `.
    label: String,
    /// Progress is rewritten in place on a terminal, and not shown in a log.
    terminal: bool,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            step: 0,
            label: String::new(),
            terminal: std::io::stdout().is_terminal(),
        }
    }

    /// Prints a story that is told beside others.
    pub(crate) fn labelled(label: &str) -> Self {
        Self {
            label: format!("{label} | "),
            terminal: false,
            ..Self::new()
        }
    }

    /// The next step begins.
    pub(crate) fn step(&mut self, title: &str) {
        self.step += 1;
        let seconds = self.start.elapsed().as_secs_f64();
        let label = &self.label;
        println!("{label}\n{label}{:>2}. {title}  [{seconds:.1} s]", self.step);
    }

    /// One proof of the step.
    pub(crate) fn proof(&self, name: &str, value: impl Display) {
        self.clear();
        println!("{}      {name:<22} {value}", self.label);
    }

    /// How far the step is.
    pub(crate) fn progress(&self, text: &str) {
        if self.terminal {
            print!("\r\x1b[K      … {text}");
            // A terminal that is gone is noticed at the next proof.
            let _ = std::io::stdout().flush();
        }
    }

    /// The story is told.
    pub(crate) fn end(&self) {
        let label = &self.label;
        println!(
            "{label}\n{label}The whole story holds: {} steps in {:.1} s.",
            self.step,
            self.start.elapsed().as_secs_f64()
        );
    }

    fn clear(&self) {
        if self.terminal {
            print!("\r\x1b[K");
        }
    }
}

/// Bytes with thousands apart.
pub(crate) fn bytes(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    format!("{text} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_grouped() {
        assert_eq!(bytes(7), "7 bytes");
        assert_eq!(bytes(20_971_520), "20 971 520 bytes");
    }
}
