//! The process that looks after the workers: it starts them, reads what they tell,
//! and notes which step it was when one dies or stalls.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use super::Arguments;
use super::case::{Came, Message, Schedule};
use super::tally::Tally;
use super::worker::Share;

/// Runs the whole campaign and returns what it came to.
pub(crate) fn oversee(arguments: &Arguments, schedule: &Schedule, scratch: &Path) -> io::Result<Tally> {
    let (first, end) = arguments.range();
    let workers = u64::from(arguments.workers.get()).min(end - first).max(1);
    let tallies = std::thread::scope(|scope| {
        let share = |worker: u64| {
            let scratch = scratch.join(worker.to_string());
            move || -> io::Result<Tally> {
                std::fs::create_dir_all(&scratch)?;
                let lane = Lane { arguments, schedule, scratch: &scratch, stride: workers, end };
                lane.run(first + worker)
            }
        };
        let running: Vec<_> = (0..workers).map(|worker| scope.spawn(share(worker))).collect();
        running
            .into_iter()
            .map(|lane| lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<io::Result<Vec<_>>>()
    })?;
    Ok(tallies.into_iter().fold(Tally::default(), Tally::and))
}

/// The mutations of one worker and of those that follow it.
struct Lane<'l> {
    arguments: &'l Arguments,
    schedule: &'l Schedule,
    scratch: &'l Path,
    stride: u64,
    end: u64,
}

impl Lane<'_> {
    fn run(&self, first: u64) -> io::Result<Tally> {
        let mut tally = Tally::default();
        let (mut number, mut step) = (first, 0);
        let mut deaths_without_work = 0;
        while number < self.end {
            let (mut child, messages) = self.start(number, step)?;
            let before = (number, step);
            let came = loop {
                // The first message comes when the sound file was read, too.
                match messages.recv_timeout(self.arguments.patience()) {
                    Ok(message) => {
                        let message = message?;
                        if let Message::Done { number: of, step: done, .. } = &message {
                            (number, step) = self.after(*of, *done);
                        }
                        self.take(&mut tally, &message);
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        child.kill()?;
                        break Some(Came::Hung);
                    }
                    Err(RecvTimeoutError::Disconnected) => break None,
                }
            };
            let status = child.wait()?;
            if number >= self.end {
                break;
            }
            // A worker that cannot even begin is no crash of a command.
            deaths_without_work = if before == (number, step) { deaths_without_work + 1 } else { 0 };
            if deaths_without_work > 3 || status.code() == Some(2) {
                return Err(io::Error::other(format!("a worker ended at mutation {number} with {status}")));
            }
            let came = came.unwrap_or_else(|| {
                Came::Crashed(match status.signal() {
                    Some(signal) => format!("signal {signal}"),
                    None => status.to_string(),
                })
            });
            self.take(&mut tally, &Message::Done { number, step, came });
            (number, step) = self.after(number, step);
        }
        Ok(tally)
    }

    /// The step that follows one that was done.
    fn after(&self, number: u64, step: usize) -> (u64, usize) {
        if step + 1 < self.schedule.steps(number).len() {
            (number, step + 1)
        } else {
            (number + self.stride, 0)
        }
    }

    fn take(&self, tally: &mut Tally, message: &Message) {
        if self.arguments.only.is_some() {
            self.tell(message);
        }
        tally.take(self.schedule, message);
    }

    /// One message, for somebody who looks at one mutation.
    fn tell(&self, message: &Message) {
        match message {
            Message::Case { number, kind, places } => {
                let places: Vec<&str> = places.iter().map(|place| place.words()).collect();
                say(&format!("mutation {number}: {}, in: {}", kind.words(), places.join(", ")));
            }
            Message::Done { number, step, came } => {
                let steps = self.schedule.steps(*number);
                let step = steps.get(*step).map_or_else(String::new, |step| self.schedule.words(*step));
                say(&format!("{came:?}: {step}"));
            }
        }
    }

    fn start(&self, first: u64, step: usize) -> io::Result<(Child, Receiver<io::Result<Message>>)> {
        let Self { stride, end, scratch, .. } = *self;
        let share = Share { first, step, stride, end, scratch: scratch.to_owned() };
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command
            .args(self.arguments.again())
            .arg(format!("--share={share}"))
            .env_remove("ETCDSNAP_FILE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // What commands say to people; of panics the worker itself tells.
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?;
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let message = line.and_then(|line| serde_json::from_str(&line).map_err(io::Error::from));
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Ok((child, receiver))
    }
}

/// A line for whoever listens.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
