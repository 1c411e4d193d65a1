//! ○ What waits for an endpoint actor.
