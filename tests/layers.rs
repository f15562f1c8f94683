//! Arrows between the modules point down, and the library keeps to itself: read
//! from the source files, because the compiler allows any direction.

use std::fs;
use std::path::{Path, PathBuf};

/// What each layer may use. `cli` is another crate and sees the public library.
const ALLOWED: [(&str, &[&str]); 6] = [
    ("source", &["source"]),
    ("codec", &["codec"]),
    ("bolt", &["bolt", "codec"]),
    ("etcd", &["etcd", "bolt", "codec", "source"]),
    ("kube", &["kube", "etcd", "bolt", "codec"]),
    ("ops", &["ops", "kube", "etcd", "bolt", "codec", "source"]),
];

/// Words that no library file may contain.
const FORBIDDEN: [&str; 9] = [
    "println!(",
    "eprintln!(",
    "print!(",
    "eprint!(",
    "std::env",
    "process::exit",
    "process::abort",
    "stdout()",
    "stderr()",
];

fn sources() -> Vec<(String, String)> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    assert!(paths.len() > 50, "the sources are found");
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).expect("below src").display().to_string();
        (name, code(&fs::read_to_string(&path).expect("a readable source")))
    };
    paths.into_iter().map(read).collect()
}

/// The text without comments and without what is in quotes.
fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        match (at(i), at(i + 1)) {
            ('/', '/') => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            ('/', '*') => {
                let mut depth = 1;
                i += 2;
                while i < chars.len() && depth > 0 {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 1),
                        ('*', '/') => (depth, i) = (depth - 1, i + 1),
                        _ => {}
                    }
                    i += 1;
                }
            }
            ('r', '"' | '#') if !out.ends_with(is_word) || out.ends_with('b') => {
                let hashes = chars.iter().skip(i + 1).take_while(|c| **c == '#').count();
                if at(i + 1 + hashes) != '"' {
                    out.push('r');
                    i += 1;
                    continue;
                }
                i += hashes + 2;
                let closes = |i: usize| at(i) == '"' && (1..=hashes).all(|n| at(i + n) == '#');
                while i < chars.len() && !closes(i) {
                    i += 1;
                }
                i += hashes + 1;
                out.push_str("\"\"");
            }
            ('"', _) => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
                out.push_str("\"\"");
            }
            // A character, not a lifetime.
            ('\'', '\\') => {
                i += 3;
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            ('\'', _) if at(i + 2) == '\'' => i += 3,
            (character, _) => {
                out.push(character);
                i += 1;
            }
        }
    }
    out
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The module that a file is: `bolt/mod.rs` is `bolt`, `bolt/walk.rs` `bolt::walk`.
fn module(name: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = name.trim_end_matches(".rs").split('/').collect();
    if matches!(parts.last(), Some(&("mod" | "lib" | "main"))) {
        parts.pop();
    }
    parts
}

/// The first names behind a path: one, or those in braces.
fn heads(rest: &str) -> Vec<&str> {
    let word = |text: &str| text.find(|c| !is_word(c)).unwrap_or(text.len());
    let Some(group) = rest.strip_prefix('{') else { return vec![&rest[..word(rest)]] };
    let (mut depth, mut found, mut start) = (0, Vec::new(), 0);
    for (index, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(&group[start..index]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&group[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    let trimmed = found.into_iter().map(str::trim).filter(|item| !item.is_empty());
    trimmed.map(|item| &item[..word(item)]).collect()
}

/// Where `name` with the code `text` points to, of the top-level modules.
fn arrows(name: &str, text: &str) -> Vec<String> {
    let own = module(name);
    // Whether `prefix` is the start of a path, and not the end of another.
    let starts = |at: usize| !text[..at].ends_with(|c| is_word(c) || c == ':');
    let mut found = Vec::new();
    for (at, prefix) in text.match_indices("crate::") {
        if starts(at) {
            found.extend(heads(&text[at + prefix.len()..]).into_iter().map(str::to_owned));
        }
    }
    for (at, _) in text.match_indices("super::") {
        if !starts(at) {
            continue;
        }
        let mut rest = &text[at..];
        let mut up = 0;
        while let Some(next) = rest.strip_prefix("super::") {
            (rest, up) = (next, up + 1);
        }
        // Inside `mod tests` the first step leads to the file itself.
        let depth = own.len() + usize::from(text[..at].contains("mod tests {"));
        assert!(up <= depth, "{name}: more `super` than modules");
        if up == depth {
            found.extend(heads(rest).into_iter().map(str::to_owned));
        }
    }
    found
}

fn upward(name: &str, text: &str) -> Vec<String> {
    let layer = *module(name).first().unwrap_or(&"");
    let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == layer) else {
        return vec![format!("{name}: `{layer}` is no layer that this test knows")];
    };
    let bad = arrows(name, text).into_iter().filter(|to| !allowed.contains(&to.as_str()));
    bad.map(|to| format!("{name}: {layer} may not use {to}")).collect()
}

fn in_library(name: &str) -> bool {
    !name.starts_with("cli/") && name != "main.rs"
}

#[test]
fn no_layer_uses_one_above_it() {
    let mut bad = Vec::new();
    for (name, text) in sources() {
        if in_library(&name) && name != "lib.rs" {
            bad.extend(upward(&name, &text));
        }
    }
    assert_eq!(bad, Vec::<String>::new());
}

#[test]
fn the_command_line_reaches_the_library_only_through_its_public_face() {
    for (name, text) in sources() {
        if in_library(&name) {
            assert!(!text.contains("etcdsnap::"), "{name}: the library does not name itself");
            continue;
        }
        for to in arrows(&name, &text) {
            assert!(["cli", ""].contains(&to.as_str()), "{name}: uses crate::{to}");
        }
        for way in ["#[path", "include!("] {
            assert!(!text.contains(way), "{name}: {way} could pull in a file of the library");
        }
    }
}

#[test]
fn the_library_neither_prints_nor_reads_the_environment_nor_exits() {
    for (name, text) in sources() {
        if !in_library(&name) {
            continue;
        }
        for word in FORBIDDEN {
            let found = text.match_indices(word).any(|(at, _)| !text[..at].ends_with(is_word));
            assert!(!found, "{name}: {word}");
        }
    }
}

#[test]
fn only_the_map_of_the_input_file_is_unsafe() {
    let is_unsafe = |text: &str| {
        let whole = |(at, word): (usize, &str)| {
            !text[..at].ends_with(is_word) && !text[at + word.len()..].starts_with(is_word)
        };
        text.match_indices("unsafe").any(whole)
    };
    let files = sources();
    let found: Vec<_> = files.iter().filter(|(_, text)| is_unsafe(text)).map(|(name, _)| name).collect();
    assert_eq!(found, ["source.rs"]);
}

#[test]
fn the_reader_of_sources_sees_what_it_is_to_see() {
    let seen = |name: &str, text: &str| upward(name, &code(text));
    assert_eq!(seen("bolt/page.rs", "use crate::etcd::schema;").len(), 1);
    assert_eq!(seen("bolt/page.rs", "use crate::{codec::fixed, kube};").len(), 1);
    assert_eq!(seen("bolt/page.rs", "use super::super::ops::{self};").len(), 1);
    assert_eq!(seen("bolt/page.rs", "mod tests {\n use super::super::super::source::Source;\n}").len(), 1);
    assert_eq!(seen("bolt/mod.rs", "fn f(s: &super::source::Source) {}").len(), 1);
    assert_eq!(seen("ops/verify/tree.rs", "use super::super::super::cli::x;").len(), 1);
    assert_eq!(seen("new/mod.rs", "").len(), 1);
    let fine = "// use crate::etcd\n/* /* crate::ops */ */ use super::image; use crate::codec; \
                const A: &str = \"crate::kube \\\" crate::ops\"; const B: &str = r#\"\"crate::etcd\"#; \
                fn f<'a>(c: &'a char) -> bool { *c == '\"' || *c == '\\'' }";
    assert_eq!(seen("bolt/page.rs", fine), Vec::<String>::new());
}
