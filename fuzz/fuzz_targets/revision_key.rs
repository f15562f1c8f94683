#![no_main]

etcdsnap_fuzz::door!("revision_key");
