"""Starts Postrider with sample data and a key of each role, and lets schemathesis loose on it. See dev/api-test."""

import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
# Single requests first; then one after the other, along the document's links, with the ids that answers showed.
PHASES = ["examples,coverage,fuzzing", "stateful"]
# 503 is an answer of /readyz and of an overloaded database, and documented; any other 5xx is a fault.
ADMIN = os.environ.get("POSTRIDER_ADMIN_KEY", "the-key-of-the-api-test")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def call(base, method, path, body=None, key=ADMIN):
    request = urllib.request.Request(
        base + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            return json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        sys.exit(f"{method} {path}: {error.code} {error.read().decode()}")


def await_answer(base, path, process):
    for _ in range(600):
        if process.poll() is not None:
            sys.exit(f"postrider ended with {process.returncode}")
        try:
            urllib.request.urlopen(base + path, timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    sys.exit("postrider is not ready after a minute")


def things(base, customer):
    """A customer with an endpoint, a subscription and a replay; their names, for paths and bodies."""
    everything = {"topics": ["*"], "tenants": ["*"]}
    made = call(base, "PUT", f"/v1/customers/{customer}", {"name": customer, "grants": everything})
    endpoint = {"customer_id": customer, "url": "http://127.0.0.1:9009/hook"}
    endpoint = call(base, "PUT", f"/v1/endpoints/{customer}-hook", endpoint)
    subscription = {"endpoint_id": endpoint["id"], "topic": "demo.orders", "scope": {"level": "topic"}}
    subscription = call(base, "PUT", f"/v1/subscriptions/{customer}-all", subscription)
    times = {"from_time": "2026-01-01T00:00:00Z", "to_time": "2026-01-01T01:00:00Z"}
    replay = {"endpoint_id": endpoint["id"], "topic": "demo.orders"} | times
    replay = call(base, "POST", "/v1/replays", replay)
    return {"uid": customer, "customer": made["id"], "endpoint": endpoint["id"], "subscription": subscription["id"], "replay": replay["id"]}


def key(base, role, customer=None):
    body = {"name": f"api test, {role}", "role": role, "customer_id": customer}
    return call(base, "POST", "/v1/api-keys", body)


def names(base, mine, theirs, spare):
    """Names that lead somewhere, beside those that schemathesis makes up."""
    letters = [letter["id"] for page in ("/v1/dead-letters", f"/v1/endpoints/{mine['endpoint']}/dead-letters")
               for letter in call(base, "GET", page + "?limit=3")["data"]]
    for endpoint in call(base, "GET", "/v1/endpoints?limit=50")["data"]:
        letters += [letter["id"] for letter in
                    call(base, "GET", f"/v1/endpoints/{endpoint['id']}/dead-letters?limit=2")["data"]]
    endpoints = [mine["endpoint"], mine["uid"] + "-hook", theirs["endpoint"]]
    return {
        "/v1/customers/{name}": [theirs["customer"], mine["uid"], "spare"],
        "/v1/endpoints/": endpoints,
        "/v1/subscriptions/{name}": [mine["subscription"], mine["uid"] + "-all", theirs["subscription"]],
        "/v1/dead-letters/{id}": letters or ["dl_none"],
        "/v1/replays/": [mine["replay"], theirs["replay"]],
        "/v1/api-keys/": [spare["id"]],
    }


def configuration(paths, named):
    """schemathesis.toml: for each path with a name in it, names that lead somewhere."""
    lines = ["[parameters]", '"query.wait" = ["0s", "1s"]', ""]
    for path in paths:
        part = "name" if "{name}" in path else "id" if "{id}" in path else None
        found = next((found for start, found in named.items() if path.startswith(start)), None)
        if part and found:
            lines += ["[[operations]]", f'include-path = "{path}"', f"parameters = {{ \"path.{part}\" = {json.dumps(found)} }}", ""]
    return "\n".join(lines)


def main(postrider, tester):
    postrider, tester = os.path.abspath(postrider), os.path.abspath(tester)
    seconds = int(os.environ.get("API_TEST_SECONDS", "25"))
    seed = int(os.environ.get("API_TEST_SEED", random.randrange(1 << 31)))
    print(f"api test: API_TEST_SEED={seed}, twice {seconds} s for each role", flush=True)
    port, folder = free_port(), tempfile.mkdtemp(prefix="api-test-")
    base = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "POSTRIDER_ADMIN_BIND": f"127.0.0.1:{port}",
        "POSTRIDER_ADMIN_KEY": ADMIN,
        "POSTRIDER_KAFKA_TOPICS": "demo.orders,demo.shipments,demo.invoices",
        "POSTRIDER_KAFKA_GROUP_ID": f"api-test-{port}",
        # Its requests come as fast as they can.
        "POSTRIDER_ADMIN_KEY_REQUESTS_PER_SECOND_MAX": "0",
        "POSTRIDER_ADMIN_WRONG_KEYS_PER_SECOND_MAX": "0",
        "POSTRIDER_EVENT_TOPICS": '{ "demo.invoices" = { tenant = "json:/tenant/id", department = "json:/department", type = "json:/type" } }',
        # The topics are made by the demo, a moment later.
        "POSTRIDER_KAFKA_METADATA_REFRESH_MS": "1000",
        "POSTRIDER_EGRESS_ALLOW": "127.0.0.0/8",
    }
    log = open(os.path.join(folder, "postrider.log"), "w")
    process = subprocess.Popen([postrider, "serve"], env=environment, stdout=log, stderr=log)
    failed = []
    try:
        await_answer(base, "/livez", process)
        # Sample customers and events, so that there are deliveries, attempts, a backlog and dead letters.
        demo = [postrider, "demo", "--api", base, "--rate", "50", "--seconds", "5"]
        subprocess.run(demo, env=environment | {"POSTRIDER_DEMO_ADMIN_KEY": ADMIN}, stdout=subprocess.DEVNULL, timeout=120)
        await_answer(base, "/readyz", process)
        document = json.load(urllib.request.urlopen(base + "/openapi.json", timeout=30))
        for role in ("admin", "operator", "customer"):
            # Of each role's own: what one leaves behind, such as a quota of nothing, is in no other's way.
            mine, theirs = things(base, f"mine-{role}"), things(base, f"theirs-{role}")
            call(base, "PUT", "/v1/customers/spare", {"name": "spare", "grants": {"topics": [], "tenants": []}})
            of_customer = mine["uid"] if role == "customer" else None
            token, spare = key(base, role, of_customer)["token"], key(base, "operator")
            settings = os.path.join(folder, f"{role}.toml")
            with open(settings, "w") as file:
                file.write(configuration(document["paths"], names(base, mine, theirs, spare)))
            print(f"api test: as {role}", flush=True)
            for phases in PHASES:
                command = [
                    tester, "--config-file", settings, "run", base + "/openapi.json", "--checks", ",".join(CHECKS),
                    "--header", f"Authorization: Bearer {token}", "--seed", str(seed), "--max-time", str(seconds),
                    "--phases", phases, "--workers", "1", "--mode", "all", "--suppress-health-check", "all",
                    "--continue-on-failure", "--warnings", "off", "--request-timeout", "30", "--no-color",
                ]
                if subprocess.run(command, cwd=folder).returncode != 0:
                    failed.append(f"{role} ({phases})")
            if process.poll() is not None:
                failed.append("postrider itself")
                break
    finally:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()
    if failed:
        sys.exit(f"api test: failed as {', '.join(failed)}; the log of Postrider is {log.name}")
    print("api test: every answer of every operation is as documented")


if __name__ == "__main__":
    main(*sys.argv[1:])
