//! What goes wrong on our side.

use std::time::Duration;

use rand::{Rng, rngs::SmallRng};

use crate::{
    endpoint::ENDPOINTS,
    instance::Instance,
    kafka::PARTITIONS,
    world::{Happening, World},
};

#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// A rebalance: revoked at one instance, assigned at another.
    Move,
    /// A rebalance that the loser hears of late (frozen, or cut off): it goes on for a while.
    Steal,
    Crash,
    GracefulStop,
    /// In an endpoint actor.
    Panic,
    /// In a decoder or router: a chunk is lost before it had receipts, and its partition is read again.
    LoseChunk,
    StoreDown,
}

impl Fault {
    pub fn any(rng: &mut SmallRng) -> Fault {
        match rng.random_range(0..14) {
            0..3 => Fault::Move,
            3..5 => Fault::Steal,
            5 => Fault::Crash,
            6 => Fault::GracefulStop,
            7..10 => Fault::Panic,
            10..12 => Fault::LoseChunk,
            _ => Fault::StoreDown,
        }
    }
}

impl World {
    pub fn inject(&mut self, fault: Fault) {
        let number = self.rng.random_range(0..PARTITIONS);
        let instance = self.rng.random_range(0..self.instances.len());
        match fault {
            Fault::Move => self.release(number),
            Fault::Steal => self.steal(number, instance),
            Fault::Crash => self.crash(instance),
            Fault::GracefulStop => self.stop(instance),
            Fault::Panic => self.panic(instance),
            Fault::LoseChunk => self.reread(number),
            Fault::StoreDown => {
                self.store_down_until = self.now + Duration::from_millis(self.rng.random_range(50..4_000));
            }
        }
    }

    /// As the revoke callback does it: commit what is settled, end the epoch, give the partition back.
    fn release(&mut self, number: usize) {
        let Some(owner) = self.kafka.partitions[number].owner else { return };
        let World { instances, kafka, audit, now, .. } = self;
        instances[owner].commit(number, kafka, audit);
        if let Some(generation) = instances[owner].revoke(number, *now, audit) {
            kafka.give_up(number, generation);
        }
    }

    fn steal(&mut self, number: usize, thief: usize) {
        let Some(owner) = self.kafka.partitions[number].owner else { return };
        let can_take = self.instances[thief].is_running && !self.instances[thief].is_stopping;
        if owner == thief || !can_take {
            return;
        }
        let generation = self.kafka.partitions[number].generation;
        self.hand_to(number, thief);
        let hears_after = self.rng.random_range(10..3_000);
        let incarnation = self.instances[owner].incarnation;
        self.later(hears_after, Happening::LearnLoss(owner, incarnation, number, generation));
    }

    pub fn learn_loss(&mut self, instance: usize, incarnation: u64, number: usize, generation: u64) {
        let World { instances, audit, now, .. } = self;
        let loser = &mut instances[instance];
        let has_it = loser.assigned.get(&number).is_some_and(|assigned| assigned.generation == generation);
        if loser.incarnation == incarnation && has_it {
            loser.revoke(number, *now, audit);
        }
    }

    /// All memory is gone. What was on its way to the store may or may not arrive; nobody hears of it.
    fn crash(&mut self, number: usize) {
        let World { instances, audit, now, rng, .. } = self;
        let instance = &mut instances[number];
        if !instance.is_running {
            return;
        }
        audit.totals.crashes += 1;
        if rng.random_bool(0.5) && *now >= self.store_down_until {
            instance.lane.commit(*now, audit);
        }
        self.vanish(number, 1_500);
    }

    /// What a dead process leaves behind: nothing of it reports any more, and its partitions are taken from it.
    fn vanish(&mut self, number: usize, session_ms: u64) {
        let World { instances, audit, now, .. } = self;
        let held: Vec<_> = instances[number].assigned.keys().copied().collect();
        // The memory of a dead process tells nobody of what it held.
        let lost = held.into_iter().filter_map(|partition| {
            let generation = instances[number].revoke(partition, *now, audit)?;
            Some((partition, generation))
        });
        let lost: Vec<_> = lost.collect();
        let incarnation = instances[number].incarnation;
        instances[number] = Instance::new(incarnation);
        for (partition, generation) in lost {
            self.later(session_ms, Happening::SessionTimeout(partition, generation));
        }
        let restarts_after = self.rng.random_range(300..4_000);
        self.later(restarts_after, Happening::Start(number));
    }

    fn stop(&mut self, number: usize) {
        let instance = &mut self.instances[number];
        if !instance.is_running || instance.is_stopping {
            return;
        }
        self.audit.totals.stops += 1;
        instance.is_stopping = true;
        let incarnation = instance.incarnation;
        instance.machines.iter_mut().for_each(|machine| machine.delivery.handle_stop(self.now));
        (0..ENDPOINTS).for_each(|endpoint| self.carry_out(number, endpoint));
        self.later(1_000, Happening::Stopped(number, incarnation));
    }

    /// What could not be sent goes to the store if there is time, and else is the next owner's.
    pub fn stopped(&mut self, number: usize, incarnation: u64) {
        if self.instances[number].incarnation != incarnation || !self.instances[number].is_running {
            return;
        }
        let World { instances, kafka, audit, now, .. } = self;
        let instance = &mut instances[number];
        let left_over: Vec<_> = instance.machines.iter_mut().flat_map(|machine| machine.delivery.take_held()).collect();
        for partition in 0..PARTITIONS {
            instance.commit(partition, kafka, audit);
        }
        for partition in 0..PARTITIONS {
            instance.revoke(partition, *now, audit).inspect(|generation| kafka.give_up(partition, *generation));
        }
        drop(left_over);
        self.vanish(number, 0);
    }

    fn panic(&mut self, number: usize) {
        if self.instances[number].is_running {
            let endpoint = self.rng.random_range(0..ENDPOINTS);
            // An event that always brings its actor down would do it again and again.
            for _ in 0..self.rng.random_range(1..5) {
                let World { instances, kafka, audit, now, .. } = self;
                instances[number].rebuild(endpoint, *now);
                if !instances[number].is_stopping {
                    instances[number].poll(kafka, *now, audit);
                }
            }
            self.carry_out(number, endpoint);
        }
    }

    fn reread(&mut self, number: usize) {
        let Some(owner) = self.kafka.partitions[number].owner else { return };
        let World { instances, kafka, audit, now, .. } = self;
        let instance = &mut instances[owner];
        let Some(assigned) = instance.assigned.get(&number) else { return };
        let (generation, start) = (assigned.generation, assigned.ledger.committable().unwrap_or(assigned.committed));
        if !instance.commit(number, kafka, audit) {
            return;
        }
        audit.totals.rereads += 1;
        instance.revoke(number, *now, audit);
        instance.assign(number, kafka.partitions[number].topic, (generation, start), audit);
    }
}
