//! Tables for the terminal, and medians.

use std::fmt::Write as _;

/// A table whose columns are as wide as they need to be. The first column is text, the others are numbers.
#[derive(Debug, Clone, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these heads.
    pub fn new(heads: &[&str]) -> Self {
        let mut table = Self::default();
        table.row(heads.iter().map(|head| (*head).to_owned()));
        table
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// As Markdown, which also reads well as it is.
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            for (column, width) in widths.iter().enumerate() {
                let cell = row.get(column).map_or("", String::as_str);
                let _ = if column == 0 {
                    write!(text, "| {cell:<width$} ")
                } else {
                    write!(text, "| {cell:>width$} ")
                };
            }
            text.push_str("|\n");
            if number == 0 {
                for (column, width) in widths.iter().enumerate() {
                    let line = "-".repeat(width.saturating_sub(usize::from(column > 0)));
                    let _ = write!(text, "| {line}{} ", if column > 0 { ":" } else { "" });
                }
                text.push_str("|\n");
            }
        }
        text
    }
}

/// The median; of an even number of values the mean of the two in the middle, of none 0.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (None, _) => 0.0,
        (Some(value), 1) => *value,
        (Some(upper), _) => values
            .get(middle.wrapping_sub(1))
            .map_or(*upper, |lower| (lower + upper) / 2.0),
    }
}

/// A whole number with its thousands apart.
pub fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Milliseconds with as many digits as say something.
pub fn millis(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median([4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median([]).abs() < f64::EPSILON);
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["server", "events/s"]);
        table.row(["service".to_owned(), thousands(31_800.0)]);
        table.row(["x".to_owned(), thousands(950.4)]);
        let expected = "\
| server  | events/s |
| ------- | -------: |
| service |   31,800 |
| x       |      950 |
";
        assert_eq!(table.render(), expected);
        assert_eq!(thousands(1_234_567.0), "1,234,567");
    }
}
