#![no_main]

etcdsnap_fuzz::door!("object");
