"""Senders that take turns: Postrider, the bare loop of benches/end_to_end, Benthos, Flink. Each has the same four verbs."""

import base64
import json
import os
import string
import subprocess
import urllib.error
import urllib.request

from machine import BROKERS, CORES, PARTITIONS, ROOT, TENANTS, Process, Role, create_topic, free_port, wait_until

HERE = ROOT / "benches/peers"
DIR = ROOT / ".dev/peers"
LOGS = DIR / "logs"
REQUEST_TIMEOUT_MS = 5_000
FLINK = DIR / "flink-1.20.3"


def host(endpoint):
    return f"127.1.0.{endpoint + 1}"


class Sender:
    """One that delivers a topic to `endpoints` addresses, tenant n to endpoint n % endpoints."""

    def __init__(self, topic, port, endpoints, group):
        self.topic, self.port, self.endpoints, self.group = topic, port, endpoints, group
        self.processes = []

    def start(self):
        """Returns when it runs; it may not yet deliver."""

    def kill_and_restart(self):
        """SIGKILL to what holds events, and at once the same again."""
        for process in self.processes:
            process.kill()
        self.start()

    def stop(self):
        for process in self.processes:
            process.stop()

    def pids(self):
        return [process.pid for process in self.processes]

    def log(self, name=""):
        LOGS.mkdir(parents=True, exist_ok=True)
        return LOGS / f"{self.group}{name}.log"


class Postrider(Sender):
    name = "Postrider"

    def start(self):
        self.processes = []
        if not getattr(self, "is_set_up", False):
            subprocess.run([postrider(), "migrate"], check=True, capture_output=True)
            # By an instance that reads nothing yet, so that no event passes before its subscription.
            instance = self.serve(nothing(), f"{self.group}-setup")
            self.set_up()
            instance.stop()
            self.is_set_up = True
        self.processes = [self.serve(self.topic, self.group)]

    def serve(self, topic, group):
        self.admin = f"127.0.0.1:{free_port()}"
        binary = postrider()
        process = Process([binary, "serve"], self.log(), {
            "POSTRIDER_SERVICE_CORES": str(CORES),
            "POSTRIDER_KAFKA_TOPICS": topic,
            "POSTRIDER_KAFKA_GROUP_ID": group,
            "POSTRIDER_KAFKA_FIRST_START": "earliest",
            "POSTRIDER_ADMIN_BIND": self.admin,
            "POSTRIDER_EGRESS_ALLOW": "127.0.0.0/8",
        })
        wait_until(lambda: process.check_alive() or is_ok(f"http://{self.admin}/readyz"), 30, "Postrider is ready")
        return process

    def set_up(self):
        names = [f"{self.group}-{number}" for number in range(self.endpoints)]
        self.bulk("customers", [{"uid": n, "name": n, "grants": {"topics": ["*"], "tenants": ["*"]}} for n in names])
        self.bulk("endpoints", [
            {"uid": n, "customer_id": n, "url": f"http://{host(number)}:{self.port}/hook", "format": "raw",
             "in_flight_max": 64, "request_timeout_ms": REQUEST_TIMEOUT_MS}
            for number, n in enumerate(names)
        ])
        self.bulk("subscriptions", [
            {"uid": n, "endpoint_id": n, "topic": self.topic, "scope": self.scope(number)}
            for number, n in enumerate(names)
        ])

    def scope(self, number):
        if self.endpoints == 1:
            return {"level": "topic"}
        own = range(number, TENANTS, self.endpoints)
        return {"level": "tenants", "tenants": [f"tenant-{tenant:05}" for tenant in own]}

    def bulk(self, kind, items):
        self.call("POST", f"/v1/{kind}/bulk", {kind: items})

    def call(self, method, path, body=None):
        request = urllib.request.Request(f"http://{self.admin}{path}", method=method, data=json.dumps(body).encode())
        request.add_header("content-type", "application/json")
        request.add_header("authorization", f"Bearer {os.environ['POSTRIDER_ADMIN_KEY']}")
        try:
            return urllib.request.urlopen(request, timeout=30).read()
        except urllib.error.HTTPError as refused:
            raise RuntimeError(f"{method} {path}: {refused.code} {refused.read()[:500]}") from refused

    def stop(self):
        # What waits for endpoints that hang is nothing to the next scenario.
        for number in range(self.endpoints):
            self.call("DELETE", f"/v1/customers/{self.group}-{number}")
        super().stop()


class Bare(Sender):
    name = "bare loop"

    def start(self):
        self.processes = [Role("bare", {
            "brokers": BROKERS, "topics": [self.topic], "partitions": PARTITIONS, "endpoints": self.endpoints,
            "tenants": TENANTS, "port": self.port, "in_flight_max": 64, "raw": True, "cores": CORES,
        })]

    def stop(self):
        self.processes[0].kill()


class Benthos(Sender):
    name = "Benthos"

    def start(self):
        self.admin = free_port()
        self.processes = [Process([DIR / "benthos", "-c", HERE / "benthos/stream.yaml"], self.log(), {
            "ADMIN_PORT": str(self.admin), "BROKERS": BROKERS, "TOPIC": self.topic, "GROUP": self.group,
            "SECRET": base64.b64encode(b"a secret of thirty-two bytes, no").decode(),
            "ENDPOINTS": str(self.endpoints), "IN_FLIGHT": str(64 * self.endpoints), "PORT": str(self.port),
            "GOMAXPROCS": str(CORES),
        })]
        wait_until(lambda: is_ok(f"http://127.0.0.1:{self.admin}/ping"), 30, "Benthos runs")
        self.processes[0].check_alive()


class Flink(Sender):
    name = "Flink"

    def start(self):
        self.rest, self.rpc = free_port(), free_port()
        work = LOGS / self.group
        work.mkdir(parents=True, exist_ok=True)
        (work / "config.yaml").write_text((HERE / "flink/config.yaml").read_text() + "\n".join([
            f"rest.port: {self.rest}", f"rest.bind-port: {self.rest}", f"jobmanager.rpc.port: {self.rpc}",
            f"execution.checkpointing.dir: file://{work}/checkpoints", f"io.tmp.dirs: {work}", "",
        ]))
        (work / "log4j.properties").write_text((HERE / "flink/log4j.properties").read_text())
        self.work = work
        manager = self.java("org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint", "-Xmx384m")
        self.processes = [manager, self.worker()]
        wait_until(lambda: self.slots() == CORES, 180, "Flink's task manager is there")
        self.submit()

    def worker(self):
        main = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
        return self.java(main, "-Xms640m", "-Xmx640m", "-XX:MaxDirectMemorySize=192m")

    def java(self, main, *options):
        return Process(self.command(main, *options, "-XX:+UseG1GC", arguments=["--configDir", str(self.work)]),
                       self.log(f"-{main.rsplit('.', 1)[1]}"))

    def command(self, main, *options, arguments=()):
        opens = ["java.lang", "java.net", "java.io", "java.nio", "java.text", "java.time", "java.util",
                 "java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks", "java.lang.reflect"]
        return ["java", *options, *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in opens),
                f"-Dlog4j.configurationFile={self.work}/log4j.properties",
                "-cp", f"{FLINK}/lib/*", main, *arguments]

    def submit(self):
        (self.work / "job.sql").write_text(self.job())
        arguments = [str(self.work), str(self.work / "job.sql")]
        done = subprocess.run(self.command(str(HERE / "flink/Submit.java"), arguments=arguments), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)

    def job(self):
        def fill(name, **values):
            return string.Template((HERE / f"flink/{name}.sql").read_text()).substitute(values)

        parts = [fill("source", TOPIC=self.topic, BROKERS=BROKERS, GROUP=self.group)]
        parts += [fill("sink", ENDPOINT=n, HOST=host(n), PORT=self.port) for n in range(self.endpoints)]
        for number in range(self.endpoints):
            tenant = "CAST(SUBSTRING(DECODE(headers['tenant'], 'UTF-8'), 8) AS INT)"
            own = f" WHERE MOD({tenant}, {self.endpoints}) = {number}" if self.endpoints > 1 else ""
            parts.append(f"INSERT INTO endpoint_{number} SELECT body FROM events{own};")
        return "\n".join([*parts, ""])

    def slots(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.rest}/overview", timeout=2) as answer:
                return json.load(answer)["slots-total"]
        except OSError:
            return 0

    def kill_and_restart(self):
        """Of the task manager: the job manager, which would be three of them with ZooKeeper, gives its job to the next."""
        self.processes[1].kill()
        self.processes[1] = self.worker()


def postrider():
    return os.environ.get("PEERS_BINARY", ROOT / "target/release/postrider")


def nothing():
    """A topic without events."""
    if not hasattr(nothing, "topic"):
        nothing.topic = create_topic(f"peers-nothing-{os.getpid()}")
    return nothing.topic


def is_ok(url):
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


ALL = {"postrider": Postrider, "bare": Bare, "benthos": Benthos, "flink": Flink}
