"""Scenarios: what is produced, what goes wrong meanwhile, and what is asked of the receiver afterwards."""

import time

from machine import cpu_seconds, create_topic, free_port, produce, receiver, rss_peak_mb, wait_until

PRIMING = 200
"""Events by which a sender shows that it delivers, before anything is measured."""
QUIET_SECONDS = 75
"""Nothing has come for so long: it is lost, or at least nobody would wait for it."""
HANGING_ENDPOINTS = 10


class Stage:
    """A sender and the receiver it delivers to, for one scenario."""

    def __init__(self, kind, topic, group, endpoints=1, hung_every=None):
        self.topic, self.port = topic, free_port()
        self.receiver = receiver(self.port, hung_every)
        self.sender = kind(topic, self.port, endpoints, group)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sender.stop()
        self.receiver.kill()

    def report(self):
        return self.receiver.ask("Report")

    def start_and_prime(self):
        """Starts the sender and waits until it delivers."""
        self.sender.start()
        # Of a tenant whose endpoint always answers.
        produce(self.topic, PRIMING, tenants=1, first_tenant=1).hear()
        wait_until(lambda: self.report()["events"] == PRIMING, 120, f"{self.sender.name} delivers")
        self.receiver.ask("MeasureLatency")

    def wait_for(self, events, quiet_seconds=QUIET_SECONDS):
        """Until so many different events have come, or no more come. Gives the last report."""
        last, since = self.report(), time.monotonic()
        while last["events"] < events and time.monotonic() - since < quiet_seconds:
            time.sleep(0.1)
            report = self.report()
            if report["events"] > last["events"]:
                since = time.monotonic()
            last = report
        return last


def drain(kind, group, events, topic):
    """A full topic to one endpoint, measured between 10 % and 90 % of its events."""
    with Stage(kind, topic, group) as stage:
        stage.sender.start()
        samples = []
        while True:
            report = stage.report()
            samples.append((time.monotonic(), report["events"], cpu_seconds(stage.sender.pids())))
            if report["events"] >= events or time.monotonic() - samples[0][0] > 300:
                break
            time.sleep(0.1)
        measured = [sample for sample in samples if events * 0.1 <= sample[1] <= events * 0.9]
        first, last = (measured or samples)[0], (measured or samples)[-1]
        delivered = last[1] - first[1]
        return {
            "events/s": round(delivered / max(last[0] - first[0], 0.001)),
            "events per CPU-second": round(delivered / max(last[2] - first[2], 0.01)),
            "RSS MB": round(rss_peak_mb(stage.sender.pids())),
            "lost": events - report["events"],
            "twice": report["duplicates"],
        }


def latency(kind, group, rate, seconds):
    """Events evenly at a rate, from produce to receipt."""
    topic = create_topic(group)
    with Stage(kind, topic, group) as stage:
        stage.start_and_prime()
        warm_up = 8
        events = rate * (warm_up + seconds)
        producer = produce(topic, events, rate, first=PRIMING)
        time.sleep(warm_up)
        stage.receiver.ask("MeasureLatency")
        cpu, since = cpu_seconds(stage.sender.pids()), time.monotonic()
        producer.hear()
        share = (cpu_seconds(stage.sender.pids()) - cpu) / (time.monotonic() - since)
        report = stage.wait_for(PRIMING + events)
        return {
            "p50 ms": report["latency"]["p50"],
            "p99 ms": report["latency"]["p99"],
            "max ms": report["latency"]["max"],
            "CPU": f"{share:.0%}",
            "RSS MB": round(rss_peak_mb(stage.sender.pids())),
            "lost": PRIMING + events - report["events"],
            "twice": report["duplicates"],
        }


def hanging(kind, group, rate, seconds):
    """Ten endpoints, the first of which takes requests and never answers: what do the nine others get?"""
    topic = create_topic(group)
    with Stage(kind, topic, group, HANGING_ENDPOINTS, hung_every=HANGING_ENDPOINTS) as stage:
        stage.start_and_prime()
        events = rate * seconds
        produce(topic, events, rate, first=PRIMING).hear()
        time.sleep(1)
        healthy = events - events // HANGING_ENDPOINTS
        report = stage.report()
        return {
            "of the others' events, in time": f"{(report['events'] - PRIMING) / healthy:.1%}",
            "p50 ms of those": report["latency"]["p50"],
            "p99 ms of those": report["latency"]["p99"],
            "RSS MB": round(rss_peak_mb(stage.sender.pids())),
        }


def kill(kind, group, rate, seconds):
    """SIGKILL in the middle, and at once a start."""
    topic = create_topic(group)
    with Stage(kind, topic, group) as stage:
        stage.start_and_prime()
        events = rate * seconds
        producer = produce(topic, events, rate, first=PRIMING)
        time.sleep(seconds / 3)
        stage.sender.kill_and_restart()
        producer.hear()
        report = stage.wait_for(PRIMING + events)
        return {
            "lost": PRIMING + events - report["events"],
            "twice": report["duplicates"],
            "longest wait s": round(report["latency"]["max"] / 1000, 1),
        }


def outage(kind, group, rate, seconds):
    """The receiver's port is closed for so long while events go on, then open."""
    topic = create_topic(group)
    with Stage(kind, topic, group) as stage:
        stage.start_and_prime()
        before = rate * 5
        produce(topic, before, rate, first=PRIMING).hear()
        came = stage.wait_for(PRIMING + before)["events"]
        time.sleep(6)  # until what came is committed
        stage.receiver.kill()
        during = rate * seconds
        produce(topic, during, rate, first=PRIMING + before).hear()
        stage.receiver = receiver(stage.port)
        since = time.monotonic()
        report = stage.wait_for(during)
        took = time.monotonic() - since
        return {
            "waited": during,
            "lost": PRIMING + before - came + during - report["events"],
            "twice": report["duplicates"],
            "caught up after s": round(took, 1) if report["events"] >= during else "never",
            "RSS MB": round(rss_peak_mb(stage.sender.pids())),
        }
