//! The rules that region files keep, each with an id that stays.

use std::fmt;
use std::str::FromStr;

/// Whether a file may break a rule on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// Never.
    Absolute,
    /// Where the file states an exception with a reason.
    Exceptable,
}

macro_rules! rules {
    ($($name:ident $id:literal $strength:ident $meaning:literal;)*) => {
        /// A rule. Its id is what reports, exceptions and code-scanning tools know it by.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule {
            $(#[doc = $meaning] $name,)*
        }

        impl Rule {
            /// Every rule, in the order in which they are documented.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The id that stays, such as `shared-client-id`.
            pub const fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }

            /// What it asks, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                }
            }

            /// Whether a file may break it on purpose.
            pub const fn strength(self) -> Strength {
                match self {
                    $(Self::$name => Strength::$strength,)*
                }
            }
        }
    };
}

rules! {
    Unreadable "unreadable" Absolute "A file is YAML with all fields of a region, each of its type.";
    UnknownField "unknown-field" Absolute "A file holds no field that nothing reads.";
    Value "value" Absolute "Each value has the form that its field asks for.";
    Contradiction "contradiction" Absolute "Sections of one file fit each other.";
    SecretInFile "secret-in-file" Absolute "A file names secrets and never holds one.";
    SecretReferenceRepeated "secret-reference-repeated" Absolute "No two settings of a file read the same secret.";
    FileName "file-name" Absolute "A region's file is called after its id.";
    NoRegions "no-regions" Absolute "There is something to check.";
    RedirectUrl "redirect-url" Absolute "Consent leads back to the region's own callback.";
    InstallUrl "install-url" Absolute "An app is added from the region's own install page.";
    EventsUrl "events-url" Absolute "Events come to the region's own endpoint of that app.";
    MessageUrl "message-url" Absolute "What is said to the bot comes to the region's own endpoint.";
    ZoomHosts "zoom-hosts" Exceptable "Only Zoom's own hosts are listed as Zoom's, and they are listed nowhere else.";
    Directory "directory" Absolute "The public directory is well formed, and its regions are apart.";
    DirectoryEntry "directory-entry" Absolute "The public directory says of each region what the region's file says.";
    SharedId "shared-id" Absolute "No two regions have one id.";
    SharedZoomCluster "shared-zoom-cluster" Absolute "Each home cluster of Zoom's belongs to one region.";
    SharedPublicHost "shared-public-host" Absolute "No two regions have one public host, nor one below the other's.";
    SharedCallbackUrl "shared-callback-url" Absolute "No two regions have one callback or endpoint.";
    SharedClientId "shared-client-id" Absolute "No two apps have one client id.";
    SharedAppId "shared-app-id" Absolute "No two apps have one Marketplace id.";
    SharedAppName "shared-app-name" Absolute "No two apps have one name: a customer must see which region an app is of.";
    SharedSlashCommand "shared-slash-command" Absolute "No two bots have one slash command.";
    SharedRobotJid "shared-robot-jid" Absolute "No two bots have one JID.";
    SharedAppHost "shared-app-host" Absolute "The application has hosts of its own in each region.";
    SharedListingHost "shared-listing-host" Exceptable "The pages that a listing names lie with the region.";
    SharedDatabaseHost "shared-database-host" Absolute "No two regions have one database server.";
    SharedDatabaseName "shared-database-name" Absolute "No two databases have one name, so that no backup is restored into the wrong one.";
    SharedBucket "shared-bucket" Absolute "No two regions have one bucket or folder.";
    SharedStorageHost "shared-storage-host" Exceptable "No two regions have one storage endpoint.";
    SharedKey "shared-key" Absolute "No two regions have one key, or one id of a key.";
    SharedKeyHost "shared-key-host" Exceptable "No two regions have one key service endpoint.";
    SharedSecretReference "shared-secret-reference" Absolute "No two regions read one secret.";
    SharedTelemetryEndpoint "shared-telemetry-endpoint" Absolute "No two regions send telemetry to one host.";
    SharedNamespace "shared-namespace" Absolute "No two regions have one namespace.";
    SharedClusterContext "shared-cluster-context" Absolute "No two regions run in one cluster.";
    SharedRegistry "shared-registry" Exceptable "No two regions pull their image from one host.";
    SharedCloudRole "shared-cloud-role" Absolute "No two regions take one role at their cloud.";
    SharedCloudAccount "shared-cloud-account" Exceptable "No two regions have one account at their cloud.";
    SharedEgressHost "shared-egress-host" Absolute "No two regions call one host, but Zoom's own.";
    SharedHost "shared-host" Absolute "No host of one region serves another region in another part.";
    ImageDigest "image-digest" Exceptable "All regions run one image.";
    ScopesDiffer "scopes-differ" Exceptable "The apps of all regions have the same scopes.";
    EventsDiffer "events-differ" Exceptable "The apps of all regions are told the same events.";
    AppsDiffer "apps-differ" Exceptable "All regions have the same apps, of the same usage and products.";
    ZoomDiffers "zoom-differs" Exceptable "All regions have the same addresses of Zoom.";
    ReleaseOrder "release-order" Absolute "A release reaches the regions one after the other: 1, 2, 3.";
    JurisdictionUnknown "jurisdiction-unknown" Absolute "A jurisdiction is eu or a country.";
    StorageJurisdiction "storage-jurisdiction" Exceptable "The storage lies where the jurisdiction is.";
    KeyJurisdiction "key-jurisdiction" Exceptable "The keys lie where the jurisdiction is.";
    TelemetryJurisdiction "telemetry-jurisdiction" Exceptable "Telemetry stays where the jurisdiction is.";
    DatabaseJurisdiction "database-jurisdiction" Exceptable "The database lies where the jurisdiction is.";
    HostJurisdiction "host-jurisdiction" Exceptable "Every other host lies where the jurisdiction is.";
    ExceptionInvalid "exception-invalid" Absolute "An exception names a rule that may be excepted, and says why.";
    ExceptionUnused "exception-unused" Absolute "An exception excepts something.";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// No rule has this id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no rule has this id")]
pub struct UnknownRule;

impl FromStr for Rule {
    type Err = UnknownRule;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|rule| rule.id() == id)
            .ok_or(UnknownRule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    #[test]
    fn the_readme_lists_exactly_the_rules() {
        let mut table = "| rule | may be excepted | meaning |\n| --- | --- | --- |\n".to_owned();
        for rule in Rule::ALL {
            let excepted = match rule.strength() {
                Strength::Absolute => "",
                Strength::Exceptable => "yes",
            };
            writeln!(table, "| `{rule}` | {excepted} | {} |", rule.meaning()).unwrap();
        }
        let readme = include_str!("../README.md");
        let (_, listed) = readme.split_once("<!-- rules -->\n").unwrap();
        assert_eq!(listed, table, "put this table under the mark in the README");
    }

    #[test]
    fn ids_are_unique_and_lead_back() {
        let ids: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        assert_eq!(ids.len(), Rule::ALL.len());
        for rule in Rule::ALL {
            assert_eq!(rule.id().parse(), Ok(*rule));
            assert!(rule.meaning().ends_with('.'));
        }
        assert_eq!("shared".parse::<Rule>(), Err(UnknownRule));
    }
}
