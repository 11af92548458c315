"""kubectl, three versions of it: 1.24 (OpenAPI v2 only, client-side validation), 1.32 (protobuf bodies), 1.35 (the newest)."""

import base64
import json
import os
import re
import unittest

from harness import EXAMPLE, E2eTest, Lines, kubectl_path, pod

IMAGES = f"""images:
  - image: "stoker/pytorch-digits*"
    root: host
    workingDir: {EXAMPLE}
"""

CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: demo}}
data: {mode: fast, lines: "3"}
"""

SLEEPER = """\
apiVersion: v1
kind: Pod
metadata: {name: sleeper, labels: {app: demo}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: host, command: [sleep, "600"]}]
"""


class KubectlTests:
    """Mixed into one class per version."""

    minor = None
    images = IMAGES

    @classmethod
    def setUpClass(cls):
        kubectl_path(cls.minor)  # skips before a server is started for nothing
        super().setUpClass()

    def k(self, *args, **options):
        return self.stoker.kubectl("-n", self.ns, *args, minor=self.minor, **options)

    def refused(self, *args, **options):
        """What it says on stderr; fails when it succeeds."""
        ended = self.k(*args, check=False, **options)
        self.assertNotEqual(ended.code, 0, ended)
        return ended.err

    # ---- the example job -------------------------------------------------------------------------------------------------

    def test_training_job(self):
        manifest = os.path.join(EXAMPLE, "job.yaml")
        self.assertIn("pytorchjob.kubeflow.org/digits created", self.k("apply", "-f", manifest).out)
        self.assertIn("pytorchjob.kubeflow.org/digits unchanged", self.k("apply", "-f", manifest).out)
        self.k("wait", "--for=condition=Succeeded", "pytorchjob/digits", "--timeout=120s", timeout=150)
        log = self.k("logs", "digits-master-0").out
        self.assertGreater(float(re.search(r"final accuracy (\S+)", log).group(1)), 0.95)
        table = self.k("get", "pytorchjobs").out.splitlines()
        self.assertRegex(table[0], r"^NAME\s+STATE\s+AGE$")
        self.assertRegex(table[1], r"^digits\s+Succeeded\s")
        described = self.k("describe", "pytorchjob", "digits").out
        self.assertRegex(described, r"Kind:\s+PyTorchJob")
        self.assertIn("PyTorchJobSucceeded", described)
        self.assertRegex(described, r"Events:")
        self.assertIn("digits", self.k("get", "gangs").out)
        self.assertIn("Completed", self.k("get", "pods").out)
        self.assertIn('pytorchjob.kubeflow.org "digits" deleted', self.k("delete", "-f", manifest).out)
        self.assertIn("NotFound", self.refused("get", "pytorchjob", "digits"))

    # ---- objects ---------------------------------------------------------------------------------------------------------

    def test_apply_and_change(self):
        self.assertIn("created", self.k("apply", "-f", "-", input=CONFIG_MAP).out)
        first = json.loads(self.k("get", "cm", "settings", "-o", "json").out)
        self.assertIn("unchanged", self.k("apply", "-f", "-", input=CONFIG_MAP).out)
        again = json.loads(self.k("get", "cm", "settings", "-o", "json").out)
        self.assertEqual(first["metadata"]["resourceVersion"], again["metadata"]["resourceVersion"])
        self.assertIn("configured", self.k("apply", "-f", "-", input=CONFIG_MAP.replace("mode: fast, ", "")).out)
        self.assertEqual(json.loads(self.k("get", "cm", "settings", "-o", "json").out)["data"], {"lines": "3"})
        self.k("patch", "cm", "settings", "-p", '{"data":{"a":"1"}}')
        self.k("patch", "cm", "settings", "--type=merge", "-p", '{"data":{"lines":null}}')
        self.k("patch", "cm", "settings", "--type=json", "-p", '[{"op":"add","path":"/data/b","value":"2"}]')
        self.assertEqual(json.loads(self.k("get", "cm", "settings", "-o", "json").out)["data"], {"a": "1", "b": "2"})
        self.k("label", "cm", "settings", "tier=gold")
        self.k("annotate", "cm", "settings", "note=hello")
        meta = json.loads(self.k("get", "cm", "settings", "-o", "json").out)["metadata"]
        self.assertEqual(meta["labels"]["tier"], "gold")
        self.assertEqual(meta["annotations"]["note"], "hello")
        self.assertIn("settings", self.k("get", "cm", "-l", "tier=gold,app!=x", "-o", "name").out)
        self.assertIn("settings", self.k("get", "cm", "-L", "tier").out)
        self.assertIn("already has a value", self.refused("label", "cm", "settings", "tier=silver"))
        self.k("replace", "-f", "-", input=CONFIG_MAP)
        self.assertNotIn("tier", json.loads(self.k("get", "cm", "settings", "-o", "json").out)["metadata"]["labels"])

    def test_edit(self):
        self.k("apply", "-f", "-", input=CONFIG_MAP)
        editor = os.path.join(self.stoker.data, f"editor-{self.minor}")
        with open(editor, "w") as file:
            file.write("#!/bin/sh\nsed -i 's/mode: fast/mode: slow/' \"$1\"\n")
        os.chmod(editor, 0o755)
        os.environ["KUBE_EDITOR"] = editor
        self.addCleanup(os.environ.pop, "KUBE_EDITOR", None)
        self.assertIn("edited", self.k("edit", "cm", "settings").out)
        self.assertEqual(self.k("get", "cm", "settings", "-o", "jsonpath={.data.mode}").out, "slow")

    def test_create_of_many_kinds(self):
        name = self.ns + "-x"
        self.assertIn("created", self.k("create", "namespace", name).out)
        self.k("create", "configmap", "c", "--from-literal=a=b")
        self.k("create", "secret", "generic", "s", "--from-literal=password=x")
        self.assertEqual(self.k("get", "secret", "s", "-o", "jsonpath={.data.password}").out, "eA==")
        self.k("create", "serviceaccount", "robot")
        self.k("create", "role", "reader", "--verb=get,list", "--resource=pods,configmaps")
        self.k("create", "rolebinding", "reads", "--role=reader", f"--serviceaccount={self.ns}:robot")
        self.k("create", "clusterrole", name, "--verb=list", "--resource=nodes")
        self.k("create", "clusterrolebinding", name, f"--clusterrole={name}", f"--serviceaccount={self.ns}:robot")
        self.k("create", "job", "once", "--image=host", "--", "sh", "-c", "echo done")
        self.k("wait", "--for=condition=complete", "job/once", "--timeout=60s", timeout=90)
        self.assertEqual(self.k("logs", "job/once").out, "done\n")
        self.k("create", "service", "clusterip", "web", "--tcp=80:8080")
        self.k("create", "priorityclass", name, "--value=100")
        robot = f"system:serviceaccount:{self.ns}:robot"
        self.assertEqual(self.k("auth", "can-i", "list", "pods", "--as", robot).out.strip(), "yes")
        denied = self.k("auth", "can-i", "delete", "pods", "--as", robot, check=False)
        self.assertEqual((denied.code, denied.out.strip()), (1, "no"))
        self.assertEqual(self.k("auth", "can-i", "list", "nodes", "--as", robot).out.strip(), "yes")
        self.assertEqual(self.k("auth", "can-i", "*", "*").out.strip(), "yes")
        self.k("auth", "can-i", "--list")
        token = self.k("create", "token", "robot", "--duration=10m").out.strip()
        self.assertEqual(token.count("."), 2)
        as_robot = ("--kubeconfig=/dev/null", f"--server=https://{self.api.host}:{self.api.port}",
                    f"--certificate-authority={self.ca_file()}", f"--token={token}")
        self.assertIn("c ", self.k(*as_robot, "get", "cm").out)
        self.assertIn(f'User "{robot}" cannot list resource "secrets"', self.refused(*as_robot, "get", "secrets"))
        self.k("delete", "namespace", name)
        self.k("delete", "clusterrole,clusterrolebinding,priorityclass", name, check=False)

    def ca_file(self):
        path = os.path.join(self.stoker.data, "ca-for-tests.crt")
        with open(self.stoker.kubeconfig) as config, open(path, "wb") as file:
            file.write(base64.b64decode(re.search(r"certificate-authority-data: \"?([A-Za-z0-9+/=]+)", config.read()).group(1)))
        return path

    def test_delete_all(self):
        for name in ("a", "b", "c"):
            self.k("create", "configmap", name, "--from-literal=k=v")
            self.k("create", "-f", "-", input=json.dumps(pod(name, "sleep 600")))
        self.k("delete", "cm", "a", "b")
        self.assertIn('configmap "c" deleted', self.k("delete", "cm", "--all").out)
        out = self.k("delete", "pods", "--all").out
        self.assertEqual(out.count("deleted"), 3, out)
        self.assertIn("No resources found", self.k("get", "pods").err)

    def test_scale(self):
        train = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": {"name": "elastic"},
                 "spec": {"runPolicy": {"suspend": True}, "elasticPolicy": {"minReplicas": 1, "maxReplicas": 4},
                          "pytorchReplicaSpecs": {"Worker": {"replicas": 1, "template": {"spec": {"containers": [
                              {"name": "pytorch", "image": "host", "command": ["true"]}]}}}}}}
        self.k("create", "-f", "-", input=json.dumps(train))
        self.assertIn("scaled", self.k("scale", "pytorchjob/elastic", "--replicas=3").out)
        self.assertEqual(self.k("get", "pytorchjob", "elastic", "-o", "jsonpath={.spec.pytorchReplicaSpecs.Worker.replicas}").out, "3")
        self.assertIn("xpected", self.refused("scale", "pytorchjob/elastic", "--replicas=2", "--current-replicas=9"))

    # ---- looking ---------------------------------------------------------------------------------------------------------

    def test_outputs(self):
        self.k("apply", "-f", "-", input=SLEEPER)
        self.k("wait", "--for=condition=Ready", "pod/sleeper", "--timeout=30s")
        table = self.k("get", "pods").out.splitlines()
        self.assertRegex(table[0], r"^NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE$")
        self.assertRegex(table[1], r"^sleeper\s+1/1\s+Running\s+0\s")
        wide = self.k("get", "pods", "-o", "wide").out.splitlines()
        self.assertRegex(wide[0], r"AGE\s+IP\s+NODE\s+NOMINATED NODE\s+READINESS GATES$")
        self.assertRegex(wide[1], r"\d+\.\d+\.\d+\.\d+")
        self.assertIn("kind: Pod", self.k("get", "pod", "sleeper", "-o", "yaml").out)
        self.assertEqual(json.loads(self.k("get", "pods", "-o", "json").out)["kind"], "List")
        self.assertEqual(self.k("get", "pods", "-o", "jsonpath={.items[*].metadata.name}").out, "sleeper")
        self.assertEqual(self.k("get", "pods", "-o", "custom-columns=N:.metadata.name", "--no-headers").out.strip(), "sleeper")
        self.assertEqual(self.k("get", "pods", "--field-selector=status.phase=Running", "-o", "name").out.strip(), "pod/sleeper")
        self.assertIn(self.ns, self.k("get", "pods", "-A").out)
        self.assertRegex(self.k("get", "nodes").out, r"NAME\s+STATUS\s+ROLES\s+AGE\s+VERSION\n\S+\s+Ready\s+control-plane\s")
        described = self.k("describe", "pod", "sleeper").out
        self.assertRegex(described, r"Status:\s+Running")
        self.assertIn("Started", described)
        self.assertIn("Capacity:", self.k("describe", "node").out)
        self.assertIn("sleeper", self.k("get", "events").out)
        self.assertIn("sleeper", self.k("get", "all").out)
        self.k("get", "ns,sa,cm,pods,svc,endpoints,jobs,crd,pc,leases,pvc,endpointslices")

    def test_watch(self):
        follow = Lines(self.stoker.start(kubectl_path(self.minor), "-n", self.ns, "get", "pods", "-w", "--no-headers",
                                         "--output-watch-events"))
        self.addCleanup(follow.process.wait)
        self.addCleanup(follow.process.kill)
        self.k("apply", "-f", "-", input=SLEEPER)
        # A watch that begins after the pod runs tells of it at once as ADDED.
        follow.wait(lambda line: re.match(r"(ADDED|MODIFIED)\s+sleeper\s+1/1\s+Running", line), 30)
        self.k("delete", "pod", "sleeper")
        follow.wait(lambda line: re.match(r"DELETED\s+sleeper", line), 30)

    def test_discovery_and_explain(self):
        resources = self.k("api-resources").out
        for word in ("pytorchjobs", "gangs", "configmaps", "rolebindings", "customresourcedefinitions"):
            self.assertIn(word, resources)
        self.assertIn("kubeflow.org/v1", self.k("api-versions").out)
        self.assertRegex(self.k("version", *(["--short"] if self.minor < 28 else [])).out, r"Server Version: v1\.35\.4")
        # 1.32 and 1.35 ask for OpenAPI v3 first, which belongs to another issue; v2 must do.
        explained = self.k("explain", "pod.spec.restartPolicy", *(["--output=plaintext-openapiv2"] if self.minor >= 27 else [])).out
        self.assertRegex(explained, r"(?s)KIND:\s+Pod.*FIELD:\s+restartPolicy")
        self.assertIn("is running", self.k("cluster-info").out)

    def test_logs_follow(self):
        self.k("create", "-f", "-", input=json.dumps(pod("talk", "for i in 1 2 3; do echo line $i; done")))
        self.k("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/talk", "--timeout=30s")
        self.assertEqual(self.k("logs", "-f", "talk").out, "line 1\nline 2\nline 3\n")
        self.assertEqual(self.k("logs", "talk", "--tail=1").out, "line 3\n")
        self.assertRegex(self.k("logs", "talk", "--timestamps", "--tail=1").out, r"^\d{4}-\d\d-\d\dT\S+Z line 3\n$")
        self.assertIn("container nope is not valid for pod talk", self.refused("logs", "talk", "-c", "nope"))

    # ---- what is wrong ---------------------------------------------------------------------------------------------------

    def test_unknown_field(self):
        bad = CONFIG_MAP + "daata: {}\n"
        message = self.refused("apply", "-f", "-", input=bad)
        # 1.24 checks against the OpenAPI document itself; later ones let the server check.
        self.assertRegex(message, r'unknown field "daata"')
        nested = SLEEPER.replace("image: host", "imagee: host, image: host")
        message = self.refused("apply", "-f", "-", input=nested)
        self.assertRegex(message, r'unknown field "(spec\.containers\[0\]\.)?imagee"')
        self.assertIn("created", self.k("apply", "--validate=false", "-f", "-", input=bad).out)

    def test_bad_objects(self):
        message = self.refused("create", "-f", "-", input=json.dumps(pod("Upper_Case")))
        self.assertIn("metadata.name: Invalid value", message)
        two = {"name": "main", "image": "host", "command": ["true"]}
        message = self.refused("create", "--validate=false", "-f", "-", input=json.dumps(pod("p", containers=[two, two])))
        self.assertIn("spec.containers[1].name: Duplicate value", message)
        message = self.refused("create", "-f", "-", input="kind: ConfigMap\napiVersion: v1\nmetadata: {name: [}\n")
        self.assertIn("yaml", message)
        self.k("create", "-f", "-", input=CONFIG_MAP)
        self.assertIn("AlreadyExists", self.refused("create", "-f", "-", input=CONFIG_MAP))
        self.assertIn("NotFound", self.refused("get", "cm", "nothing"))
        self.assertIn("the server doesn't have a resource type", self.refused("get", "nonsense"))

    def test_server_side_dry_run(self):
        self.assertIn("created (server dry run)", self.k("apply", "--dry-run=server", "-f", "-", input=CONFIG_MAP).out)
        self.assertIn("NotFound", self.refused("get", "cm", "settings"))


class Kubectl24(KubectlTests, E2eTest):
    minor = 24


class Kubectl32(KubectlTests, E2eTest):
    minor = 32


class Kubectl35(KubectlTests, E2eTest):
    minor = 35


if __name__ == "__main__":
    unittest.main()
