//! ○ Tenants of events: in turn, or by chance, some more often than others.

use rand::{Rng, SeedableRng, rngs::SmallRng};

pub enum Spread {
    InTurn {
        tenants: usize,
        next: usize,
    },
    /// The sums of the weights up to each tenant's.
    ByChance {
        sums: Vec<f64>,
        chance: SmallRng,
    },
}

impl Spread {
    /// By Zipf's law with this exponent, the first tenant most often, and the same in each run; in turn without.
    pub fn new(tenants: usize, zipf: Option<f64>) -> Self {
        let Some(exponent) = zipf else { return Spread::InTurn { tenants, next: 0 } };
        let weights = (1..=tenants).map(|rank| (rank as f64).powf(-exponent));
        let sums = weights.scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Spread::ByChance { sums: sums.collect(), chance: SmallRng::seed_from_u64(1) }
    }

    pub fn next_tenant(&mut self) -> usize {
        match self {
            Spread::InTurn { tenants, next } => {
                let tenant = *next;
                *next = (tenant + 1) % *tenants;
                tenant
            }
            Spread::ByChance { sums, chance } => {
                let all = sums.last().copied().unwrap_or(0.0);
                let at = chance.random_range(0.0..all);
                sums.partition_point(|sum| *sum <= at).min(sums.len() - 1)
            }
        }
    }
}

/// Part of all events that one tenant in `tenants` gets by Zipf's law, the first being number 0.
pub fn zipf_share(tenant: usize, tenants: usize, exponent: f64) -> f64 {
    let weight = |rank: usize| (rank as f64).powf(-exponent);
    weight(tenant + 1) / (1..=tenants).map(weight).sum::<f64>()
}
