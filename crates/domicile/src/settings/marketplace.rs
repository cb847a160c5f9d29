//! `DOMICILE_MARKETPLACE_TOKEN`: for the commands about Marketplace apps alone. It is none of the region's settings: a process
//! that serves or works and has it in its environment refuses to start, as with every setting that it does not know.

use std::path::Path;

use domicile_kernel::Secret;

use super::environment::Environment;
use super::faults::Faults;

const TOKEN: &str = "DOMICILE_MARKETPLACE_TOKEN";
const TOKEN_FILE: &str = "DOMICILE_MARKETPLACE_TOKEN_FILE";

/// What calls of Zoom's Marketplace API need.
pub struct MarketplaceSettings {
    /// An access token that reads and writes apps.
    pub token: Secret<String>,
}

impl MarketplaceSettings {
    /// Reads them, or says what is wrong.
    pub fn from_environment(environment: &Environment) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let set = |name| {
            environment
                .get(name)
                .map(str::trim)
                .filter(|value| !value.is_empty())
        };
        let token = match (set(TOKEN), set(TOKEN_FILE)) {
            (Some(_), Some(_)) => {
                faults.add(TOKEN_FILE, format!("{TOKEN} is set too; set one of them"));
                None
            }
            (Some(token), None) => Some(Secret::from(token)),
            (None, Some(path)) => {
                let read = std::fs::read_to_string(Path::new(path));
                let read = read.map_err(|error| format!("the file cannot be read: {}", error.kind()));
                faults
                    .take(TOKEN_FILE, read)
                    .map(|text| Secret::from(text.trim()))
            }
            (None, None) => {
                faults.add(
                    TOKEN,
                    "is not set: an access token of the apps' developer account with the scopes marketplace:read:app:admin \
                     and marketplace:write:app:admin, such as a Server-to-Server OAuth app gives",
                );
                None
            }
        };
        match token {
            Some(token) if !token.is_empty() && token.expose().bytes().all(|b| b.is_ascii_graphic()) => {
                Ok(Self { token })
            }
            Some(_) => {
                faults.add(
                    TOKEN,
                    "is no token: it must be visible characters and nothing else",
                );
                Err(faults)
            }
            None => Err(faults),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<MarketplaceSettings, String> {
        let environment: Environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        MarketplaceSettings::from_environment(&environment).map_err(|faults| faults.to_string())
    }

    #[test]
    fn the_token_comes_from_the_variable_or_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "TOKEN\n").unwrap();
        let path = file.path().to_str().unwrap();
        for (name, value) in [(TOKEN, "TOKEN"), (TOKEN_FILE, path)] {
            assert_eq!(
                read(&[(name, value)])
                    .unwrap_or_else(|fault| panic!("{fault}"))
                    .token
                    .expose(),
                "TOKEN"
            );
        }
    }

    #[test]
    fn a_missing_or_broken_token_is_a_fault_that_does_not_show_it() {
        assert!(
            read(&[])
                .err()
                .unwrap()
                .contains("DOMICILE_MARKETPLACE_TOKEN: is not set")
        );
        let fault = read(&[(TOKEN, "PLANTED two")]).err().unwrap();
        assert!(fault.contains(TOKEN) && !fault.contains("PLANTED"), "{fault}");
        for (variables, expected) in [
            (
                [(TOKEN, "T"), (TOKEN_FILE, "/nowhere")].as_slice(),
                "set one of them",
            ),
            (&[(TOKEN_FILE, "/nowhere")], "cannot be read"),
        ] {
            let fault = read(variables).err().unwrap();
            assert!(fault.contains(expected), "{fault}");
        }
    }

    #[test]
    fn no_role_starts_with_the_token_in_its_environment() {
        let environment: Environment = [(TOKEN.to_owned(), "PLANTED".to_owned())].into_iter().collect();
        let faults = Settings::from_environment(&environment)
            .err()
            .unwrap()
            .to_string();
        assert!(
            faults.contains("DOMICILE_MARKETPLACE_TOKEN: no such setting"),
            "{faults}"
        );
        assert!(!faults.contains("PLANTED"));
    }
}
