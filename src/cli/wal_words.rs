//! What a warning says about writes that only a member's log may have.

use etcdsnap::ops::wal_view::WalView;

use super::changed::{Remark, entries};
use super::output::text::{safe, shown};

/// The warning, if the log has, or may have, more than the database; `elsewhere` says how
/// another place is named for it.
pub(crate) fn warning(view: &WalView, elsewhere: &str) -> Option<Remark> {
    if !view.may_have_more() {
        return None;
    }
    match view {
        WalView::None => None,
        WalView::Read(tail) => Some(Remark::new(
            "wal-ahead",
            format!(
                "the last {} of the log (index {} to {}, committed up to {}) are not in the database: what comes of it lacks what they wrote. Start etcd on the directory and save a snapshot, if it can be started",
                entries(tail.pending()),
                tail.applied.0.saturating_add(1),
                tail.end.last.0,
                tail.end.committed.0,
            ),
        )),
        WalView::Unreadable { tail, why } => Some(Remark::new(
            "wal-unreadable",
            format!(
                "the log cannot be read to its end ({}): there may be writes after entry {} that are not in the database",
                safe(why.as_bytes()),
                tail.applied.0,
            ),
        )),
        WalView::Missing { path } => Some(Remark::new(
            "wal-missing",
            format!(
                "there is no log in {}, so it is not known whether writes are missing; {elsewhere}",
                shown(path)
            ),
        )),
    }
}
