use super::{InvalidTransition, TextState, text_state};

/// The state of one file of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileStatus {
    /// Zoom told of it; the bytes are not here yet.
    Pending,
    /// The bytes are in the region's storage, verified.
    Stored,
    /// It cannot be fetched without an operator: every attempt failed.
    Failed,
}

text_state!(FileStatus { Pending = "pending", Stored = "stored", Failed = "failed" });

impl FileStatus {
    /// The bytes are stored and verified.
    pub fn store(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Pending | Self::Failed => Ok(Self::Stored),
            Self::Stored => Err(InvalidTransition::new(self, Self::Stored)),
        }
    }

    /// Every attempt failed.
    pub fn fail(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Pending => Ok(Self::Failed),
            Self::Stored | Self::Failed => Err(InvalidTransition::new(self, Self::Failed)),
        }
    }
}

/// The state of a recording, which follows from its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordingStatus {
    /// At least one file is still to be fetched.
    Fetching,
    /// Every known file is stored.
    Stored,
    /// Nothing is left to fetch and at least one file failed.
    Incomplete,
}

text_state!(RecordingStatus { Fetching = "fetching", Stored = "stored", Incomplete = "incomplete" });

impl RecordingStatus {
    /// The state that these files give.
    pub fn of_files(files: impl IntoIterator<Item = FileStatus>) -> Self {
        let mut status = Self::Stored;
        for file in files {
            match file {
                FileStatus::Pending => return Self::Fetching,
                FileStatus::Failed => status = Self::Incomplete,
                FileStatus::Stored => {}
            }
        }
        status
    }

    /// The spelling that the API shows.
    pub fn name(self) -> &'static str {
        self.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_stored_only_when_every_file_is() {
        use FileStatus::{Failed, Pending, Stored};
        assert_eq!(
            RecordingStatus::of_files([Stored, Stored]),
            RecordingStatus::Stored
        );
        assert_eq!(
            RecordingStatus::of_files([Stored, Failed]),
            RecordingStatus::Incomplete
        );
        assert_eq!(
            RecordingStatus::of_files([Failed, Pending]),
            RecordingStatus::Fetching
        );
    }
}
