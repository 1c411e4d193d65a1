//! ● The snapshot that the routers read.
