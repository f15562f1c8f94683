#![no_main]

etcdsnap_fuzz::door!("encryption_config");
