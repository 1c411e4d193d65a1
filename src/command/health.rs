//! ● `postrider health`: asks a running instance whether it lives.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use clap::Args;

use crate::config::{Config, ConfigErrors};

#[derive(Debug, Args)]
pub(super) struct HealthArguments {
    /// The page to ask for; without it /livez of admin.internal_bind, else of admin.bind
    #[arg(long)]
    url: Option<String>,
}

/// Shorter than any orchestrator's own timeout.
const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn run(arguments: &HealthArguments, config: impl FnOnce() -> Result<Config, ConfigErrors>) -> ExitCode {
    let url = match &arguments.url {
        Some(url) => url.clone(),
        None => match config() {
            Ok(config) => {
                format!("http://{}/livez", reachable(config.admin.internal_bind.unwrap_or(config.admin.bind)))
            }
            Err(errors) => return super::usage(&errors),
        },
    };
    match actix::System::new().block_on(ask(&url)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => super::failure(&format!("{url}: {problem}")),
    }
}

async fn ask(url: &str) -> Result<(), String> {
    let client = awc::Client::builder().disable_redirects().timeout(TIMEOUT).finish();
    let answer = client.get(url).send().await.map_err(|error| error.to_string())?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("answered {}", answer.status())) }
}

/// The address at which this machine reaches one that was bound: nobody can connect to "any address".
pub(super) fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_bound_to_every_address_is_asked_on_loopback() {
        assert_eq!(reachable("0.0.0.0:8080".parse().unwrap()).to_string(), "127.0.0.1:8080");
        assert_eq!(reachable("[::]:8080".parse().unwrap()).to_string(), "[::1]:8080");
        assert_eq!(reachable("10.0.0.7:80".parse().unwrap()).to_string(), "10.0.0.7:80");
    }
}
