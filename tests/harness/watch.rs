//! ● Compares every commit of a group with the ledgers while it works: loss shows without a crash.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::audit::AuditData;

/// How often the group's commits are compared with the ledgers.
const WATCH_EVERY: Duration = Duration::from_millis(200);

pub struct Watch {
    stop: Arc<AtomicBool>,
    found: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub fn start(data: Arc<AuditData>) -> Self {
        let (stop, found) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<String>>>::default());
        let (stopping, finding) = (Arc::clone(&stop), Arc::clone(&found));
        let thread = thread::spawn(move || {
            let mut checked = HashMap::new();
            loop {
                let last_look = stopping.load(Ordering::Acquire);
                let early = look(&data, &mut checked);
                finding.lock().unwrap().extend(early);
                if last_look {
                    return;
                }
                thread::park_timeout(WATCH_EVERY);
            }
        });
        Watch { stop, found, thread: Some(thread) }
    }

    /// One last look, and all that was seen.
    #[track_caller]
    pub fn end(mut self) -> Vec<String> {
        self.stop.store(true, Ordering::Release);
        let thread = self.thread.take().expect("a watch is ended once");
        thread.thread().unpark();
        thread.join().expect("the watch saw everything");
        std::mem::take(&mut *self.found.lock().unwrap())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// `checked`: how far each partition is known to be sound.
fn look(data: &AuditData, checked: &mut HashMap<(String, i32), i64>) -> Vec<String> {
    let mut found = Vec::new();
    for (topic, partition, offset) in data.kafka.committed() {
        let from = checked.entry((topic.clone(), partition)).or_insert(0);
        if offset < *from {
            found.push(format!("the commit of {topic}/{partition} fell from {from} to {offset}"));
            continue;
        }
        // The ledgers are read after the commit: what is in them now may have been there then.
        let (sent, known_to) = data.produced.range(&topic, partition, *from, offset);
        let early = data.unsettled(&sent).into_iter();
        found.extend(
            early.map(|(hook, seq)| {
                format!("{topic}/{partition} was committed to {offset} before {hook} had event {seq}")
            }),
        );
        *from = known_to;
    }
    found
}
