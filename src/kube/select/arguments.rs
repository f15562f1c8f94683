//! The arguments of `kubectl get`: `TYPE[,TYPE…] [NAME…]` or `TYPE/NAME…`.
//!
//! Source: kubernetes `cli-runtime/pkg/resource/builder.go`, 1.35.

/// What is asked for, in the words of whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// All objects of these types; a category stands for several.
    All(Vec<String>),
    /// The objects of one type that have these names.
    Named(String, Vec<String>),
    /// Types with a name each, in their order.
    Pairs(Vec<(String, String)>),
}

/// Why arguments ask for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentFault {
    /// There are none.
    #[error("you must specify the type of resource to get")]
    NoType,
    /// `pods web shop/web`.
    #[error(
        "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form"
    )]
    Mixed,
    /// `a/b/c`.
    #[error("arguments in resource/name form may not have more than one slash")]
    Slashes,
    /// `pods/`, `/web`, `pods,services/web`.
    #[error("arguments in resource/name form must have a single resource and name")]
    NotOne,
    /// `pods ""`.
    #[error("resource name may not be empty")]
    EmptyName,
    /// `pods web -l app=web`.
    #[error("name cannot be provided when a selector is specified")]
    NameAndSelector,
    /// `pods/web -l app=web`.
    #[error("selectors and the all flag cannot be used when passing resource/name arguments")]
    PairAndSelector,
    /// `pods web -A`.
    #[error("a resource cannot be retrieved by name across all namespaces")]
    NameEverywhere,
}

/// The parts between the commas, each once.
fn split_types(argument: &str) -> Vec<&str> {
    let mut types: Vec<&str> = Vec::new();
    for part in argument.split(',') {
        if !types.contains(&part) {
            types.push(part);
        }
    }
    types
}

fn pair(resource: &str, name: &str) -> Result<(String, String), ArgumentFault> {
    if resource.contains('/') || name.contains('/') {
        return Err(ArgumentFault::Slashes);
    }
    if resource.is_empty() || name.is_empty() || split_types(resource).len() != 1 {
        return Err(ArgumentFault::NotOne);
    }
    Ok((resource.to_owned(), name.to_owned()))
}

impl Request {
    /// Reads the arguments behind `get`.
    pub fn parse<T: AsRef<str>>(arguments: &[T]) -> Result<Self, ArgumentFault> {
        let (first, names) = arguments.split_first().ok_or(ArgumentFault::NoType)?;
        let first = first.as_ref();
        let names: Vec<&str> = names.iter().map(T::as_ref).collect();
        let types = split_types(first);
        if types.len() > 1 && !names.is_empty() {
            // Several types and names: each type with each name.
            let pairs = types.iter().flat_map(|resource| names.iter().map(|name| pair(resource, name)));
            return pairs.collect::<Result<_, _>>().map(Self::Pairs);
        }
        let slashes = arguments.iter().filter(|argument| argument.as_ref().contains('/')).count();
        if slashes == 0 {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            if names.contains(&"") {
                return Err(ArgumentFault::EmptyName);
            }
            let only = types.first().copied().unwrap_or_default();
            return Ok(if names.is_empty() {
                Self::All(owned(&types))
            } else {
                Self::Named(only.to_owned(), owned(&names))
            });
        }
        if slashes < arguments.len() {
            return Err(ArgumentFault::Mixed);
        }
        let pairs = arguments.iter().map(|argument| {
            let (resource, name) = argument.as_ref().split_once('/').unwrap_or_default();
            pair(resource, name)
        });
        pairs.collect::<Result<_, _>>().map(Self::Pairs)
    }

    /// The types, as they were typed.
    pub fn types(&self) -> Vec<&str> {
        match self {
            Self::All(types) => types.iter().map(String::as_str).collect(),
            Self::Named(only, _) => vec![only.as_str()],
            Self::Pairs(pairs) => pairs.iter().map(|(resource, _)| resource.as_str()).collect(),
        }
    }

    /// Refuses what else cannot be asked together with names: a selector (`-l`,
    /// `--field-selector`), and all namespaces.
    pub fn check(&self, selector: bool, all_namespaces: bool) -> Result<(), ArgumentFault> {
        match self {
            Self::All(_) => Ok(()),
            Self::Named(..) if selector => Err(ArgumentFault::NameAndSelector),
            Self::Pairs(_) if selector => Err(ArgumentFault::PairAndSelector),
            _ if all_namespaces => Err(ArgumentFault::NameEverywhere),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_exclude_selectors_and_all_namespaces() {
        let request = |arguments: &[&str]| Request::parse(arguments).expect("a request");
        assert_eq!(request(&["pods"]).check(true, true), Ok(()));
        assert_eq!(request(&["pods", "a"]).check(false, false), Ok(()));
        assert_eq!(request(&["pods", "a"]).check(true, false), Err(ArgumentFault::NameAndSelector));
        assert_eq!(request(&["pods/a"]).check(true, false), Err(ArgumentFault::PairAndSelector));
        assert_eq!(request(&["pods/a"]).check(false, true), Err(ArgumentFault::NameEverywhere));
        assert_eq!(Request::parse::<&str>(&[]), Err(ArgumentFault::NoType));
    }
}
