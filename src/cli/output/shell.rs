//! Words of command lines that are printed to be copied: a shell reads them as they
//! were, and a terminal is not harmed by them.

use std::path::Path;

use super::text::is_dangerous;

/// A word as a shell takes it: as it is, between single quotes, or, if there is
/// anything in it that a terminal must not see, in escapes that bash and zsh know.
pub(crate) fn quoted(word: &[u8]) -> String {
    // What a shell reads nothing into, wherever it stands.
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_=+:,./@%".contains(byte);
    let text = std::str::from_utf8(word).ok().filter(|text| !text.chars().any(is_dangerous));
    match text {
        Some(text) if !text.is_empty() && word.iter().all(plain) => text.to_owned(),
        Some(text) => format!("'{}'", text.replace('\'', "'\\''")),
        None => {
            let escape = |byte: &u8| match byte {
                b'\'' | b'\\' | ..=0x1f | 0x7f.. => format!("\\x{byte:02x}"),
                byte => char::from(*byte).to_string(),
            };
            format!("$'{}'", word.iter().map(escape).collect::<String>())
        }
    }
}

/// A file or directory as a word that no command takes for an option.
pub(crate) fn quoted_path(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.starts_with(b"-") { quoted(&[b"./", bytes].concat()) } else { quoted(bytes) }
}

/// An option with its value, in one word where the value would be taken for another
/// option.
pub(crate) fn option(flag: &str, value: &[u8]) -> String {
    let between = if value.starts_with(b"-") { '=' } else { ' ' };
    format!("{flag}{between}{}", quoted(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_out_of_a_shell_as_they_were() {
        for word in [
            &b"a b"[..],
            b"it's",
            b"\\x",
            b"",
            b"\xff'\x1b[1m\\",
            "\u{202e}ab".as_bytes(),
            b"*",
            b"[a]",
            b"$HOME",
            b"`x`",
            b"a;b&c|d",
            b"/r/",
            b"~",
            b"!!",
        ] {
            let script = format!("printf %s {}", quoted(word));
            assert!(!script.chars().any(is_dangerous));
            let answer = std::process::Command::new("bash").args(["-c", &script]).output().expect("a shell");
            assert_eq!(answer.stdout, word, "{script}");
        }
        assert_eq!(quoted(b"/var/lib/etcd-1/a.db"), "/var/lib/etcd-1/a.db");
        assert_eq!(quoted_path(Path::new("-rf")), "./-rf");
        assert_eq!(quoted_path(Path::new("-a b")), "'./-a b'");
        assert_eq!(option("--name", b"a b"), "--name 'a b'");
        assert_eq!(option("--name", b"-a b"), "--name='-a b'");
    }
}
