//! ● One HTTP client a core.
