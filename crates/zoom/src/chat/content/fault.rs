use std::fmt;

/// What is wrong with a content, and where. It never quotes the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentFault {
    /// Such as `content.body[2].items[0].value`.
    pub field: String,
    /// What is wrong there.
    pub fault: Fault,
}

/// What can be wrong with a member of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It has to be there.
    Missing,
    /// It is there and says nothing.
    Empty,
    /// It is of another kind.
    NotA(&'static str),
    /// It is none of these words.
    NotOneOf(&'static [&'static str]),
    /// One of these has to be there.
    NoneOf(&'static [&'static str]),
    /// A text has more characters.
    TooLong {
        /// The most that it may have.
        characters: usize,
    },
    /// A list has more items.
    TooMany {
        /// The most that it may have.
        items: usize,
    },
    /// The whole has more bytes as JSON.
    TooLarge {
        /// The most that it may have.
        bytes: usize,
    },
    /// It lies in too many others.
    TooDeep {
        /// The most levels.
        levels: usize,
    },
    /// It is no https URL with a host and without credentials.
    NotALink,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::Empty => f.write_str("says nothing"),
            Self::NotA(kind) => write!(f, "has a wrong value; expected {kind}"),
            Self::NotOneOf(words) => write!(f, "has a wrong value; expected one of {}", words.join(", ")),
            Self::NoneOf(members) => write!(f, "needs one of the members {}", members.join(", ")),
            Self::TooLong { characters } => write!(f, "is longer than {characters} characters"),
            Self::TooMany { items } => write!(f, "has more than {items} items"),
            Self::TooLarge { bytes } => write!(f, "is larger than {bytes} bytes as JSON"),
            Self::TooDeep { levels } => write!(f, "is nested more than {levels} levels deep"),
            Self::NotALink => f.write_str("is no link that a person may be shown; expected an https URL"),
        }
    }
}

impl fmt::Display for ContentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.fault)
    }
}
