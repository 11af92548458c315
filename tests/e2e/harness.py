"""What every end-to-end test stands on: a real `stoker` over a data directory of its own, its API, kubectl.

    class Pods(E2eTest):                       # one Stoker for the class, one namespace for each test
        def test_runs(self):
            self.create(pod("a", "echo hello"))
            self.wait_pod("a", "Succeeded")

Nothing here sleeps: every wait is on an event (a watch, a pipe, the end of a process) and has a bound. STOKER_TIME_SCALE
multiplies all bounds, for sanitizers and slow machines. STOKER_PROGRAM names the program (default: the release build).
With STOKER_E2E_COMPLETE what is not installed (kubectl, python3-kubernetes) fails the tests that need it instead of skipping them.
"""

import base64
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PROGRAM = os.environ.get("STOKER_PROGRAM", os.path.join(ROOT, "build", "release", "stoker"))
EXAMPLE = os.path.join(ROOT, "examples", "pytorch-digits")
TIME_SCALE = float(os.environ.get("STOKER_TIME_SCALE", "1"))
# A real disk: data on tmpfs would make fsync free and hide what a crash can do.
DATA_ROOT = "/var/tmp"
KUBECTL_MINORS = (24, 32, 35)

POD_PATH = "/api/v1/namespaces/{}/pods"
JOB_PATH = "/apis/kubeflow.org/v1/namespaces/{}/pytorchjobs"


class Ended:
    """A command that has ended."""

    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    def __str__(self):
        return f"{' '.join(self.args)}\nexit status {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}"


def run(args, input=None, timeout=60, check=True, env=None, cwd=None):
    """Runs a command to its end; raises AssertionError with all it said when `check` and it failed."""
    process = subprocess.run(args, input=input, capture_output=True, text=True, timeout=timeout * TIME_SCALE,
                             env=env, cwd=cwd, errors="replace")
    ended = Ended(args, process.returncode, process.stdout, process.stderr)
    if check and process.returncode != 0:
        raise AssertionError(f"command failed: {ended}")
    return ended


def lacking(what):
    """What to raise when something that a test needs is not installed: a skip, but a failure under ./dev test, which installs it."""
    return AssertionError(what) if os.environ.get("STOKER_E2E_COMPLETE") else unittest.SkipTest(what)


def kubectl_path(minor):
    """The path of kubectl 1.`minor`; where there is none, lacking() with the reason."""
    found = run([os.path.join(HERE, "kubectl"), str(minor)], timeout=300, check=False)
    if found.code != 0:
        raise lacking(found.err.strip())
    return found.out.strip()


class ApiError(Exception):
    """An answer other than 2xx."""

    def __init__(self, code, body):
        self.code, self.status = code, body if isinstance(body, dict) else {"message": str(body)}
        super().__init__(f"{code}: {self.status.get('message')}")


class Api:
    """JSON over TLS with the credentials of a kubeconfig."""

    def __init__(self, kubeconfig):
        with open(kubeconfig) as file:
            text = file.read()
        self.host, port = re.search(r"server: \"?https://([^:\s]+):(\d+)", text).groups()
        self.port = int(port)
        pem = {key: base64.b64decode(re.search(rf"{key}: \"?([A-Za-z0-9+/=]+)", text).group(1))
               for key in ("certificate-authority-data", "client-certificate-data", "client-key-data")}
        self.context = ssl.create_default_context(cadata=pem["certificate-authority-data"].decode())
        with tempfile.NamedTemporaryFile() as both:
            both.write(pem["client-certificate-data"] + b"\n" + pem["client-key-data"])
            both.flush()
            self.context.load_cert_chain(both.name)

    def open(self, method, path, body=None, content_type="application/json", timeout=30):
        """Sends a request on a connection of its own; (connection, response)."""
        connection = http.client.HTTPSConnection(self.host, self.port, context=self.context, timeout=timeout * TIME_SCALE)
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
            if not isinstance(body, (str, bytes)):
                body = json.dumps(body)
        connection.request(method, path, body, headers)
        return connection, connection.getresponse()

    def call(self, method, path, body=None, content_type="application/json", timeout=30):
        """The decoded answer; ApiError unless 2xx."""
        connection, response = self.open(method, path, body, content_type, timeout)
        try:
            data = response.read().decode()
        finally:
            connection.close()
        try:
            data = json.loads(data)
        except ValueError:
            pass
        if response.status // 100 != 2:
            raise ApiError(response.status, data)
        return data

    def get(self, path):
        return self.call("GET", path)

    def create(self, path, body):
        return self.call("POST", path, body)

    def delete(self, path, body=None):
        return self.call("DELETE", path, body)

    def patch(self, path, body, kind="merge"):
        return self.call("PATCH", path, body, f"application/{kind}-patch+json")

    def watch(self, path, timeout):
        """Yields (type, object) from the beginning, for at most `timeout` seconds; then raises TimeoutError."""
        deadline = time.monotonic() + timeout * TIME_SCALE
        connection, response = self.open("GET", path + ("&" if "?" in path else "?") + "watch=true")
        try:
            if response.status != 200:
                raise ApiError(response.status, response.read().decode())
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                connection.sock.settimeout(left)
                line = response.readline()
                if not line:
                    raise ConnectionError(f"the server ended the watch of {path}")
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code"), event["object"])
                if event["type"] != "BOOKMARK":
                    yield event["type"], event["object"]
        except (socket.timeout, TimeoutError):
            raise TimeoutError(f"nothing came of watching {path} for {timeout * TIME_SCALE:g} s") from None
        finally:
            connection.close()

    def wait(self, path, predicate, timeout=60, what=""):
        """Watches a collection until `predicate` (of its objects by name) is true; what it gave. Deleted ones are gone."""
        objects = {}
        try:
            for kind, item in self.watch(path, timeout):
                name = item["metadata"]["name"]
                if kind == "DELETED":
                    objects.pop(name, None)
                else:
                    objects[name] = item
                found = predicate(objects)
                if found:
                    return found
        except TimeoutError as error:
            state = {name: item.get("status") for name, item in list(objects.items())[:5]}
            raise AssertionError(f"waited {timeout * TIME_SCALE:g} s for {what or path} ({error}); last seen: "
                                 f"{json.dumps(state)[:4000]}") from None

    def wait_for(self, path, name, predicate, timeout=60, what=""):
        """Waits until the object `name` of a collection makes `predicate` true; the object."""
        field = f"{path}?fieldSelector=metadata.name%3D{name}"
        return self.wait(field, lambda all: name in all and predicate(all[name]) and all[name], timeout, what or f"{path}/{name}")

    def wait_gone(self, path, name, timeout=60):
        """Waits until there is no object of that name."""
        deadline = time.monotonic() + timeout * TIME_SCALE
        listed = self.get(f"{path}?fieldSelector=metadata.name%3D{name}")
        if not listed["items"]:
            return
        version = listed["metadata"]["resourceVersion"]
        left = (deadline - time.monotonic()) / TIME_SCALE
        try:
            for kind, _ in self.watch(f"{path}?fieldSelector=metadata.name%3D{name}&resourceVersion={version}", left):
                if kind == "DELETED":
                    return
        except TimeoutError:
            raise AssertionError(f"{path}/{name} was not gone within {timeout * TIME_SCALE:g} s: "
                                 f"{json.dumps(self.get(path + '/' + name))[:4000]}") from None


def condition(item, kind):
    """Whether the condition is True."""
    return any(c["type"] == kind and c["status"] == "True" for c in item.get("status", {}).get("conditions", []))


def wait_process(pid, timeout=30):
    """Waits for the end of a process that need not be our child."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not select.select([handle], [], [], timeout * TIME_SCALE)[0]:
            raise AssertionError(f"process {pid} did not end within {timeout * TIME_SCALE:g} s")
    finally:
        os.close(handle)


class Stoker:
    """One instance. As a context manager it is up inside and purged after, whatever happens."""

    def __init__(self, *flags, data=None, images=None):
        self.flags = list(flags)
        self.base = None if data else tempfile.mkdtemp(prefix="stoker-e2e-", dir=DATA_ROOT)
        self.data = data or os.path.join(self.base, "data")
        self.kubeconfig = os.path.join(self.data, "admin.kubeconfig")
        self.api = None
        if images:
            os.makedirs(self.data, mode=0o700, exist_ok=True)
            with open(os.path.join(self.data, "images.yaml"), "w") as file:
                file.write(images)

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.purge()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind:
            print(self.dump(), file=sys.stderr)
        self.purge()

    def env(self):
        return {**os.environ, "KUBECONFIG": self.kubeconfig}

    def up(self, *flags, check=True):
        """Starts in the background; ready when this returns."""
        ended = run([PROGRAM, "up", "--data", self.data, "--listen", "127.0.0.1:0", "--detach", *self.flags, *flags],
                    check=check)
        if ended.code == 0:
            self.api = Api(self.kubeconfig)
        return ended

    def pid(self):
        with open(os.path.join(self.data, "stoker.pid")) as file:
            return int(file.readline())

    def kill9(self):
        """Kills the platform as a power cut of the process would; returns when it has ended."""
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        wait_process(pid)

    def down(self, *flags):
        return run([PROGRAM, "down", "--data", self.data, *flags], timeout=90)

    def purge(self):
        """Ends everything and removes the data; never raises."""
        try:
            ended = run([PROGRAM, "down", "--data", self.data, "--purge"], timeout=90, check=False)
            if ended.code != 0:
                print(f"purge failed: {ended}", file=sys.stderr)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"purge failed: {error}", file=sys.stderr)
        if self.base:
            shutil.rmtree(self.base, ignore_errors=True)

    def stoker(self, *args, check=True, timeout=60, input=None):
        return run([PROGRAM, *args], env=self.env(), check=check, timeout=timeout, input=input)

    def kubectl(self, *args, minor=35, check=True, timeout=60, input=None):
        # A cache of discovery that outlives the server (ports are reused) would lie to kubectl.
        cache = os.path.join(self.data, f".kubectl-{minor}")
        return run([kubectl_path(minor), "--cache-dir", cache, *args], env=self.env(), check=check, timeout=timeout, input=input)

    def start(self, *args, **options):
        """A command in the background with its output on pipes."""
        return subprocess.Popen(args, env=self.env(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)

    def log(self):
        try:
            with open(os.path.join(self.data, "stoker.log"), errors="replace") as file:
                return file.read()
        except OSError as error:
            return str(error)

    def dump(self):
        """The end of the log and what the API holds, for whoever reads a failure."""
        out = ["--- stoker.log", *self.log().splitlines()[-80:]]
        for path in ("/api/v1/pods", "/api/v1/events", "/apis/kubeflow.org/v1/pytorchjobs", "/apis/stoker.dev/v1alpha1/gangs"):
            out.append(f"--- {path}")
            try:
                for item in self.api.get(path)["items"][-30:]:
                    meta = item["metadata"]
                    shown = item.get("message") or json.dumps(item.get("status", {}))
                    out.append(f"{meta['namespace']}/{meta['name']}: {shown[:600]}")
            except Exception as error:  # the server may well be down
                out.append(str(error))
        return "\n".join(out)


def pod(name, command="true", *, container=None, namespace=None, **spec):
    """A pod of one container that runs a shell command; `container` and `spec` add fields."""
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 2,
                     "containers": [{"name": "main", "image": "host", "command": ["sh", "-c", command], **(container or {})}],
                     **spec}}
    if namespace:
        body["metadata"]["namespace"] = namespace
    return body


def pytorchjob(name, command="true", *, workers=0, master=None, worker=None, container=None, **spec):
    """A PyTorchJob whose replicas run a shell command."""

    def replica(count, extra):
        main = {"name": "pytorch", "image": "host", "command": ["sh", "-c", command], **(container or {})}
        return {"replicas": count, "restartPolicy": "Never", "template": {"spec": {"containers": [main]}}, **(extra or {})}

    replicas = {"Master": replica(1, master)}
    if workers:
        replicas["Worker"] = replica(workers, worker)
    return {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": {"name": name},
            "spec": {"pytorchReplicaSpecs": replicas, **spec}}


class Lines:
    """Reads a process's output line by line with a bound on each wait."""

    def __init__(self, process):
        self.process, self.lines = process, []
        self.changed = threading.Condition()
        self.ended = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait(self, predicate, timeout=60, what="a line"):
        """The first line that `predicate` accepts."""
        seen = 0
        deadline = time.monotonic() + timeout * TIME_SCALE
        with self.changed:
            while True:
                for line in self.lines[seen:]:
                    seen += 1
                    if predicate(line):
                        return line
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    raise AssertionError(f"{what} did not come {'before the end' if self.ended else 'in time'}: {self.lines[-20:]}")
                self.changed.wait(left)

    def finish(self, timeout=60):
        """The exit status, once the process has ended and all is read."""
        code = self.process.wait(timeout * TIME_SCALE)
        self.thread.join(timeout * TIME_SCALE)
        return code


@unittest.skipUnless(os.geteuid() == 0, "pods with namespaces, addresses and limits need root")
class E2eTest(unittest.TestCase):
    """One Stoker for the class; each test has a namespace of its own. On a failure the instance's state is printed."""

    flags = ()
    images = None
    stoker = None

    @classmethod
    def setUpClass(cls):
        cls.stoker = Stoker(*cls.flags, images=cls.images)
        cls.addClassCleanup(cls.stoker.purge)
        cls.stoker.up()

    def setUp(self):
        self.ns = re.sub(r"[^a-z0-9]+", "-", self._testMethodName.lower()).strip("-")[:50].strip("-")
        self.api.create("/api/v1/namespaces", {"metadata": {"name": self.ns}})
        self.pods, self.jobs = POD_PATH.format(self.ns), JOB_PATH.format(self.ns)
        self.api.wait_for(f"/api/v1/namespaces/{self.ns}/serviceaccounts", "default", lambda _: True, 20)

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before and self.stoker and self.stoker.api:
            print(f"=== {self.id()} failed; {self.stoker.dump()}", file=sys.stderr)

    @property
    def api(self):
        return self.stoker.api

    def collection(self, body):
        kind, version = body["kind"], body["apiVersion"]
        prefix = f"/api/{version}" if "/" not in version else f"/apis/{version}"
        plural = kind.lower() + ("es" if kind.endswith("s") and kind != "Endpoints" else "" if kind == "Endpoints" else "s")
        return f"{prefix}/namespaces/{self.ns}/{plural}"

    def create(self, body):
        return self.api.create(self.collection(body), body)

    def kubectl(self, *args, **options):
        return self.stoker.kubectl("-n", self.ns, *args, **options)

    def cli(self, *args, **options):
        return self.stoker.stoker(*args, "-n", self.ns, **options)

    def wait_pod(self, name, phase, timeout=60):
        """Waits for a phase; fails at once when the pod has ended in another."""
        final = ("Succeeded", "Failed")
        found = self.api.wait_for(self.pods, name, lambda p: p.get("status", {}).get("phase") in (phase, *final), timeout, f"pod {name} {phase}")
        self.assertEqual(found["status"]["phase"], phase, f"pod {name}: {json.dumps(found['status'])}")
        return found

    def wait_job(self, name, kind="Succeeded", timeout=90):
        found = self.api.wait_for(self.jobs, name, lambda j: condition(j, "Succeeded") or condition(j, "Failed") or condition(j, kind),
                                  timeout, f"job {name} {kind}")
        self.assertTrue(condition(found, kind), f"job {name} is not {kind}: {json.dumps(found['status'])}")
        return found

    def logs(self, name, *, query="", ns=None):
        connection, response = self.api.open("GET", f"{POD_PATH.format(ns or self.ns)}/{name}/log?{query}")
        try:
            data = response.read().decode(errors="replace")
            if response.status != 200:
                raise ApiError(response.status, json.loads(data))
            return data
        finally:
            connection.close()

    def output(self, name, command, *, phase="Succeeded", **options):
        """Runs a pod to its end; what it printed."""
        self.create(pod(name, command, **options))
        self.wait_pod(name, phase)
        return self.logs(name)
