//! What the region's Team Chat bot says by itself, in words that suit the product.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest text; a bot is read on phones.
const MAX_CHARACTERS: usize = 1000;
/// What stands for something in a text.
const PLACEHOLDERS: [&str; 6] = ["product", "region", "command", "count", "done", "topic"];

/// The words of the bot. Every one has a default, so a file names only those that it changes. In texts `{product}` stands
/// for the product's name, `{region}` for the region's, `{command}` for the word of the command that is meant, and in
/// [`ProgressWords`] `{topic}`, `{done}` and `{count}` for the recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Words {
    /// What the product is called.
    pub product: String,
    /// What is said when the bot was installed.
    pub welcome: CardWords,
    /// The command that says what the bot can do.
    pub help: HelpWords,
    /// The command that leads to linking.
    pub connect: ConnectWords,
    /// The command that says whether the speaker is linked.
    pub status: StatusWords,
    /// The command that shows the speaker's last recordings.
    pub recordings: RecordingsWords,
    /// The command that says which region this is.
    pub region: RegionWords,
    /// What somebody whose account belongs to another region is told.
    pub elsewhere: CardWords,
    /// What is said while a recording is fetched.
    pub progress: ProgressWords,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident = $default:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields, rename_all = "camelCase")]
        pub struct $name {
            $($(#[$field_doc])* pub $field: String,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default.to_owned(),)+ }
            }
        }

        impl $name {
            fn each<'a>(&'a self, group: &str, visit: &mut dyn FnMut(String, &'a str)) {
                $(visit(format!("{group}.{}", camel(stringify!($field))), &self.$field);)+
            }
        }
    };
}

words! {
    /// A card of two texts.
    CardWords {
        /// The line on top.
        head = "",
        /// The text below it.
        text = "",
    }
}

words! {
    /// `help`
    HelpWords {
        /// The word by which it is called; empty: the command goes to the app.
        command = "help",
        /// What `help` says of it.
        summary = "Says what I can do",
        /// The line on top.
        head = "What I can do",
    }
}

words! {
    /// `connect`
    ConnectWords {
        /// The word by which it is called; empty: the command goes to the app.
        command = "connect",
        /// What `help` says of it.
        summary = "Links your Zoom user with {product}",
        /// The line on top.
        head = "Connect Zoom with {product}",
        /// The text below it.
        text = "Your data stays in {region}.",
        /// What the link is called.
        button = "Connect",
        /// What somebody is told who is linked already.
        linked = "Your Zoom user is linked with {product}.",
    }
}

words! {
    /// `status`
    StatusWords {
        /// The word by which it is called; empty: the command goes to the app.
        command = "status",
        /// What `help` says of it.
        summary = "Says whether you are linked and where your recordings stand",
        /// The line on top.
        head = "Status",
        /// For somebody who is linked.
        linked = "Your Zoom user is linked with {product} in {region}.",
        /// For somebody whose authorization has ended.
        needs_reauthorization = "Your link with {product} needs to be authorized again. Say \u{201c}{command}\u{201d}.",
        /// For somebody who is not.
        unlinked = "Your Zoom user is not linked with {product}. Say \u{201c}{command}\u{201d} to link it.",
        /// The name of the field that counts recordings that are being fetched.
        fetching = "Being fetched",
        /// The name of the field that counts those that are complete.
        stored = "Complete",
        /// The name of the field that counts those that are not.
        incomplete = "Incomplete",
    }
}

words! {
    /// `recordings`
    RecordingsWords {
        /// The word by which it is called; empty: the command goes to the app.
        command = "recordings",
        /// What `help` says of it.
        summary = "Shows your last recordings",
        /// The line on top.
        head = "Your last recordings",
        /// Where there are none.
        none = "There are none yet.",
        /// The name of a recording without a topic.
        untitled = "Recording",
        /// A recording that is being fetched.
        fetching = "being fetched",
        /// One that is complete.
        stored = "complete",
        /// One that is not.
        incomplete = "incomplete",
    }
}

words! {
    /// `region`
    RegionWords {
        /// The word by which it is called; empty: the command goes to the app.
        command = "region",
        /// What `help` says of it.
        summary = "Says where your data is kept",
        /// The line on top.
        head = "This is {region}",
        /// The text below it.
        text = "What you say to me, your link and your recordings are processed and kept in {region} and nowhere else.",
        /// The line above the other regions.
        others = "Does your organisation belong elsewhere? Then install the app of your region:",
    }
}

words! {
    /// While a recording is fetched.
    ProgressWords {
        /// The line on top.
        head = "Recording",
        /// While files are fetched.
        fetching = "\u{201c}{topic}\u{201d}: {done} of {count} files are in {region}.",
        /// When all are there.
        stored = "\u{201c}{topic}\u{201d} is complete: {count} files are in {region}.",
        /// When some could not be had.
        incomplete = "\u{201c}{topic}\u{201d} is incomplete: {done} of {count} files are in {region}.",
    }
}

impl Default for Words {
    fn default() -> Self {
        let card = |head: &str, text: &str| CardWords {
            head: head.to_owned(),
            text: text.to_owned(),
        };
        Self {
            product: "the app".to_owned(),
            welcome: card(
                "Hello",
                "I am {product} in {region}. Say \u{201c}{command}\u{201d} to see what I can do.",
            ),
            help: HelpWords::default(),
            connect: ConnectWords::default(),
            status: StatusWords::default(),
            recordings: RecordingsWords::default(),
            region: RegionWords::default(),
            elsewhere: card(
                "Your organisation is not served from {region}",
                "Nothing of yours is kept or passed on here. Install the app of your own region:",
            ),
            progress: ProgressWords::default(),
        }
    }
}

/// What is wrong with the bot's words, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path} {fault}")]
pub struct InvalidWords {
    /// Such as `status.linked`.
    pub path: String,
    /// What is wrong.
    pub fault: String,
}

impl Words {
    /// Reads them from JSON. A fault of the JSON itself has the path `words`.
    pub fn parse(text: &str) -> Result<Self, Vec<InvalidWords>> {
        let words: Self = serde_json::from_str(text).map_err(|error| {
            vec![InvalidWords {
                path: "words".to_owned(),
                fault: format!("cannot be read: {error}"),
            }]
        })?;
        let faults = words.faults();
        if faults.is_empty() { Ok(words) } else { Err(faults) }
    }

    /// Everything that is wrong with them.
    pub fn faults(&self) -> Vec<InvalidWords> {
        let mut faults = Vec::new();
        let mut commands: Vec<(String, String)> = Vec::new();
        self.each(&mut |path, text| {
            let mut fault = |fault: String| {
                faults.push(InvalidWords {
                    path: path.clone(),
                    fault,
                });
            };
            if text.chars().count() > MAX_CHARACTERS {
                fault(format!("is longer than {MAX_CHARACTERS} characters"));
            }
            if path.ends_with(".command") {
                let word = text.to_lowercase();
                if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
                    fault("is not one word".to_owned());
                } else if let Some((other, _)) = commands
                    .iter()
                    .find(|(_, known)| *known == word && !word.is_empty())
                {
                    fault(format!("is the same word as {other}"));
                }
                commands.push((path.clone(), word));
            } else if text.trim().is_empty() {
                fault("says nothing".to_owned());
            }
            for name in placeholders(text) {
                if !PLACEHOLDERS.contains(&name) {
                    fault(format!(
                        "has a placeholder that stands for nothing; expected one of {{{}}}",
                        PLACEHOLDERS.join("}, {")
                    ));
                }
            }
        });
        faults
    }

    fn each<'a>(&'a self, visit: &mut dyn FnMut(String, &'a str)) {
        visit("product".to_owned(), &self.product);
        self.welcome.each("welcome", visit);
        self.help.each("help", visit);
        self.connect.each("connect", visit);
        self.status.each("status", visit);
        self.recordings.each("recordings", visit);
        self.region.each("region", visit);
        self.elsewhere.each("elsewhere", visit);
        self.progress.each("progress", visit);
    }
}

/// The names between braces.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{')
        .skip(1)
        .map(|rest| rest.split('}').next().unwrap_or(rest))
}

/// Puts values where their names stand between braces, once: what a value holds is left alone.
pub fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut pieces = text.split('{');
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let known = piece.split_once('}').and_then(|(name, rest)| {
            values
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (value, rest))
        });
        if let Some((value, rest)) = known {
            filled.push_str(value);
            filled.push_str(rest);
        } else {
            filled.push('{');
            filled.push_str(piece);
        }
    }
    filled
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut camel, word| {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
        camel
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_defaults_are_sound_and_a_file_changes_only_what_it_names() {
        assert_eq!(Words::default().faults(), []);
        let words = Words::parse(r#"{"product": "Example", "status": {"command": "link"}}"#).unwrap();
        assert_eq!(
            (words.product.as_str(), words.status.command.as_str()),
            ("Example", "link")
        );
        assert_eq!(words.status.head, "Status");
        assert_eq!(Words::parse("{}").unwrap(), Words::default());
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let told = |text: &str| -> Vec<String> {
            Words::parse(text)
                .unwrap_err()
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(
            told(
                r#"{"product": " ", "help": {"command": "two words"}, "connect": {"command": "Status"}, "region": {"head": "{regoin}"}}"#
            ),
            [
                "product says nothing",
                "help.command is not one word",
                "status.command is the same word as connect.command",
                "region.head has a placeholder that stands for nothing; expected one of {product}, {region}, {command}, {count}, {done}, {topic}",
            ]
        );
        assert_eq!(
            told(&format!(
                r#"{{"status": {{"needsReauthorization": "{}"}}}}"#,
                "a".repeat(1001)
            )),
            ["status.needsReauthorization is longer than 1000 characters"]
        );
        assert!(told(r#"{"helf": {}}"#)[0].starts_with("words cannot be read: unknown field `helf`"));
    }

    #[test]
    fn a_command_without_a_word_is_the_apps() {
        assert!(Words::parse(r#"{"help": {"command": ""}, "status": {"command": ""}}"#).is_ok());
    }

    #[test]
    fn a_value_that_looks_like_a_placeholder_stays_as_it_is() {
        let values = [("topic", "{region} \u{1f600}"), ("region", "EU")];
        assert_eq!(
            fill("{topic} in {region}, {other} {", &values),
            "{region} \u{1f600} in EU, {other} {"
        );
    }

    proptest! {
        #[test]
        fn filling_never_panics(text in ".{0,60}", value in ".{0,20}") {
            let filled = fill(&text, &[("a", &value)]);
            prop_assert!(filled.len() <= text.len() + value.len() * text.len());
        }
    }
}
