//! The documents say what the program does: every code of a finding is
//! explained, and the README's commands are the ones that are run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A source file without its tests.
fn code(path: impl AsRef<Path>) -> String {
    let text = read(path);
    text.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// String literals without escapes, each with what stands before it in its line.
fn literals(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for line in source.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let mut rest = line;
        let mut before = String::new();
        while let Some((head, tail)) = rest.split_once('"') {
            before.push_str(head);
            let Some((literal, tail)) = tail.split_once('"') else { break };
            found.push((before.clone(), literal.to_owned()));
            before.push_str(literal);
            rest = tail;
        }
    }
    found
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// A code with a hyphen is known by its look, one without by where it stands.
fn is_code(before: &str, literal: &str) -> bool {
    let inner_hyphen = literal.trim_matches('-') == literal && literal.contains('-');
    let argument = before.trim_end().strip_suffix(',').and_then(|before| before.rsplit([' ', '(']).next());
    let graded = argument.is_some_and(|word| word.starts_with("Check::") || word.starts_with("Grade::"));
    is_word(literal) && (inner_hyphen || graded)
}

/// All codes that findings can have, from the sources that give them.
fn emitted() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    // `} = "page-id", expected("...")` in the table of faults.
    for line in code("src/bolt/fault.rs").lines().filter(|line| line.contains("expected(\"")) {
        let literal = line.split_once("= \"").and_then(|(_, tail)| tail.split_once('"'));
        codes.extend(literal.map(|(code, _)| code.to_owned()));
    }
    // `Self::Gap { .. } => "revision-gap",` in `HistoryFaultKind::code`.
    let history = code("src/etcd/history/fault.rs");
    let (_, body) = history.split_once("pub fn code(&self)").expect("the function `code`");
    let (body, _) = body.split_once("    }\n\n").expect("its end");
    codes.extend(literals(body).into_iter().map(|(_, literal)| literal));
    for path in files("src/ops/verify", "rs") {
        let found = literals(&code(path)).into_iter().filter(|(before, literal)| is_code(before, literal));
        codes.extend(found.map(|(_, literal)| literal));
    }
    codes
}

/// The codes that the tables of a document explain, with their grades.
fn explained(document: &str) -> Vec<(String, String)> {
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let code = cells.next()?.strip_suffix('`')?.to_owned();
        let grade = cells.next()?.to_owned();
        ["note", "suspicious", "data-lost", "fatal"].contains(&grade.as_str()).then_some((code, grade))
    };
    document.lines().filter_map(row).collect()
}

#[test]
fn every_finding_is_explained_once_and_exists() {
    let emitted = emitted();
    assert!(emitted.len() > 60, "the sources have changed their look: {emitted:?}");
    let rows = explained(&read("docs/findings.md"));
    let explained: BTreeSet<String> = rows.iter().map(|(code, _)| code.clone()).collect();
    assert_eq!(rows.len(), explained.len(), "a code is explained twice");
    let missing: Vec<_> = emitted.difference(&explained).collect();
    assert!(missing.is_empty(), "docs/findings.md does not explain {missing:?}");
    let gone: Vec<_> = explained.difference(&emitted).collect();
    assert!(gone.is_empty(), "docs/findings.md explains {gone:?}, which nothing gives");
}

#[test]
fn every_finding_has_words_for_the_operator() {
    let words: BTreeSet<String> =
        literals(&code("src/cli/words.rs")).into_iter().map(|(_, literal)| literal).collect();
    let silent: Vec<_> = emitted().into_iter().filter(|code| !words.contains(code)).collect();
    assert!(silent.is_empty(), "src/cli/words.rs says nothing about {silent:?}");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut documents = files("docs", "md");
    documents.extend(["README.md", "CHANGELOG.md", "fixtures/README.md"].map(|path| root().join(path)));
    let mut dead = Vec::new();
    for path in documents {
        let text = read(&path);
        for (target, _) in text.split("](").skip(1).filter_map(|tail| tail.split_once(')')) {
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let linked =
                if file.is_empty() { path.clone() } else { path.parent().expect("a folder").join(file) };
            let there = linked.exists() && (anchor.is_empty() || anchors(&read(&linked)).contains(anchor));
            if !there {
                dead.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "dead links: {dead:#?}");
}

/// The anchors that headings get.
fn anchors(document: &str) -> BTreeSet<String> {
    let heading = |line: &str| {
        let title = line.trim_start_matches('#');
        let title = (title.len() < line.len()).then(|| title.trim().to_lowercase())?;
        let kept = title.chars().filter(|char| char.is_alphanumeric() || [' ', '-', '_'].contains(char));
        Some(kept.map(|char| if char == ' ' { '-' } else { char }).collect())
    };
    document.lines().filter_map(heading).collect()
}

/// What the README tells a reader to type first is what is run before a merge.
#[test]
fn the_two_commands_of_the_readme_are_those_of_ci() {
    if !root().join(".ci").exists() {
        return; // A published package comes without it.
    }
    let (readme, ci) = (read("README.md"), read(".ci/run"));
    for command in ["cargo run --release -- verify fixtures/snapshots/k8s-1.35-etcd-3.6.db", "cargo test"] {
        for (name, text) in [("README.md", &readme), (".ci/run", &ci)] {
            assert!(text.lines().any(|line| line == command), "{name} has no line {command:?}");
        }
    }
}

/// What the README shows of a fixture is what the program prints.
#[cfg(feature = "cli")]
#[test]
fn the_output_in_the_readme_is_real() {
    let readme = read("README.md");
    let mut shown = 0;
    for block in readme.split("```console\n").skip(1).filter_map(|tail| tail.split("```").next()) {
        for part in block.split("$ etcdsnap ").skip(1) {
            let (command, expected) = part.split_once('\n').expect("output");
            let words = command.split_whitespace();
            let output = std::process::Command::new(env!("CARGO_BIN_EXE_etcdsnap"))
                .args(words)
                .current_dir(root())
                .output()
                .expect("run");
            let printed = String::from_utf8(output.stdout).expect("text");
            let mut rest = printed.lines();
            for line in expected.trim_end().lines().filter(|line| *line != "...") {
                assert!(rest.any(|found| found.trim_end() == line), "`{command}` does not print {line:?}");
            }
            shown += 1;
        }
    }
    assert!(shown > 0);
}
