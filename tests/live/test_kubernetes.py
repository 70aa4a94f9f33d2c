"""
The manifests: valid, in agreement with each other, and a server that does what they rely on.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from terminable.tap import Options
from terminable.timeline import STOP_TIMEOUT, warnings
from tests.live.clients import Address, Answer
from tests.live.processes import ROOT, SLACK, LiveTestCase, Server, eventually, freePort

MANIFESTS = ROOT / "docs" / "deploy" / "kubernetes"

#: The oldest release of Kubernetes that knows all of it, and a new one.
RELEASES = ("1.27", "1.37")

#: What a pod is called by its node.
POD = "10.244.1.7"

#: Seconds that a server needs after its grace period, at most.
AFTER = 2.0


def manifests() -> dict[str, Any]:
    """
    All of them, by kind.
    """
    found = {}
    for path in sorted(MANIFESTS.glob("*.yaml")):
        for manifest in yaml.safe_load_all(path.read_text()):
            found[manifest["kind"]] = manifest
    return found


class ManifestTests(LiveTestCase):
    """
    The manifests, read.
    """

    def setUp(self) -> None:
        self.all = manifests()
        self.deployment = self.all["Deployment"]["spec"]
        self.pod = self.deployment["template"]["spec"]
        [self.container] = self.pod["containers"]
        program, *rest = self.container["command"]
        self.assertEqual(
            (program, rest[:3]), ("twistd", ["--nodaemon", "--pidfile=", "terminable"])
        )
        self.options = Options()
        self.options.parseOptions(rest[3:])

    def test_schemas(self) -> None:
        """
        They are what Kubernetes takes, without a field that it does not know.
        """
        self.assertEqual(len(self.all), len(list(MANIFESTS.iterdir())))
        for release in RELEASES:
            for kind, manifest in self.all.items():
                kubernetes_validate.validate(manifest, release, strict=True)
                wrong = {**manifest, "spec": {**manifest["spec"], "misspelt": 1}}
                with self.assertRaises(kubernetes_validate.ValidationError, msg=kind):
                    kubernetes_validate.validate(wrong, release, strict=True)

    def test_selected(self) -> None:
        """
        Service and budget mean the pods of the deployment, and leave one that may go.
        """
        labels = self.deployment["template"]["metadata"]["labels"]
        budget = self.all["PodDisruptionBudget"]["spec"]
        selectors = (
            self.deployment["selector"]["matchLabels"],
            self.all["Service"]["spec"]["selector"],
            budget["selector"]["matchLabels"],
        )
        for selector in selectors:
            self.assertEqual(selector, labels)
        self.assertLess(budget["maxUnavailable"], self.deployment["replicas"])

    def test_ports(self) -> None:
        """
        The ports are those on which the server listens; others find one of them only.
        """
        ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        self.assertEqual(self.options["ports"], [f"tcp:{ports['http']}"])
        self.assertEqual(self.options["admin"], f"tcp:{ports['admin']}")
        found = [port["targetPort"] for port in self.all["Service"]["spec"]["ports"]]
        self.assertEqual(found, ["http"])
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            self.assertEqual(self.container[probe]["httpGet"]["port"], "admin")

    def test_times(self) -> None:
        """
        SIGKILL comes when everything is over; the quiesce time is longer than a readiness probe
        takes to fail; and no hook is in the way of SIGTERM.  The server knows the limit, and would
        say that its own times do not fit in.
        """
        schedule, readiness = self.options.schedule, self.container["readinessProbe"]
        assert schedule.gracePeriod is not None
        limit = self.pod["terminationGracePeriodSeconds"]
        self.assertGreaterEqual(limit, schedule.gracePeriod + AFTER)
        environment = {each["name"]: each["value"] for each in self.container["env"]}
        self.assertEqual(environment, {STOP_TIMEOUT: str(limit)})
        inPod = {**environment, "KUBERNETES_SERVICE_HOST": "10.96.0.1"}
        self.assertEqual(warnings(schedule, inPod), [])
        [advice] = warnings(schedule.changed(gracePeriod=float(limit)), inPod)
        self.assertIn(STOP_TIMEOUT, advice)
        noticed = readiness["periodSeconds"] * readiness["failureThreshold"]
        self.assertGreater(schedule.quiesce, noticed)
        self.assertNotIn("lifecycle", self.container)

    def test_restricted(self) -> None:
        """
        Nothing runs as root, or with more rights than it needs; the token lies in memory.
        """
        self.assertTrue(self.pod["securityContext"]["runAsNonRoot"])
        for container in (*self.pod["initContainers"], self.container):
            context = container["securityContext"]
            self.assertFalse(context["allowPrivilegeEscalation"])
            self.assertTrue(context["readOnlyRootFilesystem"])
            self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
        volumes = {volume["name"]: volume for volume in self.pod["volumes"]}
        mounted = {mount["mountPath"]: mount["name"] for mount in self.container["volumeMounts"]}
        place = str(Path(self.options["admin-token-file"]).parent)
        self.assertEqual(volumes[mounted[place]]["emptyDir"]["medium"], "Memory")

    def test_prose(self) -> None:
        """
        The page has the times that are in the manifests.
        """
        page = (ROOT / "docs" / "howto" / "kubernetes.rst").read_text()
        told = dict(re.findall(r"^(``--\w+``|\w+) +(\d+) s ", page, re.MULTILINE))
        schedule = self.options.schedule
        self.assertEqual(
            {name.strip("`"): float(value) for name, value in told.items()},
            {
                "--quiesce": schedule.quiesce,
                "--grace": schedule.gracePeriod,
                "terminationGracePeriodSeconds": self.pod["terminationGracePeriodSeconds"],
            },
        )


class PodTests(LiveTestCase):
    """
    What the containers run, run here.
    """

    def pod(self) -> tuple[Server, Address]:
        """
        The commands of the pod, in a directory and at ports of ours; its times are shorter.

        @return: the server, and where it serves; C{self.admin} is its admin door.
        """
        place, http, self.admin = self.directory(), Address(port=freePort()), freePort()
        spec = manifests()["Deployment"]["spec"]["template"]["spec"]
        [token], [container] = spec["initContainers"], spec["containers"]
        code = token["command"][-1].replace("/run/site", str(place))
        subprocess.run([sys.executable, "-c", code], check=True)
        replaced = {
            "--port=tcp:8080": f"--port={http.description}",
            "--path=/srv/site": "--class=tests.live.resources.Root",
            "--quiesce=5": "--quiesce=3",
            "--admin=tcp:9000": f"--admin=tcp:{self.admin}",
            "--admin-token-file=/run/site/token": f"--admin-token-file={place}/token",
        }
        words = container["command"][3:]
        for before in replaced:
            self.assertIn(before, words)
        return self.start(*(replaced.get(word, word) for word in words)), http

    def probe(self, name: str) -> Answer:
        """
        What the node is told.
        """
        spec = manifests()["Deployment"]["spec"]["template"]["spec"]["containers"][0]
        path = spec[f"{name}Probe"]["httpGet"]["path"]
        peer = Address(port=self.admin).connect()
        self.addCleanup(peer.close)
        peer.send(
            f"GET {path} HTTP/1.1\r\nHost: {POD}:9000\r\nUser-Agent: kube-probe/1.37\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n".encode()
        )
        return peer.answer()

    def statuses(self) -> list[int]:
        """
        The answers to all probes.
        """
        return [self.probe(name).status for name in ("startup", "readiness", "liveness")]

    def test_life(self) -> None:
        """
        All is well until SIGTERM; from then on the pod is not ready, but alive, and whoever still
        comes is served, and told that this was the last answer; then it ends, in time.
        """
        server, http = self.pod()
        self.assertTrue(eventually(lambda: self.statuses() == [200, 200, 200]), server.log())
        server.terminate()
        self.assertEqual(self.statuses(), [200, 503, 200])
        self.assertEqual(json.loads(self.probe("readiness").body)["status"], "quiescing")
        late = http.connect().get("/sync")
        self.assertEqual((late.status, late.closing), (200, True))
        self.assertLess(server.gone(), 3.0 + AFTER + SLACK, server.log())
        self.assertIn("1 finished, 0 aborted", server.report())

    def test_token(self) -> None:
        """
        Without the token, nothing else is told; the file is for its owner alone.
        """
        self.pod()
        peer = Address(port=self.admin).connect()
        self.addCleanup(peer.close)
        peer.send(f"GET /status HTTP/1.1\r\nHost: {POD}:9000\r\n\r\n".encode())
        self.assertEqual(peer.answer().status, 401)
