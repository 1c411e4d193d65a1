"""Parts around the senders: the receiver and the producer of benches/end_to_end, Kafka's topics, and what processes use."""

import atexit
import glob
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BROKERS = os.environ.get("KAFKA_BOOTSTRAP", "")
PARTITIONS = 8
TENANTS = 1_000
CORES = 2
TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A child with a log of its own, killed at the end of the run."""

    def __init__(self, command, log, env=None, cwd=None, stdin=None):
        self.log = pathlib.Path(log)
        with self.log.open("ab") as out:
            self.child = subprocess.Popen(
                command, stdin=stdin, stdout=out, stderr=out, env={**os.environ, **(env or {})}, cwd=cwd
            )
        atexit.register(self.kill)

    @property
    def pid(self):
        return self.child.pid

    def check_alive(self):
        if self.child.poll() is not None:
            tail = self.log.read_text(errors="replace").splitlines()[-20:]
            raise RuntimeError("\n".join([f"ended unasked with {self.child.returncode}:", *tail]))

    def kill(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


class Role:
    """The receiver, the producer or the bare loop of benches/end_to_end: a line for a question, a line for its answer."""

    def __init__(self, name, arguments):
        self.child = subprocess.Popen(
            [end_to_end(), "--role", name, json.dumps(arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        atexit.register(self.kill)

    @property
    def pid(self):
        return self.child.pid

    def hear(self):
        line = self.child.stdout.readline()
        if not line:
            raise RuntimeError("a part of the benchmark ended unasked")
        return line.strip()

    def ask(self, question):
        self.child.stdin.write(json.dumps(question) + "\n")
        self.child.stdin.flush()
        return json.loads(self.hear())

    def kill(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()


def receiver(port, hung_every=None):
    role = Role("receiver", {"port": port, "hung_every": hung_every, "untimed": 0})
    role.hear()
    return role


def produce(topic, events, rate=None, first=0, tenants=TENANTS, first_tenant=0):
    """Begins to produce; `hear` of what it returns waits for the end."""
    return Role("producer", {
        "brokers": BROKERS, "topics": [topic], "partitions": PARTITIONS, "run_events": 16, "tenants": tenants,
        "first_tenant": first_tenant, "events": events, "first_sequence": first, "rate": rate,
    })


def create_topic(name):
    kafka = subprocess.run([ROOT / "dev/fetch"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{kafka}/kafka/*", "org.apache.kafka.tools.TopicCommand",
         "--bootstrap-server", BROKERS, "--create", "--topic", name, "--partitions", str(PARTITIONS)],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    return name


def end_to_end():
    """The program of benches/end_to_end."""
    named = os.environ.get("END_TO_END_BINARY")
    built = [path for path in glob.glob(str(ROOT / "target/release/deps/end_to_end-*")) if os.access(path, os.X_OK)]
    if not named and not built:
        raise SystemExit("build it first: cargo bench --bench end_to_end --no-run")
    return named or max(built, key=os.path.getmtime)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def cpu_seconds(pids):
    """User and system time so far of all of them together."""
    ticks = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def rss_peak_mb(pids):
    """The most memory each ever held, added up."""
    lines = [line for pid in pids for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6


def wait_until(holds, seconds, what):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError(f"not within {seconds} s: {what}")
        time.sleep(0.1)
