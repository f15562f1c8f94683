//! Names that a server made up.

/// Letters and digits that generated names end with: none that could make a word.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const RANDOM_LENGTH: usize = 5;
/// Longest beginning that is not cut: 63 less the random part.
const LONGEST_BASE: usize = 58;

/// Whether `name` was generated from `base`.
///
/// Source: kubernetes `staging/src/k8s.io/apiserver/pkg/storage/names/generate.go`,
/// `staging/src/k8s.io/apimachinery/pkg/util/rand/rand.go`, 1.35.
pub(in crate::kube::manifest) fn is_generated(name: &str, base: &str) -> bool {
    let base = base.as_bytes();
    let base = base.get(..LONGEST_BASE).unwrap_or(base);
    name.as_bytes().strip_prefix(base).is_some_and(|random| {
        random.len() == RANDOM_LENGTH && random.iter().all(|byte| ALPHABET.contains(byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_have_five_letters_behind_their_base() {
        assert!(is_generated("default-token-x7k2z", "default-token-"));
        for other in ["default-token-mine1", "default-token-", "default-token-x7k2zz", "token-x7k2z", ""] {
            assert!(!is_generated(other, "default-token-"), "{other}");
        }
        let long = "a".repeat(70);
        assert!(is_generated(&format!("{}bcdfg", "a".repeat(58)), &long));
        assert!(!is_generated(&format!("{long}bcdfg"), &long));
    }
}
