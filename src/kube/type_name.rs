//! What a user types for a resource type, and what was probably meant.

/// `name`, `name.group` or `name.version.group`.
///
/// Only the caller knows which groups there are, so the readings are kept side
/// by side: `a.v1.b` is the group `v1.b`, or version `v1` of the group `b`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeName<'t> {
    /// Before the first dot: plural, singular, kind or short name.
    pub name: &'t str,
    /// All behind the first dot, if it is not empty.
    pub group: Option<&'t str>,
    /// The same read as a version and, behind a dot, a group.
    pub versioned: Option<(&'t str, &'t str)>,
}

/// How well a group fits what was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupFit {
    /// What was typed is a beginning of the group.
    Beginning,
    /// The group was typed in full, or none.
    Exact,
}

impl<'t> TypeName<'t> {
    /// Takes `typed` apart. Anything can be taken apart.
    pub fn parse(typed: &'t str) -> Self {
        let (name, rest) = typed.split_once('.').unwrap_or((typed, ""));
        let (version, group) = rest.split_once('.').unwrap_or((rest, ""));
        Self {
            name,
            group: Some(rest).filter(|rest| !rest.is_empty()),
            versioned: is_version(version).then_some((version, group)),
        }
    }

    /// Whether this is the name given, `name` being one of a type's names. Case
    /// does not matter, as to kubectl.
    pub fn is_name(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Whether a type of `group` can be meant.
    pub fn fit(&self, group: &str) -> Option<GroupFit> {
        let Some(typed) = self.group else { return Some(GroupFit::Exact) };
        let fit = |typed: &str| {
            let start = group.get(..typed.len())?;
            let exact = start.len() == group.len();
            start.eq_ignore_ascii_case(typed).then_some(if exact {
                GroupFit::Exact
            } else {
                GroupFit::Beginning
            })
        };
        let versioned = self.versioned.and_then(|(_, typed)| fit(typed));
        fit(typed).max(versioned)
    }
}

/// `v1`, `v2beta1`, `v1alpha3`.
fn is_version(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(number) = text.strip_prefix(['v', 'V']) else { return false };
    match number.split_once("alpha").or_else(|| number.split_once("beta")) {
        Some((major, minor)) => digits(major) && digits(minor),
        None => digits(number),
    }
}

/// Names longer than this are never compared: no type is called that.
const LONGEST: usize = 64;
const MOST_SUGGESTIONS: usize = 3;

/// Those of `names` that `typed` is nearest to, best first, at most three; none
/// if nothing is near. Case does not count as a difference.
pub fn nearest<'n>(typed: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
    // A third of a word wrong is another word; short words would match anything.
    let tolerated = match typed.len() {
        0..3 => 0,
        3..6 => 1,
        6..10 => 2,
        _ => 3,
    };
    let mut near: Vec<(usize, &str)> = Vec::new();
    for name in names {
        // The distance is at least the difference in length.
        if tolerated == 0 || name.len().abs_diff(typed.len()) > tolerated {
            continue;
        }
        if let Some(distance) = distance(typed, name).filter(|distance| *distance <= tolerated) {
            near.push((distance, name));
        }
    }
    near.sort_unstable();
    near.dedup();
    near.into_iter().map(|(_, name)| name).take(MOST_SUGGESTIONS).collect()
}

/// How many bytes must be inserted, removed, replaced or exchanged with their
/// neighbour to get from one to the other (optimal string alignment); `None`
/// for names too long to be compared.
fn distance(from: &str, to: &str) -> Option<usize> {
    if from.len() > LONGEST || to.len() > LONGEST {
        return None;
    }
    let (from, to) = (from.to_ascii_lowercase().into_bytes(), to.to_ascii_lowercase().into_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    let mut last = None;
    for (row, byte) in (1usize..).zip(&from) {
        let mut here = vec![row];
        let mut left = row;
        let mut last_other = None;
        for (column, other) in to.iter().enumerate() {
            let diagonal = *above.get(column)?;
            let up = *above.get(column.saturating_add(1))?;
            let mut best = diagonal.saturating_add(usize::from(byte != other));
            best = best.min(up.saturating_add(1)).min(left.saturating_add(1));
            if last == Some(other) && last_other == Some(byte) {
                best = best.min(before.get(column.checked_sub(1)?)?.saturating_add(1));
            }
            here.push(best);
            left = best;
            last_other = Some(other);
        }
        last = Some(byte);
        before = std::mem::replace(&mut above, here);
    }
    above.last().copied()
}

#[cfg(test)]
mod tests {
    use super::super::resources::RESOURCES;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_readings_are_kept() {
        let typed = TypeName::parse("deployment.v1.apps");
        assert_eq!((typed.name, typed.group), ("deployment", Some("v1.apps")));
        assert_eq!(typed.versioned, Some(("v1", "apps")));
        assert_eq!(typed.fit("apps"), Some(GroupFit::Exact));
        assert_eq!(typed.fit("v1.apps.example.com"), Some(GroupFit::Beginning));
        assert_eq!(typed.fit("batch"), None);
        assert_eq!(TypeName::parse("pods").fit("any"), Some(GroupFit::Exact));
        assert_eq!(TypeName::parse("pods.v1").fit(""), Some(GroupFit::Exact));
        assert_eq!(TypeName::parse("a.rbac").fit("rbac.authorization.k8s.io"), Some(GroupFit::Beginning));
        assert_eq!(TypeName::parse("a.rbac").fit(""), None);
        assert_eq!(TypeName::parse("a.vx.b").versioned, None);
        assert_eq!(TypeName::parse("a.v2beta1.b").versioned, Some(("v2beta1", "b")));
        assert_eq!(TypeName::parse("a.v2beta.b").versioned, None);
    }

    #[test]
    fn typing_errors_are_understood() {
        let suggest = |typed| nearest(typed, RESOURCES.iter().flat_map(|resource| resource.names()));
        assert_eq!(suggest("deplyoments").first(), Some(&"deployments"));
        assert_eq!(suggest("Scerets").first(), Some(&"secrets"));
        assert_eq!(suggest("configmap s").first(), Some(&"configmaps"));
        assert_eq!(suggest("netpo"), ["netpol"]);
        assert_eq!(suggest("xq"), [""; 0]);
        assert_eq!(suggest("somethingelse"), [""; 0]);
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), Some(3));
        assert_eq!(distance("abc", ""), Some(3));
        assert_eq!(distance("kitten", "sitting"), Some(3));
        assert_eq!(distance("ab", "BA"), Some(1));
        assert_eq!(distance("ca", "abc"), Some(3));
        assert_eq!(distance("pods", "pods"), Some(0));
        assert_eq!(distance(&"a".repeat(65), "a"), None);
    }

    proptest! {
        #[test]
        fn distance_is_symmetric(a in "[abc]{0,8}", b in "[abc]{0,8}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert!(distance(&a, &b).is_some_and(|d| d <= a.len().max(b.len())));
        }

        #[test]
        fn anything_can_be_typed(typed in ".*", group in ".*") {
            let _ = TypeName::parse(&typed).fit(&group);
            let _ = nearest(&typed, [group.as_str()]);
        }
    }
}
