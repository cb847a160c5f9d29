//! Takes an object apart member by member, with the path of each fault.

use serde_json::Value;

use super::Members;
use super::fault::{ContentFault, Fault};

/// An object that is being read.
pub(super) struct Reader<'f> {
    path: String,
    members: Members,
    faults: &'f mut Vec<ContentFault>,
}

impl<'f> Reader<'f> {
    /// Nothing if the value is no object, which is a fault.
    pub(super) fn of(path: &str, value: &Value, faults: &'f mut Vec<ContentFault>) -> Option<Self> {
        match value {
            Value::Object(members) => Some(Self {
                path: path.to_owned(),
                members: members.clone(),
                faults,
            }),
            _ => {
                faults.push(ContentFault {
                    field: path.to_owned(),
                    fault: Fault::NotA("an object"),
                });
                None
            }
        }
    }

    pub(super) fn path_of(&self, name: &str) -> String {
        if name.is_empty() {
            self.path.clone()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    pub(super) fn faults(&mut self) -> &mut Vec<ContentFault> {
        self.faults
    }

    pub(super) fn fault(&mut self, name: &str, fault: Fault) {
        let field = self.path_of(name);
        self.faults.push(ContentFault { field, fault });
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// A member that may be missing; null is as good as that.
    pub(super) fn optional(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// A text that has to be there and to say something.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match self.optional(name) {
            Some(Value::String(text)) if text.trim().is_empty() => {
                self.fault(name, Fault::Empty);
                None
            }
            Some(Value::String(text)) => Some(text),
            Some(_) => {
                self.fault(name, Fault::NotA("a text"));
                None
            }
            None => {
                self.fault(name, Fault::Missing);
                None
            }
        }
    }

    /// A text that has to be there but may say nothing, as the value of a field that is yet to be filled in.
    pub(super) fn value_text(&mut self, name: &str) -> Option<String> {
        match self.optional(name) {
            Some(Value::String(text)) => Some(text),
            Some(_) => {
                self.fault(name, Fault::NotA("a text"));
                None
            }
            None => {
                self.fault(name, Fault::Missing);
                None
            }
        }
    }

    /// A text that may be missing.
    pub(super) fn optional_text(&mut self, name: &str) -> Option<String> {
        match self.optional(name)? {
            Value::String(text) => Some(text),
            _ => {
                self.fault(name, Fault::NotA("a text"));
                None
            }
        }
    }

    /// A boolean that may be missing.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.optional(name)? {
            Value::Bool(flag) => Some(flag),
            _ => {
                self.fault(name, Fault::NotA("true or false"));
                None
            }
        }
    }

    /// A list that may be missing.
    pub(super) fn list(&mut self, name: &str, most: usize) -> Option<Vec<Value>> {
        match self.optional(name)? {
            Value::Array(items) => {
                if items.len() > most {
                    self.fault(name, Fault::TooMany { items: most });
                }
                Some(items)
            }
            _ => {
                self.fault(name, Fault::NotA("a list"));
                None
            }
        }
    }

    /// A list that has to be there and to hold something, read item by item.
    pub(super) fn items<T>(
        &mut self,
        name: &str,
        most: usize,
        read: impl Fn(&mut Reader<'_>) -> Option<T>,
    ) -> Vec<T> {
        let missing = !self.has(name);
        let Some(items) = self.list(name, most) else {
            if missing {
                self.fault(name, Fault::Missing);
            }
            return Vec::new();
        };
        if items.is_empty() {
            self.fault(name, Fault::Empty);
        }
        let path = self.path_of(name);
        items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| {
                let mut reader = Reader::of(&format!("{path}[{index}]"), item, self.faults)?;
                read(&mut reader)
            })
            .collect()
    }

    /// Gives back what was only looked at.
    pub(super) fn put_back(&mut self, name: &str, value: Value) {
        self.members.insert(name.to_owned(), value);
    }

    /// What was not taken.
    pub(super) fn rest(&mut self) -> Members {
        std::mem::take(&mut self.members)
    }
}
