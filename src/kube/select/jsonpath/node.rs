//! What a template consists of.

/// Something to find or to print.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// What stands between braces: each node goes on from the results of the one before.
    List(Vec<Node>),
    /// Text outside of braces, or quoted inside. Escapes can make bytes that are no UTF-8.
    Text(Vec<u8>),
    /// `.name`.
    Field(String),
    /// `[start:end:step]`.
    Array(Slice),
    /// `[?(left operator right)]`.
    Filter(Filter),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// `.*`.
    Wildcard,
    /// `..`.
    Recursive,
    /// `[a,b]`.
    Union(Vec<Vec<Node>>),
    /// `{range …}`.
    Range,
    /// `{end}`.
    End,
    /// A bare word that means nothing, which is found out only where it is reached.
    Word(String),
}

/// Elements of a list. Negative numbers count from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) start: Option<i64>,
    pub(super) end: Bound,
    pub(super) step: Option<i64>,
}

/// Where a slice ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// Before this element.
    Before(i64),
    /// Before this element, which is the one behind the start: `[2]`.
    Next(i64),
    /// At the end of the list.
    Open,
}

/// A condition on the elements of a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    pub(super) left: Vec<Node>,
    pub(super) comparison: Option<Comparison>,
}

/// The rest of a condition; without it something has only to be there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Comparison {
    pub(super) operator: String,
    pub(super) right: Vec<Node>,
}
