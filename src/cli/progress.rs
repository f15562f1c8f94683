//! A bar on stderr for what takes over a second, only on a terminal. Not all that is done is
//! counted: while nothing is, and between, the time that goes by says that it goes on.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Context;
use etcdsnap::ops::Progress;

/// How long nothing is shown.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes of the pages that were walked, where they have the usual size.
pub(crate) fn walked(progress: &Progress) -> u64 {
    progress.pages.load(Ordering::Relaxed).saturating_mul(4096)
}

/// Of what is not counted, or not yet.
const UNCOUNTED: &str = "{msg} {total_bytes} {spinner} {elapsed}";
/// How much is done, and how long it takes.
const COUNTED: &str = "{msg} {bar:20} {bytes} of {total_bytes}, {elapsed}, {eta} left";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Runs `work` and shows how far it is. `done` tells the bytes done, of `total`.
pub(crate) fn watch<T>(
    context: &Context<'_>,
    what: &'static str,
    total: u64,
    done: impl Fn(&Progress) -> u64 + Sync,
    work: impl FnOnce() -> T,
) -> T {
    watch_progress(context.global.quiet, context.progress, what, total, done, work)
}

/// As [`watch`], for work that holds on to the output.
pub(crate) fn watch_progress<T>(
    quiet: bool,
    progress: &Progress,
    what: &'static str,
    total: u64,
    done: impl Fn(&Progress) -> u64 + Sync,
    work: impl FnOnce() -> T,
) -> T {
    if quiet || !std::io::stderr().is_terminal() {
        return work();
    }
    let finished = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let drawing = scope.spawn(|| {
            let start = Instant::now();
            while start.elapsed() < PATIENCE {
                if finished.load(Ordering::Acquire) {
                    return;
                }
                std::thread::park_timeout(Duration::from_millis(50));
            }
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            bar.set_style(style(UNCOUNTED));
            bar.set_elapsed(start.elapsed());
            bar.set_message(what.to_owned());
            let mut is_counted = false;
            while !finished.load(Ordering::Acquire) {
                let position = done(progress).min(total);
                if position > 0 && !is_counted {
                    is_counted = true;
                    bar.set_style(style(COUNTED));
                }
                bar.set_position(position);
                bar.tick();
                std::thread::park_timeout(Duration::from_millis(100));
            }
            bar.finish_and_clear();
        });
        let result = work();
        finished.store(true, Ordering::Release);
        drawing.thread().unpark();
        result
    })
}
