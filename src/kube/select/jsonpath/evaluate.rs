//! Asks templates of objects.
//!
//! Source: kubernetes `client-go/util/jsonpath/jsonpath.go`, 1.35, down to what
//! it does where an `{end}` is missing or has nothing to end.

use super::compare::holds;
use super::fault::PathFault;
use super::found::{Found, Kind};
use super::node::{Bound, Filter, Node, Slice};
use crate::kube::value::Value;

/// Ranges in each other.
const MOST_RANGES: usize = 128;

/// Takes the results of one node after the other.
type Sink<'s, 'v> = &'s mut dyn FnMut(&[Found<'v>]);

/// A fault, with what upstream hands on despite it: a filter on existence looks
/// no further than whether that is anything.
struct Refusal {
    fault: PathFault,
    some: bool,
}

impl Refusal {
    fn new(fault: PathFault, some: bool) -> Self {
        Self { fault, some }
    }
}

type Results<'v> = Result<Vec<Found<'v>>, Refusal>;

/// One run of a template.
pub(super) struct Evaluator<'v> {
    nodes: &'v [Node],
    strict: bool,
    most: usize,
    /// How much was found so far.
    found: usize,
    /// `{range}` was met, and its loop is not begun.
    begin: usize,
    /// Loops that are running.
    inside: usize,
    /// `{end}` was met, and its loop is not ended.
    end: usize,
    /// The node that ended a loop last.
    last_end: Option<usize>,
}

impl<'v> Evaluator<'v> {
    pub(super) fn new(nodes: &'v [Node], strict: bool, most: usize) -> Self {
        Self { nodes, strict, most, found: 0, begin: 0, inside: 0, end: 0, last_end: None }
    }

    /// Hands to `sink` what each node finds in `object`.
    pub(super) fn run(mut self, object: &'v Value<'v>, sink: Sink<'_, 'v>) -> Result<(), PathFault> {
        self.from(Found::value(object), 0, sink).map_err(|refusal| refusal.fault)
    }

    fn spend(&mut self, count: usize) -> Result<(), Refusal> {
        self.found = self.found.saturating_add(count);
        if self.found > self.most {
            return Err(Refusal::new(PathFault::TooMany(self.most), false));
        }
        Ok(())
    }

    /// The nodes from `first` on, for an element of a range or the whole object.
    fn from(&mut self, start: Found<'v>, first: usize, sink: Sink<'_, 'v>) -> Result<(), Refusal> {
        // Null cannot be told from nothing any more.
        let start = [if start.is_null() { Found::NOTHING } else { start }];
        let mut at = first;
        while let Some(node) = self.nodes.get(at) {
            let results = self.walk(&start, node)?;
            if self.end > 0 && self.end <= self.inside {
                self.end = self.end.saturating_sub(1);
                self.last_end = Some(at);
                return Ok(());
            }
            let body = at.saturating_add(1);
            at = body;
            if self.begin == 0 {
                sink(&results);
                continue;
            }
            self.begin = self.begin.saturating_sub(1);
            self.inside = self.inside.saturating_add(1);
            if self.inside > MOST_RANGES {
                return Err(Refusal::new(PathFault::TooNested, false));
            }
            if results.contains(&Found::NOTHING) {
                return Err(Refusal::new(PathFault::EmptyRange, false));
            }
            for result in &results {
                self.from(*result, body, sink)?;
            }
            if results.is_empty() {
                // Only to find its end.
                self.from(Found::NOTHING, body, &mut |_| {})?;
            }
            self.inside = self.inside.saturating_sub(1);
            if let Some(end) = self.last_end.filter(|end| *end >= body) {
                at = end.saturating_add(1);
            }
        }
        Ok(())
    }

    fn list(&mut self, input: &[Found<'v>], nodes: &'v [Node]) -> Results<'v> {
        let mut results = input.to_vec();
        for node in nodes {
            results = self.walk(&results, node)?;
        }
        Ok(results)
    }

    fn walk(&mut self, input: &[Found<'v>], node: &'v Node) -> Results<'v> {
        self.spend(1)?;
        let results = match node {
            Node::List(nodes) => self.list(input, nodes)?,
            Node::Text(_) => vec![Found::literal(node)],
            Node::Int(_) | Node::Float(_) | Node::Bool(_) => vec![Found::literal(node); input.len()],
            Node::Field(name) => self.field(input, name)?,
            Node::Array(slice) => Self::elements(input, slice)?,
            Node::Filter(filter) => self.filter(input, filter)?,
            Node::Wildcard => self.children(input)?,
            Node::Recursive => {
                let mut results = Vec::new();
                for found in input {
                    self.below(*found, &mut results)?;
                }
                return Ok(results);
            }
            Node::Union(parts) => {
                let mut results = Vec::new();
                for part in parts {
                    let part = self.list(input, part);
                    results.extend(part.map_err(|refusal| Refusal::new(refusal.fault, !input.is_empty()))?);
                    self.spend(results.len())?;
                }
                results
            }
            Node::Range => {
                self.begin = self.begin.saturating_add(1);
                input.to_vec()
            }
            Node::End if self.inside == 0 => return Err(Refusal::new(PathFault::NothingToEnd, false)),
            Node::End => {
                self.end = self.end.saturating_add(1);
                Vec::new()
            }
            Node::Word(word) => return Err(Refusal::new(PathFault::Word(word.clone()), !input.is_empty())),
        };
        self.spend(results.len())?;
        Ok(results)
    }

    fn field(&self, input: &[Found<'v>], name: &str) -> Results<'v> {
        let field = |found: &Found<'v>| found.as_value()?.get(name).map(Found::value);
        let results: Vec<_> = input.iter().filter_map(field).collect();
        if self.strict && results.is_empty() && !input.is_empty() {
            return Err(Refusal::new(PathFault::Missing(name.to_owned()), false));
        }
        Ok(results)
    }

    fn elements(input: &[Found<'v>], slice: &Slice) -> Results<'v> {
        let mut results = Vec::new();
        for found in input.iter().filter(|found| !found.is_null()) {
            if found.kind == Kind::Nothing {
                return Err(Refusal::new(PathFault::EmptyRange, true));
            }
            let list = found.as_list().ok_or_else(|| PathFault::NotAList(found.name()));
            let elements = list.and_then(|list| select(list, slice));
            match elements.map_err(|fault| Refusal::new(fault, true))? {
                // Upstream leaves it at what it has so far.
                None => return Ok(results),
                Some((elements, step)) => results.extend(elements.iter().step_by(step).map(Found::value)),
            }
        }
        Ok(results)
    }

    fn children(&mut self, input: &[Found<'v>]) -> Results<'v> {
        let mut results = Vec::new();
        for found in input {
            match found.as_value() {
                Some(Value::Map(map)) => {
                    results.extend(map.entries().iter().map(|(_, value)| Found::value(value)));
                }
                Some(Value::List(items)) => results.extend(items.iter().map(Found::value)),
                _ => {
                    let bytes = found.as_text().unwrap_or_default();
                    self.spend(bytes.len())?;
                    results.extend(bytes.iter().map(|byte| Found { kind: Kind::Byte(*byte) }));
                }
            }
        }
        Ok(results)
    }

    /// Everything below that has something in it, parents before children. Depth
    /// is bounded by [`MAX_DEPTH`](crate::kube::value::MAX_DEPTH).
    fn below(&mut self, found: Found<'v>, results: &mut Vec<Found<'v>>) -> Result<(), Refusal> {
        self.spend(1)?;
        match found.as_value() {
            Some(Value::Map(map)) if !map.is_empty() => {
                results.push(found);
                for (_, value) in map.entries() {
                    self.below(Found::value(value), results)?;
                }
            }
            Some(Value::List(items)) if !items.is_empty() => {
                results.push(found);
                for item in items {
                    self.below(Found::value(item), results)?;
                }
            }
            _ if found.as_text().is_some_and(|text| !text.is_empty()) => results.push(found),
            _ => {}
        }
        Ok(())
    }

    fn filter(&mut self, input: &[Found<'v>], filter: &'v Filter) -> Results<'v> {
        let mut results = Vec::new();
        for found in input {
            let list = found.as_list();
            let list = list.ok_or_else(|| Refusal::new(PathFault::NotFilterable(found.name()), true))?;
            for item in list {
                let item = Found::value(item);
                let left = self.list(&[item], &filter.left);
                let Some(comparison) = &filter.comparison else {
                    let exists = match left {
                        Ok(left) => !left.is_empty(),
                        Err(Refusal { fault: fault @ PathFault::TooMany(_), some }) => {
                            return Err(Refusal::new(fault, some));
                        }
                        Err(refusal) => refusal.some,
                    };
                    results.extend(exists.then_some(item));
                    continue;
                };
                let one = |side: Vec<Found<'v>>| match side.as_slice() {
                    [] => Ok(None),
                    [one] => Ok(Some(*one)),
                    _ => Err(Refusal::new(PathFault::Several, true)),
                };
                let handed_on = |refusal: Refusal| Refusal::new(refusal.fault, true);
                let Some(left) = one(left.map_err(handed_on)?)? else { continue };
                let right = self.list(&[item], &comparison.right).map_err(handed_on)?;
                let Some(right) = one(right)? else { continue };
                let fits = holds(left, &comparison.operator, right);
                if fits.map_err(|fault| Refusal::new(fault, !results.is_empty()))? {
                    results.push(item);
                }
            }
        }
        Ok(results)
    }
}

/// The elements that a slice means, and the step between them; `None` where it
/// ends where it starts. Sums wrap around as upstream's do.
fn select<'v>(list: &'v [Value<'v>], slice: &Slice) -> Result<Option<(&'v [Value<'v>], usize)>, PathFault> {
    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let from_end = |place: i64| if place < 0 { place.wrapping_add(length) } else { place };
    let start = from_end(slice.start.unwrap_or(0));
    let end = match slice.end {
        Bound::Open => length,
        Bound::Before(end) => from_end(end),
        // One behind the last is at the end, and not before the first.
        Bound::Next(0) => length,
        Bound::Next(end) => from_end(end),
    };
    if start == end {
        return Ok(None);
    }
    let out_of_bounds = |index| PathFault::OutOfBounds { index, length: list.len() };
    if !(0..length).contains(&start) {
        return Err(out_of_bounds(start));
    }
    if !(0..=length).contains(&end) {
        return Err(out_of_bounds(end.wrapping_sub(1)));
    }
    let place = |place: i64| usize::try_from(place).unwrap_or(usize::MAX);
    let elements = list.get(place(start)..place(end));
    let elements = elements.ok_or(PathFault::Backwards { start, end })?;
    match slice.step {
        Some(..=0) => Err(PathFault::Step),
        step => Ok(Some((elements, step.map_or(1, place)))),
    }
}
