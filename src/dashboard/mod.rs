//! ● The web page at `/`: files that are compiled in, served with the API that they use.
//!
//! A page is static and knows nothing: whoever opens it signs in with an API key, and sees what that key may see. There
//! is no build chain: what stands in `assets/` is what the browser gets, all style sheets as one. In debug builds the files are read from there,
//! so that a change needs no more than a new start.

mod assets; // ● the files, and one version for all of them
mod modules; // ○ which of them need which
mod serve; // ● answers, with headers that let the page talk to this service only

pub use serve::{routes, takes_gzip};
