//! Values as Zoom really writes them: ids as numbers or strings, times in four forms, objects that may be missing.
//!
//! Everything here reads leniently and converts strictly, so that an odd member somewhere never costs a whole event,
//! while an id that decides where data goes is either exact or refused (INV-7).

use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use domicile_kernel::{Secret, Timestamp};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The most bytes that an id of Zoom's or an event's name may have; real ones have fewer than 64.
pub(crate) const MAX_ID_BYTES: usize = 256;

/// A member that has a value of the wrong kind, with its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// A JSON value without structure; objects and arrays are skipped without being kept.
#[derive(Default)]
pub(crate) enum Scalar {
    #[default]
    Absent,
    Text(String),
    Integer(i64),
    Large(u64),
    Float(f64),
    Other,
}

impl Scalar {
    /// An id that routes or names: text or integer, not empty, no control character, not too long.
    pub(crate) fn id(self, field: &'static str) -> Result<Option<String>, Malformed> {
        let text = match self {
            Self::Absent => return Ok(None),
            Self::Text(text) if text.is_empty() => return Ok(None),
            Self::Text(text) => text,
            Self::Integer(number) => number.to_string(),
            Self::Large(number) => number.to_string(),
            Self::Float(_) | Self::Other => return Err(Malformed(field)),
        };
        if text.len() > MAX_ID_BYTES || text.chars().any(char::is_control) {
            return Err(Malformed(field));
        }
        Ok(Some(text))
    }

    /// Text that is shown or compared but routes nothing; whatever is no text is absent.
    pub(crate) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A credential.
    pub(crate) fn secret(self) -> Option<Secret<String>> {
        self.text().map(Secret::new)
    }

    /// A whole number, also when it is quoted.
    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Integer(number) => Some(*number),
            Self::Float(number) => whole(*number),
            Self::Absent | Self::Large(_) | Self::Other => None,
        }
    }

    /// A number of bytes.
    pub(crate) fn unsigned(&self) -> Option<u64> {
        match self {
            Self::Large(number) => Some(*number),
            other => other.integer().and_then(|number| u64::try_from(number).ok()),
        }
    }

    /// A time: milliseconds since 1970 as number or text, RFC 3339, or `yyyy-MM-dd HH:mm:ss` in UTC.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        if let Some(millis) = self.integer() {
            return Utc.timestamp_millis_opt(millis).single();
        }
        match self {
            Self::Text(text) => text_time(text.trim()),
            _ => None,
        }
    }
}

fn text_time(text: &str) -> Option<Timestamp> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.with_timezone(&Utc));
    }
    let plain = text.strip_suffix(" +0000").unwrap_or(text);
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(plain, form).ok())
        .map(|time| time.and_utc())
}

// Only numbers that a double holds exactly, so that an id is never rounded to another one.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the number is whole and below 2^53"
)]
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.is_finite() && number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64)
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;

        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
                Ok(Scalar::Other)
            }

            fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar::Integer(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
                Ok(i64::try_from(number).map_or(Scalar::Large(number), Scalar::Integer))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
                Ok(Scalar::Float(number))
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Scalar, E> {
                Ok(Scalar::Text(text))
            }

            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar::Absent)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Scalar, A::Error> {
                skip_items(items).map(|()| Scalar::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Scalar, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }

        deserializer.deserialize_any(ScalarVisitor)
    }
}

fn skip_items<'de, A: SeqAccess<'de>>(mut items: A) -> Result<(), A::Error> {
    while items.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

/// An object, or nothing where Zoom wrote something else.
pub(crate) struct Object<T>(pub(crate) Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Option<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
                skip_items(items).map(|()| None)
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Some)
            }
        }

        deserializer.deserialize_any(ObjectVisitor(PhantomData)).map(Self)
    }
}

/// A list of objects; empty where Zoom wrote something else, without the items that are no objects.
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Vec::new())
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Vec::new())
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Vec::new())
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Vec::new())
            }

            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Vec::new())
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Vec::new())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Vec::new())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element::<Object<T>>()? {
                    list.extend(item.0);
                }
                Ok(list)
            }
        }

        deserializer.deserialize_any(ListVisitor(PhantomData)).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scalar(json: &str) -> Scalar {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_time_is_understood_in_every_form_that_zoom_uses() {
        let expected = Utc.with_ymd_and_hms(2024, 9, 8, 15, 58, 40).unwrap();
        for json in [
            "1725811120000",
            "1725811120000.0",
            "\"1725811120000\"",
            "\"2024-09-08 15:58:40\"",
            "\"2024-09-08 15:58:40 +0000\"",
            "\"2024-09-08T15:58:40Z\"",
            "\"2024-09-08T17:58:40+02:00\"",
            "\"2024-09-08T15:58:40\"",
        ] {
            assert_eq!(scalar(json).time(), Some(expected), "{json}");
        }
        for json in [
            "null",
            "\"\"",
            "\"soon\"",
            "{}",
            "[1]",
            "true",
            "1e300",
            "9223372036854775807",
        ] {
            assert_eq!(scalar(json).time(), None, "{json}");
        }
    }

    #[test]
    fn an_id_is_exact_or_refused() {
        assert_eq!(scalar("\"abc\"").id("f"), Ok(Some("abc".to_owned())));
        assert_eq!(scalar("81234567890").id("f"), Ok(Some("81234567890".to_owned())));
        assert_eq!(
            scalar("18446744073709551615").id("f"),
            Ok(Some("18446744073709551615".to_owned()))
        );
        assert_eq!(scalar("null").id("f"), Ok(None));
        assert_eq!(scalar("\"\"").id("f"), Ok(None));
        for json in ["1.5", "true", "{}", "[\"a\"]", "\"a\\u0000b\"", "\"a\\nb\""] {
            assert_eq!(scalar(json).id("f"), Err(Malformed("f")), "{json}");
        }
        let long = format!("\"{}\"", "x".repeat(MAX_ID_BYTES + 1));
        assert_eq!(scalar(&long).id("f"), Err(Malformed("f")));
    }

    #[test]
    fn sizes_are_numbers_quoted_or_not() {
        assert_eq!(scalar("30097008").unsigned(), Some(30_097_008));
        assert_eq!(scalar("\"30097008\"").unsigned(), Some(30_097_008));
        assert_eq!(scalar("18446744073709551615").unsigned(), Some(u64::MAX));
        assert_eq!(scalar("-1").unsigned(), None);
        assert_eq!(scalar("1.5").unsigned(), None);
    }

    proptest! {
        #[test]
        fn any_json_is_a_scalar_an_object_and_a_list(json in r#"(null|true|-?[0-9]{1,30}|"[a-z]{0,4}"|\[(1,"x",\{\})?\]|\{("a":\[\])?\})"#) {
            let json = json.replace("[(1", "[1");
            if serde_json::from_str::<IgnoredAny>(&json).is_ok() {
                prop_assert!(serde_json::from_str::<Scalar>(&json).is_ok());
                prop_assert!(serde_json::from_str::<Object<IgnoredAny>>(&json).is_ok());
                prop_assert!(serde_json::from_str::<List<IgnoredAny>>(&json).is_ok());
            }
        }
    }
}
