//! What the server keeps: values by keys, some of them for a while.
//! It must never know a clock, nor what was sent.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// A sequence of bytes of anybody's.
type Text = Vec<u8>;

/// What a key stands for.
#[derive(Debug)]
pub(crate) enum Value {
    Text(Text),
    Hash(HashMap<Text, Text>),
    List(VecDeque<Text>),
}

/// A key stands for a value of another kind.
#[derive(Debug)]
pub(crate) struct WrongKind;

/// Keys and values. All times are milliseconds of one clock, which the caller reads.
#[derive(Debug, Default)]
pub(crate) struct Store {
    kept: HashMap<Text, Kept>,
    /// What ends, the first first.
    ends: BTreeSet<(u64, Text)>,
}

#[derive(Debug)]
struct Kept {
    value: Value,
    ends_ms: Option<u64>,
}

impl Store {
    /// Forgets what has ended by now. Everything else is told as if time stood still since.
    pub(crate) fn pass(&mut self, now_ms: u64) {
        while self.ends.first().is_some_and(|(ends_ms, _)| *ends_ms <= now_ms) {
            let ended = self.ends.pop_first();
            self.kept.remove(&ended.expect("there is a first").1);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Text> {
        self.kept.keys()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn has(&self, key: &[u8]) -> bool {
        self.kept.contains_key(key)
    }

    /// Sets a text, for good or until `ends_ms`, whatever was there before.
    pub(crate) fn set(&mut self, key: &[u8], text: &[u8], ends_ms: Option<u64>) {
        self.remove(key);
        if let Some(ends_ms) = ends_ms {
            self.ends.insert((ends_ms, key.to_vec()));
        }
        self.kept.insert(key.to_vec(), Kept { value: Value::Text(text.to_vec()), ends_ms });
    }

    /// Whether there was something.
    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        let Some(kept) = self.kept.remove(key) else { return false };
        if let Some(ends_ms) = kept.ends_ms {
            self.ends.remove(&(ends_ms, key.to_vec()));
        }
        true
    }

    /// Has a key end then; false when there is none.
    pub(crate) fn end_at(&mut self, key: &[u8], ends_ms: u64) -> bool {
        let Some(kept) = self.kept.get_mut(key) else { return false };
        if let Some(before_ms) = kept.ends_ms.replace(ends_ms) {
            self.ends.remove(&(before_ms, key.to_vec()));
        }
        self.ends.insert((ends_ms, key.to_vec()));
        true
    }

    /// When a key ends, if ever; none when there is none.
    pub(crate) fn end_of(&self, key: &[u8]) -> Option<Option<u64>> {
        self.kept.get(key).map(|kept| kept.ends_ms)
    }

    pub(crate) fn text(&self, key: &[u8]) -> Result<Option<&Text>, WrongKind> {
        match self.kept.get(key).map(|kept| &kept.value) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(WrongKind),
        }
    }

    pub(crate) fn hash(&self, key: &[u8]) -> Result<Option<&HashMap<Text, Text>>, WrongKind> {
        match self.kept.get(key).map(|kept| &kept.value) {
            None => Ok(None),
            Some(Value::Hash(hash)) => Ok(Some(hash)),
            Some(_) => Err(WrongKind),
        }
    }

    pub(crate) fn list(&self, key: &[u8]) -> Result<Option<&VecDeque<Text>>, WrongKind> {
        match self.kept.get(key).map(|kept| &kept.value) {
            None => Ok(None),
            Some(Value::List(list)) => Ok(Some(list)),
            Some(_) => Err(WrongKind),
        }
    }

    /// A text to be changed; an empty one is made where there is none.
    pub(crate) fn text_mut(&mut self, key: &[u8]) -> Result<&mut Text, WrongKind> {
        match self.value_mut(key, || Value::Text(Text::new())) {
            Value::Text(text) => Ok(text),
            _ => Err(WrongKind),
        }
    }

    pub(crate) fn hash_mut(&mut self, key: &[u8]) -> Result<&mut HashMap<Text, Text>, WrongKind> {
        match self.value_mut(key, || Value::Hash(HashMap::new())) {
            Value::Hash(hash) => Ok(hash),
            _ => Err(WrongKind),
        }
    }

    pub(crate) fn list_mut(&mut self, key: &[u8]) -> Result<&mut VecDeque<Text>, WrongKind> {
        match self.value_mut(key, || Value::List(VecDeque::new())) {
            Value::List(list) => Ok(list),
            _ => Err(WrongKind),
        }
    }

    fn value_mut(&mut self, key: &[u8], make: impl FnOnce() -> Value) -> &mut Value {
        match self.kept.entry(key.to_vec()) {
            Entry::Occupied(kept) => &mut kept.into_mut().value,
            Entry::Vacant(place) => &mut place.insert(Kept { value: make(), ends_ms: None }).value,
        }
    }
}
