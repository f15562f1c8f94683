//! Walks a message and its type side by side.
//!
//! The fields of a message are first found, then put in the order of the type's,
//! then taken one after the other. Those of all messages on the way down are in
//! one vector, so that a message costs no memory of its own but its map.

use std::borrow::Cow;
use std::ops::Range;

use super::place::{Place, Step};
use super::{Fault, FaultKind};
use crate::codec::protobuf::{self as wire, Fields, WireFault, WireFaultKind};
use crate::kube::field_set::Wanted;
use crate::kube::field_table::{Field, Flags, Form, MessageType};
use crate::kube::notes::Notes;
use crate::kube::text;
use crate::kube::value::{MAX_DEPTH, Map, Value};

/// Values that even an empty message may stand for. The largest of the table, a
/// list's, has a few dozen.
const SPARE_VALUES: usize = 4096;

/// Fields and entries for which there is room from the start.
const ROOM: usize = 64;

/// A field on the wire, with its position in its message's type.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) position: u16,
    pub(super) field: wire::Field<'a>,
}

/// Fields on the wire that are one field of a type: the whole of a list, or the
/// only one of a number. A range of `Decoder::found`.
pub(super) type Occurrences = Range<usize>;

/// A fault on its way up. In a box, which leaves results the size of values.
pub(super) type Stop = Box<FaultKind>;

#[cold]
pub(super) fn stop(fault: WireFault) -> Stop {
    Box::new(FaultKind::Wire(fault))
}

pub(super) struct Decoder<'a, 'n> {
    null_creation_timestamps: bool,
    /// The fields of the messages from the root to the one that is being
    /// decoded, those of each message in the order of its type's.
    pub(super) found: Vec<Found<'a>>,
    /// The entries of these messages as far as they are decoded.
    entries: Vec<(Cow<'a, str>, Value<'a>)>,
    place: Place<'a>,
    pub(super) depth: usize,
    /// Values that may still be made.
    budget: usize,
    pub(super) notes: &'n mut Notes,
}

impl<'a, 'n> Decoder<'a, 'n> {
    /// To decode `message`.
    pub(super) fn new(message: &'a [u8], null_creation_timestamps: bool, notes: &'n mut Notes) -> Self {
        let root = wire::Field { number: 0, value: wire::Value::Bytes(message), offset: 0 };
        let mut found = Vec::with_capacity(ROOM);
        found.push(Found { position: 0, field: root });
        Self {
            null_creation_timestamps,
            found,
            entries: Vec::with_capacity(ROOM),
            place: Place::default(),
            depth: 0,
            budget: message.len().saturating_mul(2).saturating_add(SPARE_VALUES),
            notes,
        }
    }

    /// The message as an object of its type.
    pub(super) fn root(&mut self, object: MessageType, wanted: Wanted<'_>) -> Result<Value<'a>, Fault> {
        let decoded = self.message(object, 0..1, wanted);
        decoded.map_err(|kind| Fault { place: self.place.to_string(), kind: *kind })
    }

    /// The message whose parts are `parts`; empty if there are none.
    pub(super) fn message(
        &mut self,
        of: MessageType,
        parts: Occurrences,
        wanted: Wanted<'_>,
    ) -> Result<Value<'a>, Stop> {
        self.nested(|decoder| {
            let start = decoder.entries.len();
            decoder.fields(of, parts, wanted)?;
            Ok(decoder.map_from(start))
        })
    }

    /// Adds the fields of a message to `entries`.
    fn fields(&mut self, of: MessageType, parts: Occurrences, wanted: Wanted<'_>) -> Result<(), Stop> {
        let base = self.found.len();
        let (mut last, mut in_order) = (0, true);
        for part in parts {
            for field in Fields::new(self.bytes(part)?) {
                let field = field.map_err(stop)?;
                let Some(position) = of.position(field.number).and_then(|at| u16::try_from(at).ok()) else {
                    self.unknown(field.number);
                    continue;
                };
                in_order &= last <= position;
                last = position;
                self.found.push(Found { position, field });
            }
        }
        if !in_order && let Some(all) = self.found.get_mut(base..) {
            // Stable, so that the last of a number remains the last.
            all.sort_by_key(|found| found.position);
        }
        let (mut next, mut at) = (base, 0);
        while let Some(Found { position, .. }) = self.found.get(next) {
            let (position, start) = (*position, next);
            while self.found.get(next).is_some_and(|found| found.position == position) {
                next = next.saturating_add(1);
            }
            let position = usize::from(position);
            self.absent(of, at..position, wanted)?;
            for field in of.fields_in(position..position.saturating_add(1)) {
                self.field(&field, start..next, wanted)?;
            }
            at = position.saturating_add(1);
        }
        self.absent(of, at..usize::MAX, wanted)?;
        self.found.truncate(base);
        Ok(())
    }

    /// Adds what fields at these positions are when absent. Most fields are, and
    /// of most it shows in nothing.
    #[inline]
    fn absent(&mut self, of: MessageType, positions: Range<usize>, wanted: Wanted<'_>) -> Result<(), Stop> {
        for field in of.fields_in(positions) {
            if !left_out_when_absent(&field) {
                self.field(&field, 0..0, wanted)?;
            }
        }
        Ok(())
    }

    /// Adds one field of a message to `entries`.
    fn field(&mut self, field: &Field, found: Occurrences, wanted: Wanted<'_>) -> Result<(), Stop> {
        let flags = field.flags();
        let Some(form) = field.form() else {
            if !found.is_empty() {
                self.unknown(field.number());
            }
            return Ok(());
        };
        if flags.inline() {
            let Some(inner) = field.message_type() else { return Ok(()) };
            return self.inline(inner, found, wanted);
        }
        let name = field.name();
        let wanted = match wanted {
            Wanted::Part(set) => set.wanted(name),
            whole => whole,
        };
        if wanted == Wanted::Nothing {
            return Ok(());
        }
        if found.is_empty() && nil_when_absent(form, flags) {
            if !(flags.omit_empty() || flags.omit_zero() || flags.only_if_present()) {
                self.add(name, Value::Null)?;
            }
            return Ok(());
        }
        self.place.enter(Step::Field(name));
        let value = if flags.map() {
            self.map(field, form, found, wanted)?
        } else if flags.repeated() {
            self.list(field, form, found, wanted)?
        } else {
            if found.len() > 1 {
                self.notes.repeated_fields = self.notes.repeated_fields.saturating_add(1);
            }
            self.value(field, form, found, wanted)?
        };
        self.place.leave();
        if !self.is_omitted(form, flags, &value) {
            self.add(name, value)?;
        }
        Ok(())
    }

    #[inline]
    fn add(&mut self, name: &'static str, value: Value<'a>) -> Result<(), Stop> {
        self.spend()?;
        self.entries.push((Cow::Borrowed(name), value));
        Ok(())
    }

    /// An inline structure has a level of its own in the message but none in the
    /// tree; a table could nest it in itself.
    fn inline(&mut self, of: MessageType, found: Occurrences, wanted: Wanted<'_>) -> Result<(), Stop> {
        self.spend()?;
        self.nested(|decoder| decoder.fields(of, found, wanted))
    }

    /// Whether `omitempty` or `omitzero` leaves out a field that is there.
    fn is_omitted(&self, form: Form, flags: Flags, value: &Value<'_>) -> bool {
        if flags.pointer() || flags.map() || !(flags.omit_empty() || flags.omit_zero()) {
            return false;
        }
        match (form, value) {
            (_, Value::List(items)) => items.is_empty(),
            (Form::Str | Form::Bytes, Value::Str(text)) => text.is_empty(),
            (Form::Bool, Value::Bool(yes)) => !yes,
            (Form::Int | Form::Float, Value::Int(number)) => *number == 0,
            (Form::StrMap, Value::Map(map)) => map.is_empty(),
            // A time is a structure, of which `omitempty` says nothing.
            (Form::Time | Form::MicroTime, Value::Null) => {
                flags.omit_zero() && !self.null_creation_timestamps
            }
            _ => false,
        }
    }

    /// A list of the occurrences.
    pub(super) fn list(
        &mut self,
        field: &Field,
        form: Form,
        found: Occurrences,
        wanted: Wanted<'_>,
    ) -> Result<Value<'a>, Stop> {
        self.nested(|decoder| {
            let mut items = Vec::with_capacity(found.len());
            decoder.place.enter(Step::Item(0));
            for occurrence in found {
                decoder.place.at_item(items.len());
                match (form, decoder.found.get(occurrence).map(|found| found.field.value)) {
                    (Form::Int, Some(wire::Value::Bytes(packed))) => decoder.packed(packed, &mut items)?,
                    _ => {
                        let one = occurrence..occurrence.saturating_add(1);
                        decoder.spend()?;
                        items.push(decoder.value(field, form, one, wanted)?);
                    }
                }
            }
            decoder.place.leave();
            Ok(Value::List(items))
        })
    }

    /// Numbers one behind the other in one field, as proto3 has them.
    fn packed(&mut self, mut packed: &'a [u8], items: &mut Vec<Value<'a>>) -> Result<(), Stop> {
        while !packed.is_empty() {
            let number = wire::varint(&mut packed).ok_or(CUT_SHORT)?;
            self.spend()?;
            items.push(Value::Int(number.cast_signed()));
        }
        Ok(())
    }

    /// A map of the occurrences, each of which is a message {1: key, 2: value}.
    pub(super) fn map(
        &mut self,
        field: &Field,
        form: Form,
        found: Occurrences,
        wanted: Wanted<'_>,
    ) -> Result<Value<'a>, Stop> {
        self.nested(|decoder| {
            let start = decoder.entries.len();
            for occurrence in found {
                let base = decoder.found.len();
                let mut key: &[u8] = b"";
                for part in Fields::new(decoder.bytes(occurrence)?) {
                    let part = part.map_err(stop)?;
                    match part.number {
                        1 => key = part.bytes().map_err(stop)?,
                        2 => {
                            // Go begins each value anew.
                            decoder.found.truncate(base);
                            decoder.found.push(Found { position: 0, field: part });
                        }
                        number => decoder.unknown(number),
                    }
                }
                let name = decoder.text(key);
                let wanted = match wanted {
                    Wanted::Part(set) => set.wanted(&name),
                    whole => whole,
                };
                if wanted != Wanted::Nothing {
                    decoder.spend()?;
                    decoder.place.enter(Step::Key(key));
                    let value = decoder.value(field, form, base..decoder.found.len(), wanted)?;
                    decoder.place.leave();
                    decoder.entries.push((name, value));
                }
                decoder.found.truncate(base);
            }
            Ok(decoder.map_from(start))
        })
    }

    /// The value that the occurrences of a field are; zero if there are none.
    fn value(
        &mut self,
        field: &Field,
        form: Form,
        found: Occurrences,
        wanted: Wanted<'_>,
    ) -> Result<Value<'a>, Stop> {
        match form {
            Form::Str => {
                let bytes = self.last_bytes(&found)?;
                Ok(Value::Str(self.text(bytes)))
            }
            Form::Bool => Ok(Value::Bool(self.last_varint(&found)? != 0)),
            Form::Int => Ok(Value::Int(self.last_varint(&found)?.cast_signed())),
            Form::Float => self.float(&found),
            Form::Bytes => Ok(text::base64(self.last_bytes(&found)?).into()),
            Form::Message => match field.message_type() {
                Some(of) => self.message(of, found, wanted),
                None => Ok(Value::Null),
            },
            _ => self.own_form(field, form, found),
        }
    }

    /// One level further down.
    fn nested<T>(&mut self, inside: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        if self.depth >= MAX_DEPTH {
            return Err(FaultKind::TooDeep.into());
        }
        self.depth = self.depth.saturating_add(1);
        let result = inside(self)?;
        self.depth = self.depth.saturating_sub(1);
        Ok(result)
    }

    /// Counts a value against what the message may stand for.
    #[inline]
    fn spend(&mut self) -> Result<(), Stop> {
        self.budget = self.budget.checked_sub(1).ok_or(FaultKind::TooLarge)?;
        Ok(())
    }

    /// The entries from `start` on as a map.
    fn map_from(&mut self, start: usize) -> Value<'a> {
        let start = start.min(self.entries.len());
        // Collected into no more memory than it needs.
        Value::Map(Map::from_entries(self.entries.drain(start..).collect()))
    }

    pub(super) fn bytes(&self, occurrence: usize) -> Result<&'a [u8], Stop> {
        match self.found.get(occurrence) {
            Some(found) => found.field.bytes().map_err(stop),
            None => Ok(b""),
        }
    }

    pub(super) fn last_bytes(&self, found: &Occurrences) -> Result<&'a [u8], Stop> {
        found.clone().try_fold(&b""[..], |_, occurrence| self.bytes(occurrence))
    }

    pub(super) fn last_varint(&self, found: &Occurrences) -> Result<u64, Stop> {
        let all = self.found.get(found.clone()).unwrap_or_default();
        all.iter().try_fold(0, |_, found| found.field.varint()).map_err(stop)
    }

    fn float(&self, found: &Occurrences) -> Result<Value<'a>, Stop> {
        let mut number = 0.0;
        for found in self.found.get(found.clone()).unwrap_or_default() {
            number = found.field.float64().map_err(stop)?;
        }
        Ok(Value::number(number).ok_or(FaultKind::Number(number))?)
    }

    pub(super) fn text(&mut self, bytes: &'a [u8]) -> Cow<'a, str> {
        text::lossy(bytes, self.notes)
    }

    pub(super) fn unknown(&mut self, number: u32) {
        self.notes.unknown_field(|| format!("{}#{number}", self.place));
    }
}

/// Whether a field is nil in Go when it is absent, or goes by the same rules.
fn nil_when_absent(form: Form, flags: Flags) -> bool {
    match form {
        _ if flags.pointer() || flags.repeated() || flags.map() => true,
        Form::Bytes | Form::StrList | Form::MessageList | Form::StrMap => true,
        Form::Time | Form::MicroTime => false,
        // A structure that is left out when zero.
        _ => flags.omit_zero(),
    }
}

const CUT_SHORT: FaultKind = FaultKind::Wire(WireFault { offset: 0, kind: WireFaultKind::Truncated });

/// The forms of which nil, zero and empty are left out by `omitempty` even where
/// they are no pointers.
const PLAIN: [Form; 8] = [
    Form::Str,
    Form::Bool,
    Form::Int,
    Form::Float,
    Form::Bytes,
    Form::StrList,
    Form::MessageList,
    Form::StrMap,
];

/// Whether a field's absence shows in nothing.
#[inline]
fn left_out_when_absent(field: &Field) -> bool {
    let flags = field.flags();
    let nil = flags.pointer() | flags.repeated() | flags.map();
    flags.only_if_present() | (flags.omit_empty() & (nil | field.is_one_of(&PLAIN)))
}
