//! How the operators' commands say things: tables for people, JSON for programs, pages of lists.

use std::fmt::Write as _;
use std::io::{Write, stderr, stdout};
use std::str::FromStr;

use chrono::TimeDelta;
use clap::{Args, ValueEnum};
use domicile_kernel::Timestamp;
use serde::Serialize;

use super::Failure;

/// How to say it.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// For people
    #[value(alias = "text")]
    Table,
    /// For programs
    Json,
}

/// How much of a list is shown.
#[derive(Args, Clone, Copy)]
pub(super) struct Page {
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) limit: u16,
    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
}

/// A span of time, such as `30m`, `12h` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Age(TimeDelta);

impl Age {
    /// How long it is.
    pub(super) fn span(self) -> TimeDelta {
        self.0
    }

    /// So long before now.
    pub(super) fn before(self, now: Timestamp) -> Option<Timestamp> {
        now.checked_sub_signed(self.0)
    }
}

impl FromStr for Age {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "an age is a whole number and s, m, h or d, such as 12h";
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(WRONG)?;
        let number: u32 = number.parse().map_err(|_| WRONG)?;
        let seconds: i64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(WRONG),
        };
        Ok(Self(TimeDelta::seconds(i64::from(number) * seconds)))
    }
}

/// A page of a list, as programs read it.
#[derive(Serialize)]
struct Listed<'a, T> {
    data: &'a [T],
    /// What `--after` takes for the next page; nothing at the end.
    next_cursor: Option<String>,
}

/// Says a page; how to get the next one is told beside it.
pub(super) fn list<T: Serialize, const N: usize>(
    page: Page,
    entries: &[T],
    header: [&str; N],
    row: impl Fn(&T) -> [String; N],
    cursor: impl Fn(&T) -> String,
) -> Result<(), Failure> {
    let is_full = entries.len() >= usize::from(page.limit);
    let next_cursor = entries.last().filter(|_| is_full).map(cursor);
    let text = match page.format {
        Format::Json => json(&Listed {
            data: entries,
            next_cursor,
        })?,
        Format::Table => {
            if let Some(next) = next_cursor {
                writeln!(stderr(), "There may be more: --after {next}")?;
            }
            let mut rows = vec![header.map(str::to_owned)];
            rows.extend(entries.iter().map(row));
            aligned(&rows)?
        }
    };
    say(&text)
}

pub(super) fn say(text: &str) -> Result<(), Failure> {
    Ok(stdout().write_all(text.as_bytes())?)
}

pub(super) fn json(value: &impl Serialize) -> Result<String, Failure> {
    Ok(format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Columns beside each other; the last is as long as it is. What Zoom sent cannot reach the terminal's controls.
pub(super) fn aligned<const N: usize>(rows: &[[String; N]]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let plain: String = cell.chars().filter(|c| !c.is_control()).collect();
            if column + 1 == N {
                writeln!(text, "{plain}")?;
            } else {
                let width = rows
                    .iter()
                    .filter_map(|row| row.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0);
                write!(text, "{plain:width$}  ")?;
            }
        }
    }
    Ok(text)
}

pub(super) fn time(time: Timestamp) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A text that may be missing.
pub(super) fn or_dash(text: Option<impl ToString>) -> String {
    text.map_or_else(|| "-".to_owned(), |text| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_and_a_unit() {
        let now: Timestamp = "2026-12-08T00:00:00Z".parse().unwrap();
        let before = |text: &str| text.parse::<Age>().unwrap().before(now).unwrap().to_rfc3339();
        assert_eq!(before("7d"), "2026-12-01T00:00:00+00:00");
        assert_eq!(before("90m"), "2026-12-07T22:30:00+00:00");
        for wrong in ["", "d", "7", "7w", "-1h", "1.5h", "\u{20ac}"] {
            assert!(wrong.parse::<Age>().is_err(), "{wrong}");
        }
    }
}
