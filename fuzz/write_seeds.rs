//! Writes the first corpus of every door to a folder.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let folder = PathBuf::from(env::args_os().nth(1).expect("a folder"));
    for (door, seeds) in etcdsnap_fuzz::corpus() {
        let folder = folder.join(door);
        fs::create_dir_all(&folder).expect("made");
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed).expect("written");
        }
        println!("{door}: {} seeds", seeds.len());
    }
}
