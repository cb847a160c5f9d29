//! The formats of files: endings, media types, and how the first bytes look.

/// How the bytes of a file begin, so far as that can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// MPEG-4 video or audio: a `ftyp` box first (ISO/IEC 14496-12 section 4.3).
    Mpeg4,
    /// `WEBVTT` (W3C, "The Web Video Text Tracks Format", section 4.1).
    WebVtt,
    /// An object or array (RFC 8259).
    Json,
    /// Text without NUL bytes.
    Text,
    /// JPEG: start of image and a marker (ITU-T T.81 annex B).
    Jpeg,
    /// PNG (ISO/IEC 15948 section 5.2).
    Png,
    /// Anything; only a page of HTML is refused.
    Unknown,
}

impl Format {
    /// The format of a file with this ending, in lower case.
    pub(crate) fn of_extension(extension: &str) -> Self {
        match extension {
            "mp4" | "m4a" => Self::Mpeg4,
            "vtt" => Self::WebVtt,
            "json" => Self::Json,
            "txt" | "csv" => Self::Text,
            "jpg" | "jpeg" => Self::Jpeg,
            "png" => Self::Png,
            _ => Self::Unknown,
        }
    }
}

/// The ending of a file of which nothing tells one.
pub(crate) const UNKNOWN_EXTENSION: &str = "bin";

/// The ending of a file for which Zoom names none (Zoom: `recording_files[].file_type`).
pub(crate) fn extension_of(kind: Option<&str>) -> &'static str {
    match kind {
        Some("MP4") => "mp4",
        Some("M4A") => "m4a",
        Some("TRANSCRIPT" | "CC") => "vtt",
        Some("CHAT" | "CHAT_MESSAGE") => "txt",
        Some("CSV") => "csv",
        Some("TIMELINE" | "SUMMARY") => "json",
        _ => UNKNOWN_EXTENSION,
    }
}

/// The media type under which a file with this ending is served. None of them is one that a browser would run.
pub(crate) fn content_type_of(extension: &str) -> &'static str {
    match extension {
        "mp4" => "video/mp4",
        "m4a" => "audio/mp4",
        "vtt" => "text/vtt; charset=utf-8",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        _ => "application/octet-stream",
    }
}
