//! What is wrong with the environment.

use std::fmt;

/// One fault of one setting. It never holds the setting's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The environment variable.
    pub setting: String,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.problem)
    }
}

/// Every fault that was found, at least one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Adds a fault.
    pub fn add(&mut self, setting: &str, problem: impl fmt::Display) {
        self.0.push(Fault {
            setting: setting.to_owned(),
            problem: problem.to_string(),
        });
    }

    /// Keeps the value, or the fault.
    pub fn take<T, E: fmt::Display>(&mut self, setting: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|problem| self.add(setting, problem)).ok()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the configuration has {} fault(s):", self.0.len())?;
        self.0.iter().try_for_each(|fault| writeln!(f, "  {fault}"))
    }
}

impl std::error::Error for Faults {}
