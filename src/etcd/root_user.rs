//! The user `root` with a new password, as etcd stores it.
//!
//! The password is a bcrypt hash made elsewhere, so that the same one can be given to
//! every member: a hash made here would have another salt each time.
//!
//! Source: etcd `server/auth/store.go` (`UserAdd`, `UserChangePassword`, `hasRootRole`)
//! @ v3.6.14, `golang.org/x/crypto/bcrypt`.

use std::str::FromStr;

use crate::codec::protobuf::{Fields, Writer};

use super::auth::User;

/// Name of the user that may do everything, and of the role that lets it.
pub const ROOT: &[u8] = b"root";

/// A bcrypt hash as etcd compares passwords with: `$2a$10$`, 22 characters of salt, 31
/// of the hash.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

/// Not shown, not even by accident.
impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// A text that is no [`PasswordHash`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPasswordHash {
    /// The wrong length.
    #[error("60 characters are expected, found {0}")]
    Length(usize),
    /// It does not begin as one.
    #[error("$2a$, $2b$ or $2y$ is expected first")]
    Version,
    /// The cost is none.
    #[error("a cost of 04 to 31 is expected, and $ behind it")]
    Cost,
    /// A character that is none of bcrypt's.
    #[error("letters, digits, . and / are expected behind the cost")]
    Digits,
    /// No hash ends like that, so no password would ever fit.
    #[error("no bcrypt hash ends like that: is it cut, or mistyped?")]
    End,
}

/// The digits of bcrypt's numbers to the base 64, by their values.
const DIGITS: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl FromStr for PasswordHash {
    type Err = NoPasswordHash;

    fn from_str(text: &str) -> Result<Self, NoPasswordHash> {
        if text.len() != 60 {
            return Err(NoPasswordHash::Length(text.chars().count()));
        }
        let rest = ["$2a$", "$2b$", "$2y$"].into_iter().find_map(|version| text.strip_prefix(version));
        let (cost, digits) =
            rest.ok_or(NoPasswordHash::Version)?.split_once('$').ok_or(NoPasswordHash::Cost)?;
        let is_number = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || !cost.parse().is_ok_and(|cost: u8| (4..=31).contains(&cost)) {
            return Err(NoPasswordHash::Cost);
        }
        let value = |byte: u8| DIGITS.iter().position(|digit| *digit == byte);
        let last = digits.bytes().map(value).try_fold(0, |_, value| value.ok_or(NoPasswordHash::Digits))?;
        // 31 digits hold two bits more than the 23 bytes of the hash.
        if last & 3 != 0 {
            return Err(NoPasswordHash::End);
        }
        Ok(Self(text.to_owned()))
    }
}

impl PasswordHash {
    /// The hash as it is stored.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The entry of bucket `authUsers` for `root` with that password and role `root`, made
/// from the one that is there. Its other roles stay. A user without a password gets
/// one.
pub fn root_user(existing: Option<&[u8]>, password: &PasswordHash) -> Vec<u8> {
    let mut roles = vec![ROOT.to_vec()];
    let mut options = Some(Vec::new());
    if let Some(existing) = existing
        && let Ok(user) = User::parse(existing)
    {
        roles.extend(user.roles);
        options = Fields::new(existing)
            .filter_map(Result::ok)
            .filter(|field| field.number == 4)
            .find_map(|field| field.bytes().ok())
            // All that it can say is that the user has no password.
            .map(|_| Vec::new());
    }
    // etcd looks for the role by halves.
    roles.sort();
    roles.dedup();
    let user = Writer::new().bytes(1, ROOT).bytes(2, password.as_bytes());
    let user = roles.iter().fold(user, |user, role| user.bytes(3, role));
    match options {
        Some(options) => user.bytes(4, &options),
        None => user,
    }
    .finish()
}

/// The entry of bucket `authRoles` for role `root`, as `etcdctl auth enable` adds it.
pub fn root_role() -> Vec<u8> {
    Writer::new().bytes(1, ROOT).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Of `golang.org/x/crypto/bcrypt`, its own test of a known password.
    const HASH: &str = "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga";

    #[test]
    fn only_what_a_password_can_fit_is_a_hash() {
        let hash: PasswordHash = HASH.parse().expect("a hash");
        assert_eq!(hash.as_bytes(), HASH.as_bytes());
        assert!(HASH.replace("$2a$", "$2y$").parse::<PasswordHash>().is_ok());
        for (text, fault) in [
            ("secret".to_owned(), NoPasswordHash::Length(6)),
            (HASH[..59].to_owned(), NoPasswordHash::Length(59)),
            (HASH.replace("$2a$", "$2x$"), NoPasswordHash::Version),
            (HASH.replace("$10$", "$03$"), NoPasswordHash::Cost),
            (HASH.replace("$10$", "$+9$"), NoPasswordHash::Cost),
            (HASH.replace("$10$", "$32$"), NoPasswordHash::Cost),
            (HASH.replace('y', "-"), NoPasswordHash::Digits),
            (HASH.replace("cga", "cgb"), NoPasswordHash::End),
        ] {
            assert_eq!(text.parse::<PasswordHash>(), Err(fault), "{text}");
        }
        assert_eq!(format!("{hash:?}"), "PasswordHash(..)");
    }

    #[test]
    fn root_keeps_its_roles_and_gets_its_own() {
        let hash: PasswordHash = HASH.parse().expect("a hash");
        let new = Writer::new().bytes(1, b"root").bytes(2, HASH.as_bytes()).bytes(3, b"root").bytes(4, b"");
        assert_eq!(root_user(None, &hash), new.finish());
        let old = Writer::new().bytes(1, b"root").bytes(3, b"a").bytes(3, b"z").bytes(4, b"\x08\x01");
        let user = Writer::new().bytes(1, b"root").bytes(2, HASH.as_bytes());
        let user = user.bytes(3, b"a").bytes(3, b"root").bytes(3, b"z").bytes(4, b"").finish();
        assert_eq!(root_user(Some(&old.finish()), &hash), user);
        // Users of older releases have no options.
        let old = Writer::new().bytes(1, b"root").bytes(2, b"$2a$").bytes(3, b"root").finish();
        let user = Writer::new().bytes(1, b"root").bytes(2, HASH.as_bytes()).bytes(3, b"root").finish();
        assert_eq!(root_user(Some(&old), &hash), user);
    }
}
