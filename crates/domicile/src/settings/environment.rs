//! The variables that the process was started with.

use std::collections::BTreeMap;
use std::path::Path;

use super::faults::Faults;
use super::reference::SETTINGS;

const PREFIX: &str = "DOMICILE_";
const FILE_SUFFIX: &str = "_FILE";
/// AWS's own secrets, for which its tools know no file.
const AWS_SECRETS: &[&str] = &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Environment variables as a value, so that tests hand in their own.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process's own environment. It is read here and nowhere else.
    #[expect(clippy::disallowed_methods, reason = "the roof reads the environment, once")]
    pub fn of_process() -> Self {
        Self(std::env::vars().collect())
    }

    /// The variables as they are, for `envy` and for S3's own settings.
    pub fn variables(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.0.iter().map(|(name, value)| (name.clone(), value.clone()))
    }

    /// One variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Puts the contents of the named file in the place of each `NAME_FILE`, drops empty values, and finds names that no
    /// setting has.
    pub(super) fn resolved(&self, faults: &mut Faults) -> Self {
        let mut resolved = BTreeMap::new();
        for (name, value) in self.0.iter().filter(|(_, value)| !value.trim().is_empty()) {
            match setting_of_file(name) {
                None => {
                    if name.starts_with(PREFIX) && !is_known(name) {
                        faults.add(name, unknown(name));
                    }
                    resolved.insert(name.clone(), value.clone());
                }
                Some(setting) if self.0.get(setting).is_some_and(|value| !value.trim().is_empty()) => {
                    faults.add(name, format!("{setting} is set too; set one of them"));
                }
                Some(setting) => match std::fs::read_to_string(Path::new(value)) {
                    Ok(contents) => {
                        resolved.insert(
                            setting.to_owned(),
                            contents.trim_end_matches(['\r', '\n']).to_owned(),
                        );
                    }
                    Err(error) => faults.add(name, format!("the file cannot be read: {}", error.kind())),
                },
            }
        }
        Self(resolved)
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

/// The setting whose value a `NAME_FILE` variable names a file for.
fn setting_of_file(name: &str) -> Option<&str> {
    // A setting of this very name is itself the path that it says.
    if is_known(name) {
        return None;
    }
    let setting = name.strip_suffix(FILE_SUFFIX)?;
    let has_file = (name.starts_with(PREFIX) && is_known(setting)) || AWS_SECRETS.contains(&setting);
    has_file.then_some(setting)
}

fn is_known(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.name == name)
}

fn unknown(name: &str) -> String {
    let nearest = SETTINGS
        .iter()
        .map(|setting| (distance(name, setting.name), setting.name))
        .min();
    match nearest {
        Some((distance, nearest)) if distance <= 4 => format!("no such setting; did you mean {nearest}?"),
        _ => "no such setting; `domicile config settings` lists them all".to_owned(),
    }
}

/// Levenshtein's distance, for the hint.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let best = (diagonal + usize::from(x != y)).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(variables: &[(&str, &str)]) -> (Environment, Vec<String>) {
        let environment: Environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut faults = Faults::default();
        let resolved = environment.resolved(&mut faults);
        (resolved, faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_file_stands_for_a_value() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\n").unwrap();
        let path = file.path().to_str().unwrap();
        let (resolved, faults) = resolve(&[("DOMICILE_ZOOM_CLIENT_SECRET_FILE", path)]);
        assert_eq!(resolved.get("DOMICILE_ZOOM_CLIENT_SECRET"), Some("s3cret"));
        assert!(faults.is_empty());
    }

    #[test]
    fn value_and_file_together_are_a_fault() {
        let (_, faults) = resolve(&[
            ("DOMICILE_REGION_ID", "eu"),
            ("DOMICILE_REGION_ID_FILE", "/nowhere"),
        ]);
        assert_eq!(
            faults,
            ["DOMICILE_REGION_ID_FILE: DOMICILE_REGION_ID is set too; set one of them"]
        );
    }

    #[test]
    fn a_misspelt_name_is_a_fault_with_a_hint() {
        let (_, faults) = resolve(&[("DOMICILE_REGOIN_ID", "eu"), ("PATH", "/bin")]);
        assert_eq!(
            faults,
            ["DOMICILE_REGOIN_ID: no such setting; did you mean DOMICILE_REGION_ID?"]
        );
    }
}
