"""Reads every YAML and JSON file below deploy/, holds the manifests against the schemas, and compose.yaml and the Dockerfile
against what they name; see dev/deploy-check."""

import base64
import json
import pathlib
import re
import sys
import tomllib

import jsonschema
import kubernetes_validate
import yaml

ROOT = pathlib.Path("deploy")
# The oldest that is still maintained somewhere, and the newest that is known.
VERSIONS = ("1.30", kubernetes_validate.latest_version())
OWN = {
    ("keda.sh/v1alpha1", "ScaledObject"): "scaledobject-keda-v1alpha1.json",
    ("monitoring.coreos.com/v1", "ServiceMonitor"): "servicemonitor-monitoring-v1.json",
}


def problems(path, manifest):
    kind = (manifest.get("apiVersion"), manifest.get("kind"))
    if kind in OWN:
        schema = json.loads((ROOT / "kubernetes/schemas" / OWN[kind]).read_text())
        for error in jsonschema.Draft7Validator(schema).iter_errors(manifest):
            yield f"{path}: {kind[1]}: {error.json_path}: {error.message}"
        return
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{path}: {kind[1]} ({version}): {'.'.join(map(str, error.path))}: {error.message}"


def agree(manifests):
    """What one manifest says of another."""
    by_kind = {}
    for manifest in manifests:
        by_kind.setdefault(manifest["kind"], []).append(manifest)
    deployment = by_kind["Deployment"][0]["spec"]
    pod = deployment["template"]["spec"]
    labels = deployment["template"]["metadata"]["labels"].items()
    container = pod["containers"][0]
    for service in by_kind["Service"]:
        if not service["spec"]["selector"].items() <= labels:
            yield "the Service selects no pod of the Deployment"
    for budget in by_kind["PodDisruptionBudget"]:
        if not budget["spec"]["selector"]["matchLabels"].items() <= labels:
            yield "the PodDisruptionBudget is of no pod of the Deployment"
    keys = set(by_kind["Secret"][0]["stringData"])
    mount = container["volumeMounts"][0]["mountPath"]
    for variable in container["env"]:
        value = variable.get("value", "")
        if value.startswith(mount) and value.removeprefix(mount + "/") not in keys:
            yield f"{variable['name']} names a key that the Secret does not have"
    grace, drain = pod["terminationGracePeriodSeconds"], 25
    if grace < drain + 10:
        yield f"terminationGracePeriodSeconds is {grace}: the drain takes up to {drain} s"
    security = container["securityContext"]
    if not (security["readOnlyRootFilesystem"] and pod["securityContext"]["runAsNonRoot"]):
        yield "the container must not run as root, nor write to its root"
    if pod["enableServiceLinks"] is not False:
        yield "enableServiceLinks gives the pod variables such as POSTRIDER_PORT, which are no settings"


def settings():
    """The variable of each setting."""
    manual = tomllib.loads(pathlib.Path("config/default.toml").read_text())
    return {f"POSTRIDER_{part}_{key}".upper() for part, keys in manual.items() for key in keys}


def default(value):
    """A variable of compose.yaml as it is where the shell sets nothing."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))


def composed():
    """What is wrong in compose.yaml: what it names must be there."""
    compose = yaml.safe_load(pathlib.Path("compose.yaml").read_text())
    dockerfile = pathlib.Path("Dockerfile").read_text()
    services, volumes, known = compose["services"], compose.get("volumes", {}), settings()
    for name, service in services.items():
        for variable in service.get("environment", {}):
            if variable.startswith("POSTRIDER_") and variable not in known:
                yield f"{name}: {variable} is no setting"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if not (pathlib.Path(source).exists() if source.startswith(".") else source in volumes):
                yield f"{name}: there is no {source}"
        needs = service.get("depends_on", {})
        for other in needs:
            condition = needs[other]["condition"] if isinstance(needs, dict) else "service_started"
            if other not in services:
                yield f"{name} waits for {other}, which is not there"
            elif condition == "service_healthy" and not (
                "healthcheck" in services[other] or "build" in services[other] and "\nHEALTHCHECK " in dockerfile
            ):
                yield f"{name} waits for the health of {other}, which has no check"
    environment = services["postrider"]["environment"]
    if len(base64.b64decode(default(environment["POSTRIDER_SECRETS_KEY"]))) != 32:
        yield "POSTRIDER_SECRETS_KEY has not 32 bytes"
    own_port = int(environment["POSTRIDER_ADMIN_INTERNAL_BIND"].rsplit(":", 1)[1])
    for job in yaml.safe_load((ROOT / "prometheus/prometheus.yaml").read_text())["scrape_configs"]:
        for discovered in job["dns_sd_configs"]:
            if discovered["port"] != own_port or not set(discovered["names"]) <= set(services):
                yield f"Prometheus looks for metrics where there are none: {discovered}"
    for path in (ROOT / "grafana/provisioning/datasources").iterdir():
        for source in yaml.safe_load(path.read_text())["datasources"]:
            host = re.fullmatch(r"http://(\w+):\d+", source["url"])[1]
            if host not in services:
                yield f"{path}: there is no {host}"
    user = re.search(r"^USER (\d+):(\d+)$", dockerfile, re.MULTILINE)
    manifest = (ROOT / "kubernetes/postrider.yaml").read_text()
    if not user or f"runAsUser: {user[1]}\n" not in manifest or f"runAsGroup: {user[2]}\n" not in manifest:
        yield "the Dockerfile and the manifest do not agree on the user, by number"


def main():
    found, manifests = [], []
    for path in sorted(ROOT.rglob("*.json")):
        json.loads(path.read_text())
    for path in sorted(ROOT.rglob("*.yaml")):
        documents = [document for document in yaml.safe_load_all(path.read_text()) if document]
        if "kubernetes" in path.parts:
            manifests += documents
            for manifest in documents:
                found += problems(path, manifest)
    found += agree(manifests)
    found += composed()
    print("\n".join(found) or f"{len(manifests)} manifests fit Kubernetes {' and '.join(map(str, VERSIONS))}")
    sys.exit(bool(found))


main()
