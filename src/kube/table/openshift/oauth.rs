//! Users, and what they sign in with.

use std::borrow::Cow;

use super::super::row::{Row, count, instant, joined};
use super::super::{Printer, column};
use super::build::go_duration;
use crate::kube::unix_time::UnixTime;
use crate::kube::value::Value;

pub(super) static CLIENT: Printer = Printer {
    columns: &[
        column("Name"),
        column("Secret"),
        column("WWW-Challenge"),
        column("Token-Max-Age"),
        column("Redirect URIs"),
    ],
    print: |client, row| {
        row.name(client);
        row.text(client.text(&["secret"]));
        row.flag(client.is_true(&["respondWithChallenges"]));
        row.cell(|| match client.int(&["accessTokenMaxAgeSeconds"]) {
            None => Cow::Borrowed("default"),
            Some(0) => Cow::Borrowed("unexpiring"),
            Some(seconds) => {
                let sign = if seconds < 0 { "-" } else { "" };
                let duration = go_duration(seconds.unsigned_abs().saturating_mul(1_000_000_000));
                Cow::Owned(format!("{sign}{duration}"))
            }
        });
        row.cell(|| joined(client.items(&["redirectURIs"]), ","));
    },
    reads: &["metadata.name", "secret", "respondWithChallenges", "accessTokenMaxAgeSeconds", "redirectURIs"],
    wide_reads: &[],
};

pub(super) static CLIENT_AUTHORIZATION: Printer = Printer {
    columns: &[column("Name"), column("User Name"), column("Client Name"), column("Scopes")],
    print: |authorization, row| {
        row.name(authorization);
        row.text(authorization.text(&["userName"]));
        row.text(authorization.text(&["clientName"]));
        row.cell(|| joined(authorization.items(&["scopes"]), ","));
    },
    reads: &["metadata.name", "userName", "clientName", "scopes"],
    wide_reads: &[],
};

pub(super) static TOKEN: Printer = Printer {
    columns: &[
        column("Name"),
        column("User Name"),
        column("Client Name"),
        column("Created"),
        column("Expires"),
        column("Redirect URI"),
        column("Scopes"),
    ],
    print: token,
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "userName",
        "clientName",
        "expiresIn",
        "redirectURI",
        "scopes",
    ],
    wide_reads: &[],
};

fn token<'v>(token: &'v Value<'v>, row: &mut Row<'v>) {
    row.name(token);
    row.text(token.text(&["userName"]));
    row.text(token.text(&["clientName"]));
    row.age(token);
    row.cell(|| match count(token, &["expiresIn"]) {
        seconds @ 1.. => {
            let made = instant(token.at(&["metadata", "creationTimestamp"]));
            let end = made.and_then(|made| UnixTime::from_seconds(made.seconds().saturating_add(seconds)));
            // As Go prints a time of a server whose clock is set to UTC.
            end.map_or(Cow::Borrowed(super::super::row::UNKNOWN), |end| {
                Cow::Owned(end.to_string().replace('T', " ").replace('Z', " +0000 UTC"))
            })
        }
        _ => Cow::Borrowed("never"),
    });
    row.text(token.text(&["redirectURI"]));
    row.cell(|| joined(token.items(&["scopes"]), ","));
}

pub(super) static USER: Printer = Printer {
    columns: &[column("Name"), column("UID"), column("Full Name"), column("Identities")],
    print: |user, row| {
        row.name(user);
        row.text(user.text(&["metadata", "uid"]));
        row.text(user.text(&["fullName"]));
        row.cell(|| joined(user.items(&["identities"]), ", "));
    },
    reads: &["metadata.name", "metadata.uid", "fullName", "identities"],
    wide_reads: &[],
};

pub(super) static IDENTITY: Printer = Printer {
    columns: &[
        column("Name"),
        column("IDP Name"),
        column("IDP User Name"),
        column("User Name"),
        column("User UID"),
    ],
    print: |identity, row| {
        row.name(identity);
        row.text(identity.text(&["providerName"]));
        row.text(identity.text(&["providerUserName"]));
        row.text(identity.text(&["user", "name"]));
        row.text(identity.text(&["user", "uid"]));
    },
    reads: &["metadata.name", "providerName", "providerUserName", "user"],
    wide_reads: &[],
};

pub(super) static GROUP: Printer = Printer {
    columns: &[column("Name"), column("Users")],
    print: |group, row| {
        row.name(group);
        row.cell(|| joined(group.items(&["users"]), ", "));
    },
    reads: &["metadata.name", "users"],
    wide_reads: &[],
};

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use crate::kube::table::{Context, printer};
    use crate::kube::value::Value;

    fn cells(group: &str, object: Json) -> Vec<String> {
        let context = Context::new("2026-01-22T00:00:00Z".parse().ok());
        let object = Value::from(object);
        let printer = printer(group, object.text(&["kind"])).expect("a printer");
        assert_eq!(printer.columns(&context).count(), printer.cells(&object, &context).len());
        printer.cells(&object, &context).into_iter().map(String::from).collect()
    }

    /// By reading oauth-apiserver's printers, as are the columns.
    #[test]
    fn users_clients_and_tokens() {
        let user = json!({"kind": "User", "metadata": {"name": "jo", "uid": "u-1"}, "fullName": "Jo Doe",
            "identities": ["ldap:jo", "github:1"]});
        assert_eq!(cells("user.openshift.io", user), ["jo", "u-1", "Jo Doe", "ldap:jo, github:1"]);
        let identity = json!({"kind": "Identity", "metadata": {"name": "ldap:jo"}, "providerName": "ldap",
            "providerUserName": "jo", "user": {"name": "jo", "uid": "u-1"}});
        assert_eq!(cells("user.openshift.io", identity), ["ldap:jo", "ldap", "jo", "jo", "u-1"]);
        let group = json!({"kind": "Group", "metadata": {"name": "ops"}, "users": ["jo", "al"]});
        assert_eq!(cells("user.openshift.io", group), ["ops", "jo, al"]);

        let token = |expires| {
            json!({"kind": "OAuthAccessToken", "metadata": {"name": "sha256~x",
                "creationTimestamp": "2026-01-20T00:00:00Z"}, "userName": "jo", "clientName": "console",
                "expiresIn": expires, "redirectURI": "https://a/", "scopes": ["user:full", "user:info"]})
        };
        let start = ["sha256~x", "jo", "console", "2d"];
        let end = ["https://a/", "user:full,user:info"];
        let expected = |expires| [&start[..], &[expires], &end[..]].concat();
        let group = "oauth.openshift.io";
        assert_eq!(cells(group, token(86_400)), expected("2026-01-21 00:00:00 +0000 UTC"));
        assert_eq!(cells(group, token(0)), expected("never"));

        let client = |age| {
            json!({"kind": "OAuthClient", "metadata": {"name": "console"}, "secret": "s",
                "respondWithChallenges": true, "accessTokenMaxAgeSeconds": age, "redirectURIs": ["https://a/"]})
        };
        for (age, text) in [(json!(null), "default"), (json!(0), "unexpiring"), (json!(90_061), "25h1m1s")] {
            assert_eq!(cells(group, client(age)), ["console", "s", "true", text, "https://a/"]);
        }
    }

    /// By reading origin's printers of 3.11.
    #[test]
    fn networks_of_3_11() {
        let subnet = json!({"kind": "HostSubnet", "metadata": {"name": "n1"}, "host": "n1", "hostIP": "10.0.0.1",
            "subnet": "10.128.0.0/23", "egressIPs": ["10.0.0.9", "10.0.0.8"]});
        let expected = ["n1", "n1", "10.0.0.1", "10.128.0.0/23", "[]", "[10.0.0.9, 10.0.0.8]"];
        assert_eq!(cells("network.openshift.io", subnet), expected);
        let namespace =
            json!({"kind": "NetNamespace", "metadata": {"name": "x"}, "netname": "shop", "netid": 7});
        assert_eq!(cells("network.openshift.io", namespace), ["shop", "7", "[]"]);
        let entry = |cidr| json!({"CIDR": cidr, "hostSubnetLength": 9});
        let networks: Vec<_> = ["a", "b", "c", "d"].into_iter().map(entry).collect();
        let network = json!({"kind": "ClusterNetwork", "metadata": {"name": "default"},
            "clusterNetworks": networks, "serviceNetwork": "172.30.0.0/16",
            "pluginName": "redhat/openshift-ovs-subnet"});
        let expected =
            ["default", "a:9, b:9, c:9 + 1 more...", "172.30.0.0/16", "redhat/openshift-ovs-subnet"];
        assert_eq!(cells("network.openshift.io", network), expected);
    }
}
