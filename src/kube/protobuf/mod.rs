//! An object's protobuf message as the tree that its JSON would be.
//!
//! API servers print Go structures; what an object's JSON holds follows from how
//! each field is declared, and not from what was stored. [`FieldTable`] knows the
//! declarations. By the kind of field:
//!
//! | declared as | absent from the message | there |
//! |---|---|---|
//! | text, number, boolean with `omitempty` | left out | left out if zero |
//! | the same without | zero | as it is |
//! | pointer with `omitempty` | left out | as it is, zero or not |
//! | pointer without | `null` | as it is |
//! | structure | as if there and empty | as it is |
//! | list, map with `omitempty` | left out | as it is |
//! | the same without | `null` | as it is |
//!
//! - An inline structure's fields are those of the structure it is in.
//! - Types with a JSON form of their own are in `own_form`.
//! - Of a number or text that is there several times the last counts; parts of a
//!   structure are put together, as protobuf has it. No server writes either.
//! - A field of another wire type than its declaration's is an error, as in Go.
//!   A field of unknown number is counted in the [`Notes`].
//!
//! Time and memory grow linearly with the message, whatever it is: each byte is
//! looked at once for each level it is nested in, at most [`MAX_DEPTH`] times,
//! and values made of absent fields are counted against the message's length.
//!
//! Source: the generated `Unmarshal` of kubernetes `staging/src/k8s.io/api`,
//! Go `encoding/json`.
//!
//! [`FieldTable`]: super::field_table::FieldTable

mod decoder;
mod own_form;
mod place;
#[cfg(test)]
mod tests;

use super::field_set::{FieldSet, Wanted};
use super::field_table::MessageType;
use super::notes::Notes;
use super::value::{MAX_DEPTH, Value};
use crate::codec::protobuf::WireFault;
use decoder::Decoder;

/// How objects are decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The fields that are decoded. What is wrong or unknown in others is not
    /// noticed.
    pub fields: FieldSet,
    /// Whether an unset `creationTimestamp`, as in the template of a Deployment,
    /// is `null` and not left out. Servers before 1.34 print it so.
    pub null_creation_timestamps: bool,
}

/// Everything but `metadata.managedFields`, as kubectl shows objects.
impl Default for Options {
    fn default() -> Self {
        Self { fields: FieldSet::all().without("metadata.managedFields"), null_creation_timestamps: false }
    }
}

/// Why a message is not an object of its type.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}{kind}", if place.is_empty() { String::new() } else { format!("{place}: ") })]
pub struct Fault {
    /// The field that is wrong, from the object's root: `spec.containers[0].image`.
    pub place: String,
    /// What is wrong with it.
    pub kind: FaultKind,
}

/// The kinds of [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// It is no protobuf message, or another field than its type says.
    #[error("{0}")]
    Wire(WireFault),
    /// Lists and maps inside each other.
    #[error("nested in more than {MAX_DEPTH} levels")]
    TooDeep,
    /// A message that stands for many times its own length.
    #[error("many more values than bytes")]
    TooLarge,
    /// Seconds since 1970, of a year that has no four digits.
    #[error("a time {0} seconds from 1970")]
    Time(i64),
    /// A number that JSON does not have.
    #[error("the number {0}")]
    Number(f64),
    /// An `IntOrString` that is neither.
    #[error("neither a number nor a text, but of type {0}")]
    IntOrString(u64),
}

/// Decodes `message`, an object of type `object`.
///
/// # Errors
/// The first place where the message is not what its type says.
pub fn decode<'a>(
    object: MessageType,
    message: &'a [u8],
    options: &Options,
    notes: &mut Notes,
) -> Result<Value<'a>, Fault> {
    let mut decoder = Decoder::new(message, options.null_creation_timestamps, notes);
    let wanted = if options.fields.is_all() { Wanted::All } else { Wanted::Part(&options.fields) };
    decoder.root(object, wanted)
}
