//! Where in an object the decoder is, for faults and notes.

use std::fmt;

/// Bytes of a map's key that are shown.
const KEY_SHOWN: usize = 64;

/// One step from a value to one inside it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    /// To a field of a message.
    Field(&'static str),
    /// To an element of a list.
    Item(usize),
    /// To an entry of a map.
    Key(&'a [u8]),
}

/// The steps from the object's root. As they are taken back only when a value is
/// whole, they still lead to the fault after one.
#[derive(Debug, Default)]
pub(super) struct Place<'a> {
    steps: Vec<Step<'a>>,
}

impl<'a> Place<'a> {
    #[inline]
    pub(super) fn enter(&mut self, step: Step<'a>) {
        self.steps.push(step);
    }

    #[inline]
    pub(super) fn leave(&mut self) {
        self.steps.pop();
    }

    /// Moves to another element of the list that was entered last.
    #[inline]
    pub(super) fn at_item(&mut self, index: usize) {
        if let Some(step) = self.steps.last_mut() {
            *step = Step::Item(index);
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            match step {
                Step::Field(name) if index == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Item(item) => write!(f, "[{item}]")?,
                Step::Key(key) => {
                    let (shown, more) = match key.split_at_checked(KEY_SHOWN) {
                        Some((shown, [_, ..])) => (shown, "..."),
                        _ => (*key, ""),
                    };
                    write!(f, "[\"{}{more}\"]", shown.escape_ascii())?;
                }
            }
        }
        Ok(())
    }
}
