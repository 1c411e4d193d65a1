"""Reads every YAML and JSON file below deploy/, and holds the manifests against the schemas; see dev/deploy-check."""

import json
import pathlib
import sys

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
    print("\n".join(found) or f"{len(manifests)} manifests fit Kubernetes {' and '.join(map(str, VERSIONS))}")
    sys.exit(bool(found))


main()
