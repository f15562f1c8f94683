//! Which field of which type has which number, name and form.
//!
//! A stored object has numbers where its JSON has names, and says nothing of
//! fields that are absent. The table has both for every kind whose objects were
//! ever stored as protobuf. It is used as it lies in the program: nothing is parsed
//! or copied, and a row that leads nowhere is one that is not there.
//!
//! Layout, where it comes from and how releases are merged:
//! `docs/format/field-table.md`.

use std::ops::Range;
use std::sync::LazyLock;

const MAGIC: &[u8] = b"ESFT";
const LAYOUT: u16 = 1;

type KindRow = [u8; 8];
type TypeRow = [u8; 12];
type FieldRow = [u8; 12];

/// Kinds with their fields.
#[derive(Debug, Clone, Copy, Default)]
pub struct FieldTable {
    newest_minor: u16,
    kinds: &'static [KindRow],
    types: &'static [TypeRow],
    fields: &'static [FieldRow],
    text: &'static str,
}

/// Why bytes are no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TableFault {
    /// Not the first four bytes of a table.
    #[error("no field table")]
    Magic,
    /// Another layout than this reader's.
    #[error("a field table of layout {0}")]
    Layout(u16),
    /// Shorter or longer than its head says.
    #[error("a field table cut short or with more behind it")]
    Length,
    /// Names that are not UTF-8.
    #[error("a field table with names that are no text")]
    Text,
}

static KUBERNETES: LazyLock<FieldTable> =
    LazyLock::new(|| FieldTable::new(include_bytes!("kubernetes.bin")).unwrap_or_default());
static OPENSHIFT: LazyLock<FieldTable> =
    LazyLock::new(|| FieldTable::new(include_bytes!("openshift.bin")).unwrap_or_default());

impl FieldTable {
    /// The kinds of Kubernetes itself, in every release since 1.14.
    pub fn kubernetes() -> &'static Self {
        &KUBERNETES
    }

    /// The kinds that OpenShift's servers add.
    pub fn openshift() -> &'static Self {
        &OPENSHIFT
    }

    /// Finds the parts of a table. What they hold is checked where it is used: a
    /// row that points outside the table is one that is not there.
    ///
    /// # Errors
    /// If these are not the bytes of one table.
    pub fn new(bytes: &'static [u8]) -> Result<Self, TableFault> {
        let (magic, rest) = bytes.split_at_checked(MAGIC.len()).ok_or(TableFault::Magic)?;
        if magic != MAGIC {
            return Err(TableFault::Magic);
        }
        let (head, mut rest) = rest.split_first_chunk::<20>().ok_or(TableFault::Length)?;
        let [v0, v1, m0, m1, k @ .., t0, t1, t2, t3, f0, f1, f2, f3, s0, s1, s2, s3] = *head;
        if u16::from_le_bytes([v0, v1]) != LAYOUT {
            return Err(TableFault::Layout(u16::from_le_bytes([v0, v1])));
        }
        let kinds = rows(&mut rest, k)?;
        let types = rows(&mut rest, [t0, t1, t2, t3])?;
        let fields = rows(&mut rest, [f0, f1, f2, f3])?;
        let text = rows::<1>(&mut rest, [s0, s1, s2, s3])?;
        if !rest.is_empty() {
            return Err(TableFault::Length);
        }
        let text = std::str::from_utf8(text.as_flattened()).map_err(|_| TableFault::Text)?;
        Ok(Self { newest_minor: u16::from_le_bytes([m0, m1]), kinds, types, fields, text })
    }

    /// The newest minor release of Kubernetes that the table was made from.
    pub fn newest_minor(&self) -> u16 {
        self.newest_minor
    }

    /// The type of a kind: `apps/v1` and `Deployment`.
    pub fn find(&'static self, api_version: &[u8], kind: &[u8]) -> Option<MessageType> {
        let group_end: &[u8] = if api_version.contains(&b'/') { b"" } else { b"/" };
        let name = [group_end, api_version, b"/", kind].concat();
        let row = self.kinds.binary_search_by(|row| self.kind(row).0.as_bytes().cmp(&name)).ok()?;
        self.message_type(self.kind(self.kinds.get(row)?).1)
    }

    /// Every kind, as `group/version/Kind`, with its type.
    pub fn kinds(&'static self) -> impl Iterator<Item = (&'static str, MessageType)> {
        self.kinds.iter().filter_map(|row| {
            let (name, index) = self.kind(row);
            Some((name, self.message_type(index)?))
        })
    }

    fn kind(&self, &[a0, a1, a2, a3, l0, l1, t0, t1]: &KindRow) -> (&'static str, u16) {
        let name = self.name([a0, a1, a2, a3], [l0, l1]);
        (name.unwrap_or_default(), u16::from_le_bytes([t0, t1]))
    }

    fn message_type(&'static self, index: u16) -> Option<MessageType> {
        let [f0, f1, f2, f3, a0, a1, a2, a3, l0, l1, c0, c1] = *self.types.get(usize::from(index))?;
        let first = usize::try_from(u32::from_le_bytes([f0, f1, f2, f3])).ok()?;
        let count = usize::from(u16::from_le_bytes([c0, c1]));
        let rows = self.fields.get(first..)?.get(..count)?;
        Some(MessageType { table: self, rows, name: self.name([a0, a1, a2, a3], [l0, l1])? })
    }

    fn name(&self, at: [u8; 4], length: [u8; 2]) -> Option<&'static str> {
        let at = usize::try_from(u32::from_le_bytes(at)).ok()?;
        self.text.get(at..)?.get(..usize::from(u16::from_le_bytes(length)))
    }
}

/// Takes `count` rows off the front of `rest`.
fn rows<const N: usize>(rest: &mut &'static [u8], count: [u8; 4]) -> Result<&'static [[u8; N]], TableFault> {
    let length = usize::try_from(u32::from_le_bytes(count)).ok().and_then(|count| count.checked_mul(N));
    let (taken, behind) =
        rest.split_at_checked(length.ok_or(TableFault::Length)?).ok_or(TableFault::Length)?;
    *rest = behind;
    Ok(taken.as_chunks().0)
}

/// The message that objects of a kind, or parts of them, are.
#[derive(Clone, Copy)]
pub struct MessageType {
    table: &'static FieldTable,
    rows: &'static [FieldRow],
    name: &'static str,
}

impl std::fmt::Debug for MessageType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MessageType({}, {} fields)", self.name, self.rows.len())
    }
}

impl MessageType {
    /// Its name in Go, for messages.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its fields in order of number.
    #[inline]
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field> + use<> {
        let table = self.table;
        self.rows.iter().map(move |row| Field { table, row })
    }

    /// Those at some positions among [`fields`](Self::fields).
    #[inline]
    pub fn fields_in(&self, positions: Range<usize>) -> impl Iterator<Item = Field> + use<> {
        let table = self.table;
        let end = positions.end.min(self.rows.len());
        let rows = self.rows.get(positions.start..end).unwrap_or_default();
        rows.iter().map(move |row| Field { table, row })
    }

    /// The position among [`fields`](Self::fields) of the one with `number`.
    #[inline]
    pub fn position(&self, number: u32) -> Option<usize> {
        // Most types have no gaps in their numbers.
        let guess = usize::try_from(number).ok()?.checked_sub(1)?;
        if self.rows.get(guess).is_some_and(|row| number_of(row) == number) {
            return Some(guess);
        }
        self.rows.binary_search_by_key(&number, number_of).ok()
    }
}

#[inline]
fn number_of(&[.., n0, n1, _, _]: &FieldRow) -> u32 {
    u32::from(u16::from_le_bytes([n0, n1]))
}

/// A field of a [`MessageType`].
#[derive(Clone, Copy)]
pub struct Field {
    table: &'static FieldTable,
    row: &'static FieldRow,
}

impl Field {
    /// Its name in JSON; empty if it is inline.
    #[inline]
    pub fn name(&self) -> &'static str {
        let [a0, a1, a2, a3, l0, l1, ..] = *self.row;
        self.table.name([a0, a1, a2, a3], [l0, l1]).unwrap_or_default()
    }

    /// Its number in protobuf.
    pub fn number(&self) -> u32 {
        number_of(self.row)
    }

    /// What it holds. `None` if the table knows more than this reader.
    #[inline]
    pub fn form(&self) -> Option<Form> {
        let [.., form, _] = *self.row;
        Form::from_byte(form)
    }

    /// Whether its form is one of `forms`.
    #[inline]
    pub fn is_one_of<const N: usize>(&self, forms: &'static [Form; N]) -> bool {
        let [.., form, _] = *self.row;
        forms.iter().any(|one| *one as u8 == form)
    }

    /// How it is there or not.
    #[inline]
    pub fn flags(&self) -> Flags {
        let [.., flags] = *self.row;
        Flags(flags)
    }

    /// The type of the message it holds, or whose own form it holds.
    #[inline]
    pub fn message_type(&self) -> Option<MessageType> {
        let [.., t0, t1, _, _, _, _] = *self.row;
        self.table.message_type(u16::from_le_bytes([t0, t1]))
    }
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Field({} {:?} {:?} {:?})", self.number(), self.name(), self.form(), self.flags())
    }
}

/// What a field holds, or an element of it if it is a list or a map.
///
/// Beyond the plain ones these are the types that have a JSON form of their own;
/// `kube::protobuf` says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text.
    Str = 0,
    /// `true` or `false`.
    Bool = 1,
    /// A whole number.
    Int = 2,
    /// A number of 64 bits.
    Float = 3,
    /// Bytes, base64 in JSON.
    Bytes = 4,
    /// A message {1: texts} that is a plain list in JSON.
    StrList = 5,
    /// A message.
    Message = 6,
    /// `metav1.Time`.
    Time = 7,
    /// `metav1.MicroTime`.
    MicroTime = 8,
    /// `resource.Quantity`.
    Quantity = 9,
    /// `intstr.IntOrString`.
    IntOrString = 10,
    /// `runtime.RawExtension`.
    RawExtension = 11,
    /// `metav1.FieldsV1`.
    FieldsV1 = 12,
    /// `apiextensions.JSON`.
    Json = 13,
    /// `apiextensions.JSONSchemaPropsOrBool`.
    SchemaOrBool = 14,
    /// `apiextensions.JSONSchemaPropsOrArray`.
    SchemaOrArray = 15,
    /// `apiextensions.JSONSchemaPropsOrStringArray`.
    SchemaOrStrings = 16,
    /// A message {1: map of texts} that is a plain map in JSON.
    StrMap = 17,
    /// A message {1: messages} that is a plain list in JSON.
    MessageList = 18,
    /// `metav1.Fields` of 1.14 and 1.15.
    Fields = 19,
}

impl Form {
    #[inline]
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Str,
            1 => Self::Bool,
            2 => Self::Int,
            3 => Self::Float,
            4 => Self::Bytes,
            5 => Self::StrList,
            6 => Self::Message,
            7 => Self::Time,
            8 => Self::MicroTime,
            9 => Self::Quantity,
            10 => Self::IntOrString,
            11 => Self::RawExtension,
            12 => Self::FieldsV1,
            13 => Self::Json,
            14 => Self::SchemaOrBool,
            15 => Self::SchemaOrArray,
            16 => Self::SchemaOrStrings,
            17 => Self::StrMap,
            18 => Self::MessageList,
            19 => Self::Fields,
            _ => return None,
        })
    }
}

/// How a field is declared in Go, on which depends what JSON has for it when it
/// is absent or zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// A pointer: absent is not the same as zero.
    #[inline]
    pub fn pointer(self) -> bool {
        self.0 & 0x01 != 0
    }

    /// A list.
    #[inline]
    pub fn repeated(self) -> bool {
        self.0 & 0x02 != 0
    }

    /// A map with text as keys.
    #[inline]
    pub fn map(self) -> bool {
        self.0 & 0x04 != 0
    }

    /// Left out of JSON when empty. Without effect on structures.
    #[inline]
    pub fn omit_empty(self) -> bool {
        self.0 & 0x08 != 0
    }

    /// Left out of JSON when zero, structures too.
    #[inline]
    pub fn omit_zero(self) -> bool {
        self.0 & 0x10 != 0
    }

    /// Its fields are those of the message it is in.
    #[inline]
    pub fn inline(self) -> bool {
        self.0 & 0x20 != 0
    }

    /// Only releases before the type's newest have it, so that its absence means
    /// nothing.
    #[inline]
    pub fn only_if_present(self) -> bool {
        self.0 & 0x40 != 0
    }
}

#[cfg(test)]
mod tests;
