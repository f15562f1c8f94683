//! What was once found at the doors: inputs that made the program fail, or that
//! come close to it. `fixtures/regressions/DOOR/` holds them; the fuzz targets
//! in `fuzz/` find new ones.

#[path = "../fuzz/doors.rs"]
mod doors;

use std::fs;
use std::path::Path;

#[test]
fn nothing_that_failed_once_fails_again() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/regressions");
    for (name, door) in doors::DOORS {
        let inputs = fs::read_dir(root.join(name)).into_iter().flatten();
        for input in inputs.map(|entry| entry.expect("an entry").path()) {
            door(&fs::read(&input).expect("readable"));
        }
        // And what no file need be kept for.
        for input in [&b""[..], b"\0", b"{", b"k8s\0", b"k8s:enc:", b"\xd9\xd9\xf7", &[0xff; 300]] {
            door(input);
        }
    }
}

#[test]
fn every_regression_has_a_door_and_every_door_a_fuzz_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(root.join("fixtures/regressions")).into_iter().flatten() {
        let name = entry.expect("an entry").file_name();
        assert!(doors::DOORS.iter().any(|(door, _)| name == **door), "{name:?}");
    }
    let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).expect("a manifest");
    for (name, _) in doors::DOORS {
        let target = fs::read_to_string(root.join(format!("fuzz/fuzz_targets/{name}.rs"))).expect(name);
        assert!(target.contains(&format!("doors::{name}(")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}
