//! ● Says that this instance lives, and where the others reach it; hears who else does.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::net::UdpSocket;

use super::pipeline::topics;
use crate::{
    config::Config,
    ingest::consumer::Topics,
    monitoring::peers::Peers,
    store::{self, Pool},
};

const HEARTBEAT: Duration = Duration::from_secs(2);
const CLAIM_EVERY: u32 = 30;
const DEADLINE: Duration = Duration::from_secs(2);

/// Beats until the process ends. Returns the number of live instances, kept as it is: they share an endpoint's rate limit.
pub(super) fn start(config: &Arc<Config>, pool: &Pool, peers: &Arc<Peers>, served_at: SocketAddr) -> Arc<AtomicU32> {
    let instances = Arc::new(AtomicU32::new(1));
    let (config, pool, peers) = (Arc::clone(config), pool.clone(), Arc::clone(peers));
    actix_rt::spawn(beat(config, pool, peers, served_at, Arc::clone(&instances)));
    instances
}

async fn beat(config: Arc<Config>, pool: Pool, peers: Arc<Peers>, served_at: SocketAddr, instances: Arc<AtomicU32>) {
    let (mut known, topics, mut beats) = (None, claimed(&config), 0_u32);
    loop {
        if known.is_none() {
            known = address(&config, served_at).await;
        }
        let beat = store::instances::heartbeat(&pool, peers.own_id(), known.as_deref(), env!("CARGO_PKG_VERSION"));
        match beat.await {
            Ok(others) => {
                instances.store(u32::try_from(others.len()).unwrap_or(u32::MAX).saturating_add(1), Ordering::Relaxed);
                peers.update_instances(others);
                // Now and then as well: whoever was silent for a day is forgotten with it.
                if beats.is_multiple_of(CLAIM_EVERY)
                    && let Err(error) = store::instances::claim(&pool, peers.own_id(), &topics).await
                {
                    tracing::debug!(%error, "the topics of this instance cannot be published yet");
                    beats = beats.wrapping_sub(1);
                }
                beats = beats.wrapping_add(1);
            }
            Err(error) => tracing::debug!(%error, "the heartbeat failed; the known number of instances is kept"),
        }
        tokio::time::sleep(HEARTBEAT).await;
    }
}

/// The topics that are read here, as the others know them.
fn claimed(config: &Config) -> Vec<String> {
    match topics(config) {
        Topics::Names(names) => names,
        Topics::Pattern(_) => vec![store::instances::EVERY_TOPIC.to_owned()],
    }
}

/// `admin.advertise`, or the address where other instances are answered; where that is every address of this machine, the one on the way
/// to Kafka. `None` while the way to Kafka is not known.
async fn address(config: &Config, served_at: SocketAddr) -> Option<String> {
    if !config.admin.advertise.is_empty() {
        return Some(config.admin.advertise.clone());
    }
    if !served_at.ip().is_unspecified() {
        return Some(served_at.to_string());
    }
    let broker = config.kafka.brokers.split(',').next()?.trim();
    let broker = broker.rsplit_once("://").map_or(broker, |(_, address)| address);
    let local = tokio::time::timeout(DEADLINE, local_address(broker)).await.ok()?.ok()?;
    Some(SocketAddr::new(local.ip(), served_at.port()).to_string())
}

/// Asks the routing table and sends nothing: a UDP socket has no connection to make.
async fn local_address(towards: &str) -> std::io::Result<SocketAddr> {
    let any = |target: &SocketAddr| if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let target = tokio::net::lookup_host(towards).await?.next().ok_or(std::io::ErrorKind::NotFound)?;
    let socket = UdpSocket::bind(any(&target)).await?;
    socket.connect(target).await?;
    socket.local_addr()
}
