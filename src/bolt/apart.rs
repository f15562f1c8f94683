//! Elements of a page whose data overlaps: which of them are believed.

/// Which elements of a page are kept where their data overlaps: none of them share a
/// byte, and one whose sizes are wrong costs only itself. `spans`, in the order of the
/// table, are where the data of each begins and ends, `first` is where data begins.
///
/// bbolt writes data in the order of the elements and without gaps. So what begins where
/// the one before ends, or ends where the next begins, begins where it says; of two such
/// the one that reaches into the other has a wrong size. All others come after them, as
/// far as there is room left.
pub(super) fn apart(spans: &[(usize, usize)], first: usize) -> Vec<bool> {
    let span = |index: usize| spans.get(index).copied().unwrap_or_default();
    let before = std::iter::once(first).chain(spans.iter().map(|(_, end)| *end));
    let behind = spans.iter().skip(1).map(|(start, _)| Some(*start)).chain([None]);
    // Behind the last there is slack, which says nothing of its end.
    let is_linked = |((start, end), before, behind): ((usize, usize), usize, Option<usize>)| {
        start == before || behind.is_none_or(|behind| end == behind)
    };
    let links = spans.iter().zip(before).zip(behind);
    let links: Vec<bool> = links.map(|((span, before), behind)| is_linked((*span, before, behind))).collect();
    let of = |linked: bool| {
        let indices = links.iter().enumerate().filter(move |(_, is)| **is == linked);
        indices.map(|(index, _)| index).collect::<Vec<_>>()
    };
    let mut taken: Vec<(usize, usize, usize)> = Vec::new();
    let mut linked = of(true);
    linked.sort_unstable_by_key(|index| (std::cmp::Reverse(span(*index).0), span(*index).1));
    for index in linked {
        let (start, end) = span(index);
        if taken.last().is_none_or(|(next, ..)| end <= *next) {
            taken.push((start, end, index));
        }
    }
    taken.reverse();
    let mut loose = of(false);
    loose.sort_unstable_by_key(|index| (span(*index).1, span(*index).0));
    let mut furthest = 0;
    let mut more = Vec::new();
    for index in loose {
        let (start, end) = span(index);
        let behind = taken.partition_point(|(begin, ..)| *begin < end);
        let before = behind.checked_sub(1).and_then(|at| taken.get(at));
        if start >= furthest && before.is_none_or(|(_, before, _)| *before <= start) {
            furthest = end;
            more.push(index);
        }
    }
    let mut kept = vec![false; spans.len()];
    for index in taken.into_iter().map(|(.., index)| index).chain(more) {
        if let Some(kept) = kept.get_mut(index) {
            *kept = true;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data of ten bytes each, behind a table of 100.
    fn spans() -> Vec<(usize, usize)> {
        (10..16).map(|at| (at * 10, at * 10 + 10)).collect()
    }

    #[track_caller]
    fn dropped(spans: &[(usize, usize)]) -> Vec<usize> {
        let kept = apart(spans, 100);
        let mut taken: Vec<_> =
            spans.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(span, _)| *span).collect();
        taken.sort_unstable();
        assert!(taken.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{taken:?}");
        kept.iter().enumerate().filter(|(_, kept)| !**kept).map(|(index, _)| index).collect()
    }

    #[test]
    fn an_element_whose_sizes_are_wrong_costs_only_itself() {
        assert_eq!(dropped(&spans()), [0usize; 0]);
        for bad in 0..5 {
            for more in [1, 9, 10, 11, 25, 1000] {
                let mut spans = spans();
                spans[bad].1 += more;
                assert_eq!(dropped(&spans), [bad], "{more} more");
            }
        }
    }

    #[test]
    fn an_element_whose_position_is_wrong_costs_only_itself() {
        for bad in 0..6usize {
            for other in (0..6).filter(|other| *other != bad && other + 1 != bad) {
                let mut spans = spans();
                let start = spans[other].0 + 3;
                spans[bad] = (start, start + 10);
                assert_eq!(dropped(&spans), [bad], "in {other}");
            }
        }
    }

    #[test]
    fn of_elements_that_all_have_the_same_bytes_one_is_kept() {
        assert_eq!(dropped(&[(100, 200); 5]), [1, 2, 3, 4]);
        assert_eq!(dropped(&[(120, 200); 5]).len(), 4);
    }
}
