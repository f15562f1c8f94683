//! What an operator types, and the files that he names.

use etcdsnap::etcd::peer_url::{InitialCluster, PeerUrl};
use etcdsnap::kube::encryption::Keyring;
use etcdsnap::kube::select::arguments::Request;
use etcdsnap::kube::select::custom_columns::CustomColumns;
use etcdsnap::kube::select::fields::FieldSelector;
use etcdsnap::kube::select::jsonpath::JsonPath;
use etcdsnap::kube::select::labels::LabelSelector;
use etcdsnap::kube::select::quantity::Quantity;
use etcdsnap::ops::restore::member_file::MemberList;

/// A configuration of encryption at rest; with what can be made of it, values are
/// opened.
pub(super) fn encryption_config(bytes: &[u8]) {
    let Ok(keyring) = Keyring::parse(bytes) else { return };
    for (id, info) in keyring.keys() {
        assert_eq!(keyring.key(id).map(|key| &key.place), Some(&info.place));
        let stored = format!("k8s:enc:{}:v1:{}:0123456789abcdef0123456789abcdef", info.provider, info.name);
        let _ = keyring.open(b"", b"secrets", b"/registry/secrets/a/b", stored.as_bytes());
    }
}

/// A list of members.
pub(super) fn member_file(bytes: &[u8]) {
    let Ok(list) = MemberList::parse(bytes) else { return };
    // Of what a list repeats by reference, there is not more than a list can have.
    let urls: usize = list.members.iter().map(|member| member.peer_urls.len()).sum();
    assert!(list.members.len().max(urls) <= MemberList::LIMIT, "{} members, {urls} URLs", list.members.len());
}

/// Flags and their values.
pub(super) fn words(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = PeerUrl::parse_list(text);
    let _ = InitialCluster::parse(text);
    let _ = LabelSelector::parse(text);
    let _ = FieldSelector::parse(text);
    let _ = JsonPath::parse(text);
    let _ = CustomColumns::parse(text);
    let _ = CustomColumns::parse_file(text);
    let _ = Quantity::parse(text);
    let _ = Request::parse(&text.split(' ').collect::<Vec<_>>());
}
