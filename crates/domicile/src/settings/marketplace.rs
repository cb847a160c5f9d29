//! `DOMICILE_MARKETPLACE_*`: for the commands about Marketplace apps alone; no role reads it.

use domicile_kernel::Secret;

use super::environment::Environment;
use super::faults::Faults;

const TOKEN: &str = "DOMICILE_MARKETPLACE_TOKEN";

/// What calls of Zoom's Marketplace API need.
pub struct MarketplaceSettings {
    /// An access token that reads and writes apps.
    pub token: Secret<String>,
}

impl MarketplaceSettings {
    /// Reads them, or says every fault.
    pub fn from_environment(environment: &Environment) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let environment = environment.resolved(&mut faults);
        let token = environment
            .get(TOKEN)
            .map(str::trim)
            .filter(|token| !token.is_empty());
        match token {
            None => faults.add(
                TOKEN,
                "is not set: an access token of the apps' developer account with the scopes marketplace:read:app:admin and \
                 marketplace:write:app:admin, such as a Server-to-Server OAuth app gives",
            ),
            Some(token) if !token.bytes().all(|b| b.is_ascii_graphic()) => {
                faults.add(TOKEN, "is no token: it holds more than visible characters");
            }
            Some(token) if faults.is_empty() => {
                return Ok(Self {
                    token: Secret::from(token),
                });
            }
            Some(_) => {}
        }
        Err(faults)
    }
}

#[cfg(test)]
mod tests {
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
        for (name, value) in [(TOKEN, "TOKEN"), ("DOMICILE_MARKETPLACE_TOKEN_FILE", path)] {
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
    }
}
