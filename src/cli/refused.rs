//! Why a database is not written anew, in words, and what to do about it.

use etcdsnap::ops::rebuild::Refusal;

use super::changed::Remark;
use super::failure::Failure;
use super::output::text::count;

/// Why nothing is written: stable name, words.
pub(crate) fn refusal(refusal: &Refusal) -> Remark {
    let volumes = |number: &u64| count(*number, "volume", "volumes");
    let code = match refusal {
        Refusal::NothingLeft => "nothing-left",
        Refusal::KeepsNothing => "keeps-nothing",
        Refusal::Reclaim(_) => "reclaim",
        Refusal::ReclaimUnknown(_) => "reclaim-unknown",
        Refusal::Orphans(_) => "orphans",
    };
    let text = match refusal {
        Refusal::NothingLeft | Refusal::KeepsNothing => refusal.to_string(),
        Refusal::Reclaim(number) => {
            format!("{} would be deleted with all data, for want of the claim", volumes(number))
        }
        Refusal::ReclaimUnknown(number) => format!(
            "{} cannot be read while claims are left out, and may be deleted with all data for want of them",
            volumes(number)
        ),
        Refusal::Orphans(number) => {
            format!("{} would be deleted, for want of owners", count(*number, "object", "objects"))
        }
    };
    Remark::new(code, text)
}

/// Why nothing was written, and what to do about each reason; `file` is what the command
/// calls the file that it reads.
pub(crate) fn refused(refusals: &[Refusal], file: &str) -> Failure {
    let reasons: Vec<_> = refusals.iter().map(|reason| refusal(reason).text).collect();
    let failure = Failure::no(format!("nothing was written: {}", reasons.join("; ")));
    refusals.iter().fold(failure, |failure, refusal| match refusal {
        Refusal::NothingLeft => failure.hint(format!("look at the prefixes, types and namespaces that were given: `etcdsnap list {file}`")),
        Refusal::KeepsNothing => {
            failure.hint("the warnings above name it; a mistyped name would keep nothing of what it was to keep")
        }
        Refusal::Reclaim(_) => failure
            .hint("keep their claims (persistentvolumeclaims), or leave the volumes out as well: --drop-resource persistentvolumes")
            .hint("or go on with --accept-reclaim, and set those volumes to Retain before controllers start"),
        Refusal::ReclaimUnknown(_) => failure
            .hint(format!("--encryption-config KEYS opens encrypted volumes, so that each says which claim it needs; `etcdsnap encryption {file}` tells the keys"))
            .hint("without it, leave the volumes out as well (--drop-resource persistentvolumes), or go on with --accept-reclaim, and set all of them to Retain before controllers start"),
        Refusal::Orphans(_) => failure
            .hint("keep their owners, or leave them out as well")
            .hint("or go on with --accept-orphans"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_volume_and_many_are_counted_as_such() {
        for (reason, words) in [
            (Refusal::Reclaim(1), "1 volume would be deleted with all data, for want of the claim"),
            (Refusal::Reclaim(2000), "2,000 volumes would be deleted with all data, for want of the claim"),
            (Refusal::Orphans(1), "1 object would be deleted, for want of owners"),
            (Refusal::Orphans(3), "3 objects would be deleted, for want of owners"),
        ] {
            assert_eq!(refused(&[reason], "SRC").message(), format!("nothing was written: {words}"));
        }
    }
}
