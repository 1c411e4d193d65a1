"""What dev/dashboard-check needs: Prometheus' configuration for a test, and its answers held against what there is."""

import json
import pathlib
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

DEPLOY = pathlib.Path("deploy")
INTERVAL = "1s"
# Long enough for a rate, and for histograms that fill slowly.
SCRAPES = 25
# A rate needs two scrapes, and a series may have appeared in the last one: problems must outlast some more of them.
LAST_LOOK_SECONDS = 15


def config(target):
    """The configuration of deploy/prometheus, for one instance and looking more often."""
    text = (DEPLOY / "prometheus/prometheus.yaml").read_text()
    head, discovery = text.split("    # Every container", 1)
    assert "dns_sd_configs" in discovery
    head = re.sub(r"(scrape|evaluation)_interval: \w+", rf"\1_interval: {INTERVAL}", head)
    rules = (DEPLOY / "alerts/postrider.rules.yaml").resolve()
    head = head.replace("/etc/prometheus/alerts/postrider.rules.yaml", str(rules))
    print(f"{head}    static_configs: [{{targets: ['{target}']}}]")


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def queries():
    """Each query of the dashboard, with the name of its panel."""
    dashboard = json.loads((DEPLOY / "grafana/postrider.json").read_text())
    panels = list(dashboard["panels"])
    for panel in panels:
        panels.extend(panel.get("panels", []))
        for target in panel.get("targets", []):
            yield panel.get("title", "?"), target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
            yield f"variable {variable['name']}", f"count by ({label}) ({metric})"


def asked(prometheus, expression):
    expression = expression.replace("$__rate_interval", "15s").replace("$instance", ".*")
    url = f"{prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    try:
        return json.loads(get(url))["data"]["result"]
    except urllib.error.HTTPError as error:
        return json.loads(error.read())["error"]


def exposed(api):
    """Names of metrics that have samples now, as Prometheus names them."""
    lines = get(f"{api}/metrics").splitlines()
    return {re.split(r"[{ ]", line)[0] for line in lines if line and not line.startswith("#")}


def problems(prometheus, there):
    for panel, expression in queries():
        result = asked(prometheus, expression)
        if isinstance(result, str):
            yield f"{panel}: {expression}: {result}"
            continue
        names = set(re.findall(r"postrider_\w+", expression))
        # A matcher on a label can be right and meet nothing; that of the instance cannot.
        narrowed = re.search(r'\{instance=~"\$instance",', expression)
        if not result and names <= there and not narrowed:
            yield f"{panel}: {expression}: nothing, although there are samples"
        by = re.search(r"by \(([^)]*)\)", expression)
        labels = [label.strip() for label in by.group(1).split(",")] if by else []
        for one in result:
            lacking = [label for label in labels if label != "le" and not one["metric"].get(label)]
            if lacking:
                yield f"{panel}: {expression}: no label {', '.join(lacking)}"
                break


def rules(prometheus):
    groups = json.loads(get(f"{prometheus}/api/v1/rules"))["data"]["groups"]
    for group in groups:
        for rule in group["rules"]:
            if rule["health"] != "ok":
                yield f"rule {rule['name']}: {rule['health']} {rule.get('lastError', '')}"
    if not groups:
        yield "there are no rules"


def ask(api, prometheus):
    wait = f"{prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": "sum(count_over_time(up[5m]))"})
    for _ in range(300):
        try:
            seen = json.loads(get(wait))["data"]["result"]
            if seen and float(seen[0]["value"][1]) >= SCRAPES:
                break
        except OSError:
            pass
        time.sleep(0.5)
    else:
        sys.exit("Prometheus scraped nothing")
    if not asked(prometheus, "up == 1"):
        sys.exit("Prometheus does not take what /metrics says")
    there = exposed(api)
    until = time.monotonic() + LAST_LOOK_SECONDS
    while (found := [*problems(prometheus, there), *rules(prometheus)]) and time.monotonic() < until:
        time.sleep(1)
    total = len(list(queries()))
    for problem in found:
        print(problem)
    empty = [panel for panel, expression in queries() if not asked(prometheus, expression)]
    print(f"dashboard: {total} queries, {total - len(empty)} with an answer, {len(found)} problems")
    print(f"nothing to show in the demo: {', '.join(sorted(set(empty)))}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    {"config": config, "ask": ask}[sys.argv[1]](*sys.argv[2:])
