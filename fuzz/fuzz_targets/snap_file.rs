#![no_main]

etcdsnap_fuzz::door!("snap_file");
