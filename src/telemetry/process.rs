//! ● Numbers of the operating system about this process. On systems without `/proc` these gauges are absent.

use std::fs;

use metrics::gauge;

use super::names;

/// Linux's page on every machine this runs on.
const PAGE_BYTES: f64 = 4096.0;

pub(super) fn started() {
    gauge!(names::START_TIME).set(crate::clock::wall_ms() as f64 / 1000.0);
}

/// Sets the gauges again; called when somebody looks.
pub(super) fn refresh() {
    if let Ok(handles) = fs::read_dir("/proc/self/fd") {
        gauge!(names::OPEN_FILES).set(handles.count() as f64);
    }
    if let Ok((limit, _)) = rlimit::Resource::NOFILE.get() {
        gauge!(names::OPEN_FILES_LIMIT).set(limit as f64);
    }
    let resident = fs::read_to_string("/proc/self/statm").ok().and_then(|text| text.split(' ').nth(1)?.parse().ok());
    if let Some(pages) = resident.map(|pages: u32| f64::from(pages)) {
        gauge!(names::RESIDENT_BYTES).set(pages * PAGE_BYTES);
    }
}
