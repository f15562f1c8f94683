//! What the fuzz targets share: the doors, the first corpus, and mutations that know
//! how the bytes are made.

mod doors;
mod mutate;
mod seeds;
#[path = "../tests/support/mod.rs"]
mod support;

/// Sends bytes through the door of that name.
pub fn knock(name: &str, bytes: &[u8]) {
    doors::knock(name, bytes);
}

/// Every door, and what is known to come to it.
pub fn corpus() -> impl Iterator<Item = (&'static str, Vec<Vec<u8>>)> {
    doors::DOORS.iter().map(|(name, _)| (*name, seeds::of(name)))
}

/// Changes what is to come to the door of that name, the first `size` bytes of `data`,
/// by its form or else by libFuzzer's own means. Returns its new length.
pub fn mutate(name: &str, data: &mut [u8], size: usize, seed: u32) -> usize {
    let most = data.len();
    let at_random = |data: &mut [u8]| libfuzzer_sys::fuzzer_mutate(data, size, most);
    let changed = match name {
        // A quarter by libFuzzer, which knows what the code compares with.
        "wal" | "snap_file" => {
            let size = at_random(data);
            match (seed % 4, name) {
                (0, _) => return size,
                (_, "wal") => mutate::seal_wal(&data[..size]),
                _ => mutate::seal_snap_file(&data[..size]),
            }
        }
        _ if !doors::SNAPSHOTS.contains(&name) || seed % 4 == 0 => return at_random(data),
        _ => {
            let mut bytes = data[..size].to_vec();
            mutate::snapshot(&mut bytes, seed.into());
            bytes
        }
    };
    let size = changed.len().min(most);
    data[..size].copy_from_slice(&changed[..size]);
    size
}

/// The target of a door.
#[macro_export]
macro_rules! door {
    ($name:literal) => {
        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            let most = max_size.min(data.len());
            $crate::mutate($name, &mut data[..most], size, seed)
        });
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $crate::knock($name, bytes));
    };
}
