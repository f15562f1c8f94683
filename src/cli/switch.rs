//! Switches as Go's programs read them: they can be given their value, `--no-headers=false`.

/// What Go takes for true and false.
///
/// Source: Go `strconv.ParseBool`, 1.25.
pub(crate) fn switch(typed: &str) -> Result<bool, String> {
    match typed {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("true or false is wanted".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::switch;

    #[test]
    fn switches_are_true_or_false() {
        assert_eq!(
            ["true", "1", "T", "false", "0", "F"].map(|typed| switch(typed).ok()),
            [Some(true), Some(true), Some(true), Some(false), Some(false), Some(false)]
        );
        assert!(switch("yes").is_err() && switch("").is_err());
    }
}
