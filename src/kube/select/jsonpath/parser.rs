//! Reads templates.
//!
//! The grammar is upstream's, with its oddities, as templates are written by
//! trying: a `]` ends a bracket wherever it stands, `['a.b']` is `.a.b`, `[]` is
//! `[0]`, a quote is escaped if the byte before it is a backslash.
//! Source: kubernetes `client-go/util/jsonpath/parser.go`, 1.35.

use super::fault::PathFault;
use super::node::{Bound, Comparison, Filter, Node, Slice};
use super::unquote::unquote;

/// Brackets and filters are templates of their own. Upstream's grammar hardly
/// lets them stand in each other, but nothing there counts.
const MOST_NESTED: usize = 16;

/// The nodes of a whole template.
pub(super) fn parse(template: &str) -> Result<Vec<Node>, PathFault> {
    Parser { input: template, at: 0, nested: 0 }.template()
}

struct Parser<'t> {
    input: &'t str,
    at: usize,
    nested: usize,
}

fn is_terminator(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}')
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        self.input.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Goes behind the next `length` bytes, which it gives.
    fn take(&mut self, length: usize) -> &'t str {
        let taken = self.rest().get(..length).unwrap_or_default();
        self.at = self.at.saturating_add(taken.len());
        taken
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at = self.at.saturating_add(next.len_utf8());
        Some(next)
    }

    /// Goes behind `mark` if it stands here.
    fn skip(&mut self, mark: &str) -> bool {
        let stands = self.rest().starts_with(mark);
        if stands {
            self.take(mark.len());
        }
        stands
    }

    fn since(&self, start: usize) -> &'t str {
        self.input.get(start..self.at).unwrap_or_default()
    }

    /// Whether the byte before the one just read is a backslash.
    fn was_escaped(&self) -> bool {
        let before = self.at.checked_sub(2).and_then(|at| self.input.as_bytes().get(at));
        before == Some(&b'\\')
    }

    /// The nodes of text that stands in this one as if between braces of its own.
    fn nested(&self, text: &str) -> Result<Vec<Node>, PathFault> {
        let nested = self.nested.saturating_add(1);
        if nested > MOST_NESTED {
            return Err(PathFault::TooNested);
        }
        let inner = format!("{text}}}");
        Parser { input: &inner, at: 0, nested }.action_then_template()
    }

    /// As `nested`; what follows a closing brace inside is only checked.
    fn action_then_template(mut self) -> Result<Vec<Node>, PathFault> {
        let nodes = self.action()?;
        self.template()?;
        Ok(nodes)
    }

    fn template(&mut self) -> Result<Vec<Node>, PathFault> {
        let mut nodes = Vec::new();
        loop {
            let text = self.rest().split('{').next().unwrap_or_default();
            if !text.is_empty() {
                nodes.push(Node::Text(text.as_bytes().to_vec()));
                self.take(text.len());
            }
            if !self.skip("{") {
                return Ok(nodes);
            }
            nodes.push(Node::List(self.action()?));
        }
    }

    /// What stands between braces, up to behind the closing one.
    fn action(&mut self) -> Result<Vec<Node>, PathFault> {
        let mut nodes = Vec::new();
        loop {
            if self.skip("}") {
                return Ok(nodes);
            }
            if self.skip("[?(") {
                nodes.push(self.filter()?);
                continue;
            }
            if self.skip("..") {
                if nodes.last() == Some(&Node::Recursive) {
                    return Err(PathFault::DoubleRecursion);
                }
                nodes.push(Node::Recursive);
                if self.peek().is_some_and(|next| next == '_' || next.is_alphanumeric()) {
                    nodes.push(self.field());
                }
                continue;
            }
            let start = self.at;
            match self.next() {
                None | Some('\r' | '\n') => return Err(PathFault::UnclosedAction),
                Some(' ' | '@' | '$') => {}
                Some('[') => self.brackets(&mut nodes)?,
                Some(quote @ ('"' | '\'')) => nodes.push(self.quoted(start, quote)?),
                Some('.') => nodes.push(self.field()),
                Some(sign) if sign.is_ascii_digit() || matches!(sign, '+' | '-') => {
                    nodes.push(self.number(start)?);
                }
                Some(letter) if letter == '_' || letter.is_alphanumeric() => nodes.push(self.word(start)),
                Some(other) => return Err(PathFault::Character(other)),
            }
        }
    }

    fn word(&mut self, start: usize) -> Node {
        while self.peek().is_some_and(|next| !is_terminator(next)) {
            self.next();
        }
        match self.since(start) {
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            "range" => Node::Range,
            "end" => Node::End,
            other => Node::Word(other.to_owned()),
        }
    }

    fn number(&mut self, start: usize) -> Result<Node, PathFault> {
        while self.peek().is_some_and(|next| next == '.' || next.is_ascii_digit()) {
            self.next();
        }
        let text = self.since(start);
        if let Ok(whole) = text.parse() {
            return Ok(Node::Int(whole));
        }
        let float = text.parse().ok().filter(|number: &f64| number.is_finite());
        float.map(Node::Float).ok_or_else(|| PathFault::Number(text.to_owned()))
    }

    /// A name, behind its dot. A backslash takes a terminator into it.
    fn field(&mut self) -> Node {
        let start = self.at;
        while let Some(next) = self.peek().filter(|next| !is_terminator(*next)) {
            self.next();
            if next == '\\' {
                self.next();
            }
        }
        match self.since(start) {
            "*" => Node::Wildcard,
            name => Node::Field(name.replace('\\', "")),
        }
    }

    fn quoted(&mut self, start: usize, quote: char) -> Result<Node, PathFault> {
        loop {
            match self.next() {
                None | Some('\n') => return Err(PathFault::UnterminatedQuote),
                Some(end) if end == quote && !self.was_escaped() => break,
                Some(_) => {}
            }
        }
        let text = self.since(start);
        unquote(text).map(Node::Text).ok_or_else(|| PathFault::Quote(text.to_owned()))
    }

    /// `[…]` without a filter, behind its opening bracket.
    fn brackets(&mut self, nodes: &mut Vec<Node>) -> Result<(), PathFault> {
        let start = self.at;
        loop {
            match self.next() {
                None | Some('\n') => return Err(PathFault::UnterminatedArray),
                Some(']') => break,
                Some(_) => {}
            }
        }
        let text = self.since(start).strip_suffix(']').unwrap_or_default();
        if text.contains(',') {
            let parts = text.split(',').map(|part| self.nested(&format!("[{}]", part.trim_matches(' '))));
            nodes.push(Node::Union(parts.collect::<Result<_, _>>()?));
            return Ok(());
        }
        let quoted = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
        match quoted.filter(|key| !key.contains('\'')) {
            Some(key) => nodes.extend(self.nested(&format!(".{key}"))?),
            None => nodes.push(Node::Array(slice(text)?)),
        }
        Ok(())
    }

    /// `[?(…)]`, behind its opening parenthesis.
    fn filter(&mut self) -> Result<Node, PathFault> {
        let start = self.at;
        let mut pair = None;
        let mut closed = false;
        loop {
            match self.next() {
                None | Some('\n') => return Err(PathFault::UnterminatedFilter),
                Some(quote @ ('"' | '\'')) => match pair {
                    None => pair = Some(quote),
                    Some(pair) => closed |= quote == pair && !self.was_escaped(),
                },
                // Only what stands in quotes may have parentheses.
                Some(')') if pair.is_some() == closed => break,
                Some(_) => {}
            }
        }
        let text = self.since(start).strip_suffix(')').unwrap_or_default();
        if !self.skip("]") {
            return Err(PathFault::UnclosedArray);
        }
        let Some((left, operator, right)) = comparison(text) else {
            return Ok(Node::Filter(Filter { left: self.nested(text)?, comparison: None }));
        };
        let left = self.nested(left)?;
        let comparison = Comparison { operator: operator.to_owned(), right: self.nested(right)? };
        Ok(Node::Filter(Filter { left, comparison: Some(comparison) }))
    }
}

/// Left, operator and right. The operator is the first run of its characters;
/// where nothing follows it, its last character is what is compared with.
fn comparison(text: &str) -> Option<(&str, &str, &str)> {
    let is_operator = |byte: u8| matches!(byte, b'!' | b'<' | b'>' | b'=');
    let (left, rest) = text.split_at_checked(text.bytes().position(is_operator)?)?;
    let run = rest.bytes().take_while(|byte| is_operator(*byte)).count();
    let length = if run == rest.len() { run.checked_sub(1)? } else { run };
    let (operator, right) = rest.split_at_checked(length)?;
    (!left.is_empty() && !operator.is_empty()).then_some((left, operator, right))
}

/// `start:end:step`, each of which may be missing.
fn slice(text: &str) -> Result<Slice, PathFault> {
    let text = if text == "*" { ":" } else { text };
    let fault = || PathFault::Index(text.to_owned());
    let is_number = |part: &str| {
        let digits = part.strip_prefix('-').unwrap_or(part);
        digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let number = |part: &str| match part {
        "" => Ok(None),
        part => part.parse::<i64>().map(Some).map_err(|_| fault()),
    };
    let mut parts = text.split(':');
    let mut next = || parts.next().map(|part| if is_number(part) { number(part) } else { Err(fault()) });
    let (start, end, step) = (next().transpose()?.flatten(), next().transpose()?, next().transpose()?);
    if parts.next().is_some() {
        return Err(fault());
    }
    let end = match end {
        Some(Some(end)) => Bound::Before(end),
        Some(None) => Bound::Open,
        None => Bound::Next(start.unwrap_or(0).wrapping_add(1)),
    };
    Ok(Slice { start, end, step: step.flatten() })
}
