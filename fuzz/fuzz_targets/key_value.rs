#![no_main]

etcdsnap_fuzz::door!("key_value");
