#![no_main]

etcdsnap_fuzz::door!("words");
