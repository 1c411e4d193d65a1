//! app
use crate::config::Config;

#[derive(Debug, thiserror::Error)]
#[error("nothing is assembled yet")]
pub struct Error;

pub fn run(_config: Config) -> Result<(), Error> {
    Err(Error)
}
