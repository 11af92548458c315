"""Starting, stopping, and what is refused with which words."""

import http.client
import json
import os
import socket
import ssl
import unittest

from harness import PROGRAM, Api, ApiError, E2eTest, Stoker, pod, pytorchjob, run, wait_process


class Start(unittest.TestCase):
    def instance(self, *flags):
        stoker = Stoker(*flags)
        self.addCleanup(stoker.purge)
        return stoker

    def refused(self, *args, env=None):
        ended = run([PROGRAM, *args], check=False, env=env)
        self.assertNotEqual(ended.code, 0, ended)
        self.assertEqual(ended.out, "", ended)
        return ended.err

    def test_up_status_down_up(self):
        stoker = self.instance()
        self.assertRegex(stoker.up().out, r"Stoker is ready at https://127\.0\.0\.1:\d+\n")
        self.assertIn("1 of 1 ready", run([PROGRAM, "status", "--data", stoker.data]).out.replace("  ", " "))
        stoker.api.create("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "kept"}})
        again = stoker.up(check=False)
        self.assertEqual(again.code, 1)
        self.assertIn("already running", again.err)
        self.assertIn("stopped; 0 pods go on running", stoker.down().out)
        status = run([PROGRAM, "status", "--data", stoker.data], check=False)
        self.assertEqual(status.code, 3)
        self.assertIn("not running", status.out)
        self.assertIn("not running", stoker.down().out)
        stoker.up()
        stoker.api.get("/api/v1/namespaces/default/configmaps/kept")

    def test_private_files(self):
        stoker = self.instance()
        stoker.up()
        self.assertEqual(os.stat(stoker.data).st_mode & 0o777, 0o700)
        for folder, _, files in os.walk(os.path.join(stoker.data, "pki")):
            for name in files:
                if name.endswith(".key"):
                    self.assertEqual(os.stat(os.path.join(folder, name)).st_mode & 0o777, 0o600, name)
        self.assertEqual(os.stat(stoker.kubeconfig).st_mode & 0o777, 0o600)

    def test_anonymous_sees_health_and_version_only(self):
        stoker = self.instance()
        stoker.up()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for path, code in (("/healthz", 200), ("/readyz", 200), ("/livez", 200), ("/version", 200),
                           ("/api/v1/namespaces", 403), ("/api/v1/secrets", 403), ("/metrics", 403)):
            connection = http.client.HTTPSConnection(stoker.api.host, stoker.api.port, context=context)
            connection.request("GET", path)
            self.assertEqual(connection.getresponse().status, code, path)
            connection.close()
        connection = http.client.HTTPSConnection(stoker.api.host, stoker.api.port, context=context)
        connection.request("GET", "/api/v1/namespaces", headers={"Authorization": "Bearer nonsense"})
        self.assertEqual(connection.getresponse().status, 401)
        connection.close()

    def test_two_instances_do_not_meet(self):
        one, two = self.instance(), self.instance()
        one.up()
        two.up()
        path = "/api/v1/namespaces/default/pods"
        ips = []
        for stoker in (one, two):
            stoker.api.create(path, pod("same-name", "sleep 600"))
            seen = stoker.api.wait_for(path, "same-name", lambda p: p["status"].get("phase") == "Running")
            ips.append(seen["status"]["podIP"])
        self.assertNotEqual(ips[0].rsplit(".", 2)[0], ips[1].rsplit(".", 2)[0])
        # A pod of one cannot reach a pod of the other.
        two.api.create(path, pod("probe", f"ping -c1 -W1 {ips[0]} >/dev/null 2>&1 && echo reached || echo apart"))
        two.api.wait_for(path, "probe", lambda p: p["status"].get("phase") == "Succeeded")
        self.assertEqual(two.api.get(f"{path}/probe/log"), "apart\n")
        one.down("--pods")
        seen = two.api.get(f"{path}/same-name")
        self.assertEqual(seen["status"]["phase"], "Running")
        # The credentials of one are worth nothing at the other.
        one.up()
        mixed = Api(one.kubeconfig)
        mixed.port = two.api.port
        with self.assertRaises(Exception):
            mixed.get(path)

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            stoker = self.instance()
            os.makedirs(stoker.data, mode=0o700)
            message = self.refused("up", "--data", stoker.data, "--listen", f"127.0.0.1:{port}", "--detach")
        self.assertIn(str(port), message)
        self.assertRegex(message, "in use|already")

    def test_data_directory_held_by_another(self):
        stoker = self.instance()
        stoker.up()
        # Even where the pid file is gone.
        os.rename(os.path.join(stoker.data, "stoker.pid"), os.path.join(stoker.data, "hidden"))
        message = self.refused("up", "--data", stoker.data, "--listen", "127.0.0.1:0", "--detach")
        os.rename(os.path.join(stoker.data, "hidden"), os.path.join(stoker.data, "stoker.pid"))
        self.assertIn(stoker.data, message)
        self.assertRegex(message, "held|in use|locked|another")
        stoker.api.get("/api/v1/namespaces/default")

    def test_corrupt_database_is_named_and_kept(self):
        stoker = self.instance()
        stoker.up()
        for index in range(50):
            stoker.api.create("/api/v1/namespaces/default/configmaps", {"metadata": {"name": f"c{index}"}, "data": {"k": "x" * 2000}})
        stoker.down()
        database = os.path.join(stoker.data, "state.db")
        size = os.path.getsize(database)
        with open(database, "r+b") as file:
            file.seek(0)
            file.write(os.urandom(4096))
        with open(database, "rb") as file:
            broken = file.read()
        ended = stoker.up(check=False)
        self.assertNotEqual(ended.code, 0)
        self.assertIn(database, ended.err)
        self.assertRegex(ended.err, "corrupt|not a database|malformed|damaged")
        with open(database, "rb") as file:
            self.assertEqual(file.read(), broken)
        self.assertEqual(os.path.getsize(database), size)

    def test_flags(self):
        self.assertRegex(self.refused("up", "--lissten", "x"), r"unknown flag.*--lissten.*did you mean.*--listen")
        self.assertIn("did you mean submit", self.refused("sumbit").replace('"', ""))
        self.assertRegex(self.refused("submit", "pytorch", "--gpu", "1"), r"did you mean.*--gpus")
        self.assertIn("HOST:PORT", self.refused("up", "--listen", "nowhere"))
        self.assertIn("1 to 4000", self.refused("up", "--node-pods", "0"))
        self.assertIn("VENDOR=COUNT", self.refused("up", "--simulate-devices", "nvidia"))
        self.assertIn("takes no arguments", self.refused("status", "please"))
        self.assertIn("tfjob", self.refused("submit", "tfjob", "--name", "x"))
        self.assertRegex(self.refused("submit", "pytorch", "--name", "a", "--image", "b", "--tensorboard", "true"), "--tensorboard")

    def test_no_server(self):
        env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "KUBECONFIG": "/nonexistent/config"}
        self.assertIn("/nonexistent/config", self.refused("list", env=env))
        stoker = self.instance()
        stoker.up()
        stoker.down()
        message = self.refused("list", env=stoker.env())
        self.assertRegex(message, "not running or not reachable|refused")
        self.assertIn("stoker up", message)

    def test_purge_keeps_its_hands_off_other_directories(self):
        stoker = self.instance()
        precious = os.path.join(stoker.base, "precious")
        os.makedirs(precious)
        with open(os.path.join(precious, "thesis.tex"), "w") as file:
            file.write("years of work")
        self.assertIn("not a data directory", self.refused("down", "--data", precious, "--purge"))
        self.assertTrue(os.path.exists(os.path.join(precious, "thesis.tex")))

    def test_down_leaves_pods_running_and_says_how_many(self):
        stoker = self.instance()
        stoker.up()
        path = "/api/v1/namespaces/default/pods"
        stoker.api.create(path, pod("stays", "sleep 600"))
        before = stoker.api.wait_for(path, "stays", lambda p: p["status"].get("phase") == "Running")
        self.assertIn("1 pod goes on running", stoker.down().out)
        self.assertIn("1 of its pods go", run([PROGRAM, "status", "--data", stoker.data], check=False).out)
        stoker.up()
        after = stoker.api.get(f"{path}/stays")
        self.assertEqual(before["status"]["containerStatuses"], after["status"]["containerStatuses"])
        self.assertIn("Ended 1 pod.", stoker.down("--pods").out)

    def test_purge_leaves_nothing_on_the_machine(self):
        def links():
            return {name for name in os.listdir("/sys/class/net") if name.startswith("stk")}

        before = links()
        stoker = Stoker()
        with stoker:
            stoker.api.create("/api/v1/namespaces/default/pods", pod("a", "sleep 600"))
            stoker.api.wait_for("/api/v1/namespaces/default/pods", "a", lambda p: p["status"].get("phase") == "Running")
            self.assertGreater(len(links()), len(before))
            pid = stoker.pid()
        wait_process(pid)
        self.assertEqual(links(), before)
        self.assertFalse(os.path.exists(stoker.data))
        with open("/proc/self/mountinfo") as mounts:
            self.assertNotIn(stoker.data, mounts.read())


class BadJobs(E2eTest):
    """A wish that is wrong is refused with the path; one that cannot be met is accepted, and its verdict says so."""

    flags = ("--simulate-devices", "nvidia=8")

    def refused(self, body):
        ended = self.kubectl("create", "-f", "-", input=json.dumps(body), check=False)
        self.assertNotEqual(ended.code, 0, ended)
        return ended.err

    def test_no_image(self):
        job = pytorchjob("a")
        del job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"][0]["image"]
        self.assertRegex(self.refused(job), r"image")

    def test_two_masters(self):
        job = pytorchjob("a", master={"replicas": 2})
        self.assertRegex(self.refused(job), r"spec\.pytorchReplicaSpecs.*Master.*1")

    def test_no_replicas(self):
        job = pytorchjob("a")
        job["spec"]["pytorchReplicaSpecs"] = {}
        self.assertRegex(self.refused(job), r"pytorchReplicaSpecs")

    def test_unknown_replica_type(self):
        job = pytorchjob("a")
        job["spec"]["pytorchReplicaSpecs"]["Chief"] = job["spec"]["pytorchReplicaSpecs"]["Master"]
        self.assertRegex(self.refused(job), r"Chief")

    def test_no_container_named_pytorch(self):
        job = pytorchjob("a", container={"name": "other"})
        self.assertRegex(self.refused(job), r"pytorch")

    def test_name_too_long(self):
        self.assertRegex(self.refused(pytorchjob("a" * 64)), r"metadata\.name.*63")

    def test_name_of_digits(self):
        self.assertRegex(self.refused(pytorchjob("1abc")), r"metadata\.name")

    def test_negative_quantity(self):
        message = self.refused(pytorchjob("a", container={"resources": {"requests": {"cpu": "-1"}}}))
        self.assertRegex(message, r"cpu.*must be greater than or equal to 0|cpu.*negative")
        message = self.refused(pod("a", container={"resources": {"limits": {"memory": "-1Gi"}}}))
        self.assertIn("spec.containers[0].resources.limits[memory]: Invalid value", message)

    def test_malformed_quantity(self):
        self.assertRegex(self.refused(pod("a", container={"resources": {"limits": {"memory": "lots"}}})), r"quantit")

    def test_unknown_field_of_a_job(self):
        self.assertIn('unknown field "spec.nprocPerNod"', self.refused(pytorchjob("a", nprocPerNod="1")))

    def test_yaml_with_line_and_column(self):
        # Sent as YAML, so that our parser and not kubectl's answers.
        with self.assertRaises(ApiError) as caught:
            self.api.call("POST", self.pods, "kind: Pod\nmetadata: {name: a\n", "application/yaml")
        self.assertEqual(caught.exception.code, 400)
        self.assertRegex(caught.exception.status["message"], r"line \d+")
        with self.assertRaises(ApiError) as caught:
            self.api.call("POST", self.pods, '{"kind": "Pod",\n "metadata": {]}', "application/json")
        self.assertEqual(caught.exception.code, 400)
        self.assertRegex(caught.exception.status["message"], r"line 2|offset|column")

    def test_cli_says_what_is_wrong(self):
        for arguments, word in (((), "--name"), (("--name", "x"), "--image"), (("--name", "X", "--image", "i", "true"), "--name"),
                                (("--name", "x", "--image", "i"), "command"),
                                (("--name", "x", "--image", "i", "--memory", "-1", "true"), "--memory"),
                                (("--name", "x", "--image", "i", "--workers", "0", "true"), "--workers"),
                                (("--name", "x", "--image", "i", "--workers", "two", "true"), "--workers")):
            ended = self.cli("submit", "pytorch", *arguments, check=False)
            self.assertEqual(ended.code, 1, ended)
            self.assertIn(word, ended.err)
        self.cli("submit", "pytorch", "--name", "twice", "--image", "host", "true")
        self.assertIn("already exist", self.cli("submit", "pytorch", "--name", "twice", "--image", "host", "true", check=False).err)

    def test_sixteen_gpus_is_a_verdict(self):
        self.cli("submit", "pytorch", "--name", "big", "--image", "host", "--gpus", "16", "true")
        gangs = f"/apis/stoker.dev/v1alpha1/namespaces/{self.ns}/gangs"
        self.api.wait(gangs, lambda all: any(g.get("status", {}).get("verdict", {}).get("message") for g in all.values()), 20)
        expected = "no node has 16 nvidia.com/gpu; the largest has 8"
        self.assertIn(expected, self.cli("why", "big").out)
        self.assertIn(expected, self.cli("list").out)
        self.assertIn(expected, self.kubectl("get", "gangs", "-o", "yaml").out)
        self.assertIn(expected, self.kubectl("get", "events").out)


if __name__ == "__main__":
    unittest.main()
