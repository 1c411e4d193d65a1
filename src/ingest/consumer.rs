//! ● The poll thread: it only polls, pauses, resumes, stores offsets and runs the rebalance callbacks.
