//! ● REST under `/v1`, health and metrics.
