//! What can be wrong with a template.

/// Why a template cannot be read, or has no answer for an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathFault {
    /// `{` without its `}`, or a line that ends between them.
    #[error("unclosed action")]
    UnclosedAction,
    /// `[` without its `]`.
    #[error("unterminated array")]
    UnterminatedArray,
    /// `[?(` without its `)`.
    #[error("unterminated filter")]
    UnterminatedFilter,
    /// `[?(…)` without its `]`.
    #[error("unclosed array expect ]")]
    UnclosedArray,
    /// A quote without its other.
    #[error("unterminated quoted string")]
    UnterminatedQuote,
    /// Something in quotes that is no escape.
    #[error("unquote string {0}: invalid syntax")]
    Quote(String),
    /// `..` after `..`.
    #[error("invalid multiple recursive descent")]
    DoubleRecursion,
    /// A character that begins nothing.
    #[error("unrecognized character in action: {0:?}")]
    Character(char),
    /// Digits that are no number.
    #[error("cannot parse number {0}")]
    Number(String),
    /// Neither a number, nor a range, nor a key in single quotes.
    #[error("invalid array index {0}")]
    Index(String),
    /// Brackets in brackets in brackets.
    #[error("filters or unions too deep in each other")]
    TooNested,
    /// Not `name.name`, with or without a dot before it and braces around it.
    #[error(
        "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{{name1.name2}}' or '{{.name1.name2}}'"
    )]
    NotRelaxed,
    /// A bare word other than `range`, `end`, `true` and `false`.
    #[error("unrecognized identifier {0}")]
    Word(String),
    /// `{end}` outside of a range.
    #[error("not in range, nothing to end")]
    NothingToEnd,
    /// No object has the field, where that is not allowed.
    #[error("{0} is not found")]
    Missing(String),
    /// Brackets on something that is no list.
    #[error("{0} is not array or slice")]
    NotAList(&'static str),
    /// A filter on something that is no list.
    #[error("{0} is not array or slice and cannot be filtered")]
    NotFilterable(&'static str),
    /// An element that the list does not have.
    #[error("array index out of bounds: index {index}, length {length}")]
    OutOfBounds {
        /// The element asked for.
        index: i64,
        /// How many there are.
        length: usize,
    },
    /// A range that ends before it starts.
    #[error("starting index {start} is greater than ending index {end}")]
    Backwards {
        /// Its first element.
        start: i64,
        /// The one behind its last.
        end: i64,
    },
    /// A step of zero or less.
    #[error("step must be > 0")]
    Step,
    /// A side of a comparison that has several values.
    #[error("can only compare one element at a time")]
    Several,
    /// Not `==`, `!=`, `<`, `<=`, `>` or `>=`.
    #[error("unrecognized filter operator {0}")]
    Operator(String),
    /// Lists, maps and null cannot be compared, booleans have no order.
    #[error("invalid type for comparison")]
    Incomparable,
    /// Text with a number, or a whole number with a fraction.
    #[error("incompatible types for comparison")]
    Incompatible,
    /// Something is done with the element of a range that has none.
    #[error("the range is empty, and what it holds asks for its element")]
    EmptyRange,
    /// The template multiplies what it finds.
    #[error("more than {0} results")]
    TooMany(usize),
}
