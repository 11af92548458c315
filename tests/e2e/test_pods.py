"""What a pod sees and how it lives: environment, volumes, identity, names, users, limits, restarts, logs."""

import json
import os
import tempfile
import unittest

from harness import ApiError, E2eTest, pod, pytorchjob


def env(**values):
    return [{"name": name, **({"valueFrom": value} if isinstance(value, dict) else {"value": value})} for name, value in values.items()]


class PodEnvironment(E2eTest):
    def config(self):
        self.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"mode": "fast", "level": "3"}})
        self.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"password": "hush"}})

    def test_environment(self):
        self.config()
        out = self.output("p", "env | sort", container={
            "env": env(GREETING="hello $(NAME)", NAME="world") + env(
                SECOND="hello $(NAME) $$(NAME) $(MISSING)",
                MODE={"configMapKeyRef": {"name": "settings", "key": "mode"}},
                PASSWORD={"secretKeyRef": {"name": "keys", "key": "password"}},
                ABSENT={"configMapKeyRef": {"name": "settings", "key": "nope", "optional": True}},
                POD={"fieldRef": {"fieldPath": "metadata.name"}},
                NS={"fieldRef": {"fieldPath": "metadata.namespace"}},
                IP={"fieldRef": {"fieldPath": "status.podIP"}},
                NODE={"fieldRef": {"fieldPath": "spec.nodeName"}},
                TEAM={"fieldRef": {"fieldPath": "metadata.labels['team']"}},
                CPUS={"resourceFieldRef": {"resource": "limits.cpu"}},
                MEM={"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}),
            "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "CFG_"}, {"secretRef": {"name": "keys"}}],
            "resources": {"limits": {"cpu": "1500m", "memory": "256Mi"}, "requests": {"cpu": "10m"}}})
        seen = dict(line.split("=", 1) for line in out.splitlines())
        # A reference sees only what stands before it.
        for name, value in {"GREETING": "hello $(NAME)", "NAME": "world", "SECOND": "hello world $(NAME) $(MISSING)", "MODE": "fast",
                            "PASSWORD": "hush", "POD": "p", "NS": self.ns, "TEAM": "", "CPUS": "2", "MEM": "256", "CFG_mode": "fast",
                            "CFG_level": "3", "password": "hush", "HOSTNAME": "p"}.items():
            self.assertEqual(seen.get(name), value, name)
        self.assertNotIn("ABSENT", seen)
        self.assertRegex(seen["IP"], r"^\d+\.\d+\.\d+\.\d+$")
        self.assertTrue(seen["NODE"])
        self.assertTrue(seen["KUBERNETES_SERVICE_HOST"])

    def test_missing_reference_waits_and_goes_on(self):
        self.create(pod("p", "echo $MODE", container={"env": env(MODE={"configMapKeyRef": {"name": "settings", "key": "mode"}})}))
        self.api.wait_for(self.pods, "p", lambda p: any(
            s.get("state", {}).get("waiting", {}).get("reason") == "CreateContainerConfigError"
            for s in p["status"].get("containerStatuses", [])), 30, "the reason why it waits")
        self.config()
        self.wait_pod("p", "Succeeded")
        self.assertEqual(self.logs("p"), "fast\n")

    def test_volumes(self):
        self.config()
        host = os.path.join(self.stoker.base, "host")
        os.makedirs(host)
        with open(os.path.join(host, "given"), "w") as file:
            file.write("from the host")
        out = self.output("p", """
            echo cm=$(cat /cm/mode) key=$(cat /picked/renamed) sub=$(cat /one) secret=$(cat /secret/password)
            echo mode=$(stat -Lc %a /secret/password)
            echo labels=$(cat /down/labels) cpu=$(cat /down/cpu)
            echo host=$(cat /host/given); echo back > /host/taken
            echo mem=$(stat -fc %T /mem) ; echo x > /empty/f && cat /empty/f
            echo ro=$( (echo x > /cm/new) 2>&1 | grep -c -i read-only)
            ls /empty/sub >/dev/null && echo subpath
        """, container={"volumeMounts": [
            {"name": "cm", "mountPath": "/cm"}, {"name": "picked", "mountPath": "/picked"},
            {"name": "cm", "mountPath": "/one", "subPath": "level"}, {"name": "secret", "mountPath": "/secret"},
            {"name": "down", "mountPath": "/down"}, {"name": "host", "mountPath": "/host"}, {"name": "mem", "mountPath": "/mem"},
            {"name": "empty", "mountPath": "/empty"}, {"name": "empty", "mountPath": "/deep", "subPath": "sub"}],
            "resources": {"requests": {"cpu": "250m"}}},
            volumes=[{"name": "cm", "configMap": {"name": "settings"}},
                     {"name": "picked", "configMap": {"name": "settings", "items": [{"key": "mode", "path": "renamed"}]}},
                     {"name": "secret", "secret": {"secretName": "keys", "defaultMode": 0o400}},
                     {"name": "down", "downwardAPI": {"items": [
                         {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                         {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "requests.cpu", "divisor": "1m"}}]}},
                     {"name": "host", "hostPath": {"path": host, "type": "Directory"}},
                     {"name": "mem", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}, {"name": "empty", "emptyDir": {}}])
        self.assertEqual(out.splitlines(), ["cm=fast key=fast sub=3 secret=hush", "mode=400", "labels= cpu=250", "host=from the host",
                                            "mem=tmpfs", "x", "ro=1", "subpath"])
        with open(os.path.join(host, "taken")) as file:
            self.assertEqual(file.read(), "back\n")

    def test_volume_follows_its_config_map(self):
        self.config()
        self.create(pod("p", "echo ready; until grep -q slow /cm/mode; do sleep 0.1; done; cat /cm/mode",
                        container={"volumeMounts": [{"name": "cm", "mountPath": "/cm"}]},
                        volumes=[{"name": "cm", "configMap": {"name": "settings"}}]))
        self.wait_pod("p", "Running")
        self.api.patch(f"/api/v1/namespaces/{self.ns}/configmaps/settings", {"data": {"mode": "slow"}})
        self.wait_pod("p", "Succeeded", 90)

    def test_service_account_reaches_the_api(self):
        for body in ({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}},
                     {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"},
                      "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]},
                     {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "b"},
                      "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
                      "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": self.ns}]}):
            self.create(body)
        self.config()
        script = """
import json, os, ssl, urllib.request, urllib.error
base = "/var/run/secrets/kubernetes.io/serviceaccount/"
token, ns = open(base + "token").read(), open(base + "namespace").read()
context = ssl.create_default_context(cafile=base + "ca.crt")
def get(host, path):
    url = f"https://{host}:{os.environ['KUBERNETES_SERVICE_PORT']}{path}"
    try:
        return json.load(urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": "Bearer " + token}), context=context))
    except urllib.error.HTTPError as error:
        return error.code
host = os.environ["KUBERNETES_SERVICE_HOST"]
print(get(host, f"/api/v1/namespaces/{ns}/configmaps/settings")["data"]["mode"])
print(get(host, f"/api/v1/namespaces/{ns}/secrets/keys"))
"""
        out = self.output("p", f"/usr/bin/python3 -c '{script.replace(chr(39), chr(39) + chr(34) + chr(39) + chr(34) + chr(39))}'",
                          serviceAccountName="robot")
        self.assertEqual(out, "fast\n403\n")
        self.assertEqual(self.output("q", "ls /var/run/secrets/kubernetes.io 2>/dev/null | wc -l", automountServiceAccountToken=False), "0\n")

    def test_names(self):
        self.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "group"},
                     "spec": {"clusterIP": "None", "selector": {"app": "server"}, "ports": [{"port": 80}]}})
        server = pod("server", "sleep 600", hostname="one", subdomain="group")
        server["metadata"]["labels"] = {"app": "server"}
        self.create(server)
        ip = self.wait_pod("server", "Running")["status"]["podIP"]
        self.api.wait(f"/apis/discovery.k8s.io/v1/namespaces/{self.ns}/endpointslices",
                      lambda all: any(ip in e.get("addresses", []) for s in all.values() for e in s.get("endpoints") or []), 30)
        # getent answers from the same resolver that every program uses.
        out = self.output("p", f"""
            for name in group group.{self.ns} group.{self.ns}.svc group.{self.ns}.svc.cluster.local one.group.{self.ns}.svc.cluster.local; do
              for try in 1 2 3 4 5 6 7 8 9 10; do getent ahostsv4 $name >/dev/null && break; sleep 0.2; done
              echo $name $(getent ahostsv4 $name | head -1 | cut -d' ' -f1)
            done
            getent hosts nothing.{self.ns}.svc.cluster.local || echo unknown
            hostname; getent hosts $(hostname) | tr -s ' ' | cut -d' ' -f2
        """)
        self.assertEqual([line.split()[-1] for line in out.splitlines()], [ip] * 5 + ["unknown", "p", "p"], out)

    def test_host_aliases_and_dns_policy(self):
        out = self.output("p", "getent hosts friend | cut -d' ' -f1; grep nameserver /etc/resolv.conf", dnsPolicy="None",
                          dnsConfig={"nameservers": ["192.0.2.53"]}, hostAliases=[{"ip": "192.0.2.7", "hostnames": ["friend"]}])
        self.assertEqual(out, "192.0.2.7\nnameserver 192.0.2.53\n")


class PodIsolation(E2eTest):
    def test_sees_only_itself(self):
        out = self.output("p", "echo procs=$(ls /proc | grep -c '^[0-9]*$') pid1=$(cat /proc/1/comm); ls /sys/class/net | tr '\\n' ' '; "
                               f"echo; ls {self.stoker.data} 2>&1 | grep -c key; echo uid=$(id -u); touch /usr/bin/mine && echo wrote")
        lines = out.splitlines()
        self.assertRegex(lines[0], r"^procs=[1-9] ")
        self.assertEqual(sorted(lines[1].split()), ["eth0", "lo"])
        self.assertEqual(lines[2:], ["0", "uid=0", "wrote"])
        self.assertFalse(os.path.exists("/usr/bin/mine"))

    def test_pods_reach_each_other(self):
        self.create(pod("server", "/usr/bin/python3 -m http.server 8000 --directory /etc/alternatives >/dev/null"))
        ip = self.wait_pod("server", "Running")["status"]["podIP"]
        self.output("client", f"for i in $(seq 50); do /usr/bin/python3 -c 'import urllib.request as u; print(u.urlopen(\"http://{ip}:8000/\").status)' "
                              "2>/dev/null && exit 0; sleep 0.1; done; exit 1")

    def test_user_and_groups(self):
        out = self.output("p", "id -u; id -g; id -G; touch /root/x 2>/dev/null || echo denied; touch /vol/x && stat -c %g /vol/x",
                          container={"volumeMounts": [{"name": "v", "mountPath": "/vol"}]}, volumes=[{"name": "v", "emptyDir": {}}],
                          securityContext={"runAsUser": 4242, "runAsGroup": 4343, "fsGroup": 4444, "supplementalGroups": [4545]})
        lines = out.splitlines()
        self.assertEqual(lines[:2], ["4242", "4343"])
        self.assertEqual(set(lines[2].split()), {"4343", "4444", "4545"})
        self.assertEqual(lines[3:], ["denied", "4444"])

    def test_run_as_non_root_refuses_root(self):
        self.create(pod("p", "id -u", securityContext={"runAsNonRoot": True}))
        self.api.wait_for(self.pods, "p", lambda p: any(
            s.get("state", {}).get("waiting", {}).get("reason") == "CreateContainerConfigError"
            for s in p["status"].get("containerStatuses", [])), 30)

    def test_memory_limit_kills(self):
        self.create(pod("p", "/usr/bin/python3 -c 'x = bytearray(300 << 20); print(len(x))'",
                        container={"resources": {"limits": {"memory": "64Mi"}}}))
        failed = self.wait_pod("p", "Failed")
        state = failed["status"]["containerStatuses"][0]["state"]["terminated"]
        self.assertEqual((state["reason"], state["exitCode"]), ("OOMKilled", 137))

    def test_cpu_limit_holds(self):
        # 0.2 CPUs for half a second of computing takes two and a half.
        out = self.output("p", "/usr/bin/python3 -c 'import time\nt=time.time()\nwhile time.process_time() < 0.4: pass\nprint(time.time()-t)'",
                          container={"resources": {"limits": {"cpu": "200m"}}})
        self.assertGreater(float(out), 1.0)

    def test_read_only_root(self):
        self.assertEqual(self.output("p", "touch /x 2>/dev/null || echo refused", container={"securityContext": {"readOnlyRootFilesystem": True}}), "refused\n")

    def test_shared_memory(self):
        self.assertEqual(self.output("p", "df -m /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2", volumes=[
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "32Mi"}}],
            container={"volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}]}), "32\n")


class PodLife(E2eTest):
    def container(self, name):
        return self.api.get(f"{self.pods}/{name}")["status"]["containerStatuses"][0]

    def test_exit_codes_and_signals(self):
        self.create(pod("code", "exit 42"))
        self.create(pod("signal", "kill -11 $$$$"))
        self.create(pod("nothing", container={"command": ["/no/such/program"]}))
        for name, expected, reason in (("code", 42, "Error"), ("signal", 139, "Error"), ("nothing", 128, "StartError")):
            state = self.wait_pod(name, "Failed")["status"]["containerStatuses"][0]["state"]["terminated"]
            self.assertEqual((state["exitCode"], state["reason"]), (expected, reason), state)
        self.assertIn("/no/such/program", state["message"])

    def test_termination_message(self):
        self.create(pod("p", "echo because > /dev/termination-log; exit 1"))
        state = self.wait_pod("p", "Failed")["status"]["containerStatuses"][0]["state"]["terminated"]
        self.assertEqual(state["message"].strip(), "because")

    def test_restart_on_failure(self):
        body = pod("p", "n=$(cat /v/n 2>/dev/null || echo 0); echo run $n; echo $((n+1)) > /v/n; [ $n -ge 2 ]",
                   container={"volumeMounts": [{"name": "v", "mountPath": "/v"}]}, volumes=[{"name": "v", "emptyDir": {}}], restartPolicy="OnFailure")
        self.create(body)
        self.api.wait_for(self.pods, "p", lambda p: any(
            s.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff" for s in p["status"].get("containerStatuses", [])), 30, "back-off")
        done = self.wait_pod("p", "Succeeded", 90)
        self.assertEqual(done["status"]["containerStatuses"][0]["restartCount"], 2)
        self.assertEqual(self.logs("p"), "run 2\n")
        self.assertEqual(self.logs("p", query="previous=true"), "run 1\n")

    def test_restart_always(self):
        self.create(pod("p", "echo run; exit 0", restartPolicy="Always"))
        self.api.wait_for(self.pods, "p", lambda p: any(s["restartCount"] >= 1 for s in p["status"].get("containerStatuses", [])), 60)
        self.assertEqual(self.container("p")["lastState"]["terminated"]["exitCode"], 0)

    def test_init_containers_run_in_order(self):
        mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
        inits = [{"name": f"init-{i}", "image": "host", "command": ["sh", "-c", f"echo {i} >> /v/order"], **mount} for i in (1, 2)]
        self.assertEqual(self.output("p", "cat /v/order", container=mount, volumes=[{"name": "v", "emptyDir": {}}], initContainers=inits), "1\n2\n")
        self.create(pod("q", "echo never", initContainers=[{"name": "bad", "image": "host", "command": ["false"]}]))
        self.wait_pod("q", "Failed")

    def test_several_containers_share_network(self):
        body = pod("p", "for i in $(seq 100); do /usr/bin/python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:8001/\")' 2>/dev/null "
                        "&& exit 0; sleep 0.1; done; exit 1")
        body["spec"]["containers"].append({"name": "side", "image": "host", "command": ["/usr/bin/python3", "-m", "http.server", "8001"]})
        self.create(body)
        self.api.wait_for(self.pods, "p", lambda p: any(s["name"] == "main" and s["state"].get("terminated", {}).get("exitCode") == 0
                                                        for s in p["status"].get("containerStatuses", [])), 60)
        self.assertEqual(self.api.get(f"{self.pods}/p")["status"]["phase"], "Running")

    def test_grace_period(self):
        self.create(pod("kind", "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done", terminationGracePeriodSeconds=30))
        self.create(pod("deaf", "trap '' TERM; echo ready; while :; do sleep 0.05; done", terminationGracePeriodSeconds=1))
        for name in ("kind", "deaf"):
            self.wait_pod(name, "Running")
            connection, response = self.api.open("GET", f"{self.pods}/{name}/log?follow=true")
            self.assertEqual(response.readline(), b"ready\n")
            self.api.delete(f"{self.pods}/{name}")
            self.assertEqual(response.read(), b"bye\n" if name == "kind" else b"")
            connection.close()
            self.api.wait_gone(self.pods, name, 20)

    def test_readiness_probe(self):
        program = """
import http.server
asked = []
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(self.path)
        self.send_response(503 if len(asked) == 1 else 200)
        self.end_headers()
http.server.HTTPServer(("", 8080), Handler).serve_forever()
"""
        self.create(pod("p", container={"command": ["/usr/bin/python3", "-c", program],
                                        "readinessProbe": {"httpGet": {"port": 8080, "path": "/ready"}, "periodSeconds": 1}}))
        ready = lambda p: [c["status"] for c in p["status"].get("conditions", []) if c["type"] == "Ready"]
        self.api.wait_for(self.pods, "p", lambda p: p["status"].get("phase") == "Running" and ready(p) == ["False"])
        self.api.wait_for(self.pods, "p", lambda p: ready(p) == ["True"])
        events = self.api.get(f"/api/v1/namespaces/{self.ns}/events")["items"]
        self.assertIn("503", " ".join(e["message"] for e in events if e["reason"] == "Unhealthy"))

    def test_active_deadline(self):
        self.create(pod("p", "sleep 600", activeDeadlineSeconds=1))
        self.assertEqual(self.wait_pod("p", "Failed")["status"]["reason"], "DeadlineExceeded")


class PodLogs(E2eTest):
    def test_tail_since_timestamps_limit(self):
        self.output("p", "for i in $(seq 100); do echo line $i; done; printf 'no newline'")
        self.assertEqual(self.logs("p", query="tailLines=2"), "line 100\nno newline\n")  # completed, as containerd does
        self.assertEqual(self.logs("p", query="tailLines=0"), "")
        self.assertEqual(self.logs("p").count("\n"), 101)
        stamped = self.logs("p", query="timestamps=true&tailLines=3").splitlines()
        self.assertRegex(stamped[0], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z line 99$")
        moment = stamped[0].split()[0]
        self.assertEqual(self.logs("p", query=f"sinceTime={moment}").splitlines()[-1], "no newline")
        self.assertEqual(self.logs("p", query="sinceTime=2100-01-01T00:00:00Z"), "")
        self.assertEqual(self.logs("p", query="limitBytes=10"), "line 1\nlin")
        self.assertEqual(self.logs("p", query="sinceSeconds=3600").count("\n"), 101)

    def test_both_streams_and_order(self):
        self.assertEqual(sorted(self.output("p", "echo out; echo err >&2").splitlines()), ["err", "out"])

    def test_rotated_log_keeps_its_newest(self):
        # More than one file (10 MiB) of lines: the newest are all there, in order, whatever was rotated away.
        self.create(pod("p", "/usr/bin/python3 -c 'for i in range(300000): print(f\"{i:08} \" + \"x\" * 91)'"))
        self.wait_pod("p", "Succeeded", 120)
        tail = self.logs("p", query="tailLines=150000").splitlines()
        self.assertEqual([int(line.split()[0]) for line in (tail[0], tail[-1])], [150000, 299999])
        self.assertEqual(len(tail), 150000)

    def test_errors(self):
        self.create(pod("p", "sleep 600"))
        self.wait_pod("p", "Running")
        for name, query, code in (("missing", "", 404), ("p", "container=nope", 400), ("p", "previous=true", 400), ("p", "tailLines=-1", 422)):
            with self.assertRaises(ApiError) as caught:
                self.logs(name, query=query)
            self.assertEqual(caught.exception.code, code, caught.exception)

    def test_follow_ends_with_the_container(self):
        self.create(pod("p", "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done"))
        self.wait_pod("p", "Running")
        self.assertEqual(self.logs("p", query="follow=true"), "1\n2\n3\n4\n5\n")


class Devices(E2eTest):
    flags = ("--simulate-devices", "nvidia=8")

    def test_no_card_twice(self):
        script = "echo $NVIDIA_VISIBLE_DEVICES; until [ -e /base/go ]; do sleep 0.05; done"
        base = os.path.join(self.stoker.base, "go")
        os.mkdir(base)
        mount = {"volumeMounts": [{"name": "base", "mountPath": "/base"}]}
        volumes = [{"name": "base", "hostPath": {"path": base}}]
        gpus = {"one": 1, "two": 2, "three": 3, "too-many": 3}
        for name, count in gpus.items():
            self.create(pod(name, script, container={**mount, "resources": {"limits": {"nvidia.com/gpu": str(count)}}}, volumes=volumes))
            if name != "too-many":
                self.wait_pod(name, "Running")
        waiting = self.api.wait_for(self.pods, "too-many", lambda p: any(
            c["type"] == "PodScheduled" and c["status"] == "False" for c in p["status"].get("conditions", [])), 30)
        self.assertIn("nvidia.com/gpu", json.dumps(waiting["status"]["conditions"]))
        open(os.path.join(base, "go"), "w").close()
        cards = {}
        for name in gpus:
            self.wait_pod(name, "Succeeded")
            cards[name] = self.logs(name).strip().split(",")
            self.assertEqual(len(set(cards[name])), gpus[name], cards)
        together = cards["one"] + cards["two"] + cards["three"]
        self.assertEqual(len(set(together)), 6, cards)

    def test_a_pod_without_cards_sees_none(self):
        self.assertIn(self.output("p", "echo [$NVIDIA_VISIBLE_DEVICES]"), ("[]\n", "[void]\n", "[none]\n"))

    def test_gang_of_cards(self):
        base = os.path.join(self.stoker.base, "both")
        os.mkdir(base)
        # Neither ends before the other has its cards: what has not begun when the job ends is taken away.
        job = pytorchjob("g", "echo cards=$NVIDIA_VISIBLE_DEVICES; touch /both/$HOSTNAME; until [ $(ls /both | wc -l) = 2 ]; do sleep 0.05; done", workers=1,
                         container={"resources": {"limits": {"nvidia.com/gpu": 4}}, "volumeMounts": [{"name": "both", "mountPath": "/both"}]})
        for replica in job["spec"]["pytorchReplicaSpecs"].values():
            replica["template"]["spec"]["volumes"] = [{"name": "both", "hostPath": {"path": base}}]
        self.create(job)
        self.wait_job("g")
        self.wait_pod("g-worker-0", "Succeeded")
        cards = [self.logs(f"g-{role}-0").strip().removeprefix("cards=").split(",") for role in ("master", "worker")]
        self.assertEqual(sorted(cards[0] + cards[1], key=int), [str(i) for i in range(8)])


class ManyPods(E2eTest):
    def test_forty_at_once(self):
        names = [f"p-{i:02}" for i in range(40)]
        for name in names:
            self.create(pod(name, "sleep 600"))
        running = self.api.wait(self.pods, lambda pods: len(pods) == 40 and all(p["status"].get("phase") == "Running" for p in pods.values()) and pods,
                                60, "40 pods Running")
        self.assertEqual(len({p["status"]["podIP"] for p in running.values()}), 40)
        self.api.delete(self.pods)
        for name in names:
            self.api.wait_gone(self.pods, name)


class SimulatedNodes(E2eTest):
    @classmethod
    def setUpClass(cls):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
            file.write("- {prefix: sim, count: 3, cpu: 8, memory: 32Gi, gpus: 8xA100, pods: 20}\n")
        cls.addClassCleanup(os.unlink, file.name)
        cls.flags = ("--no-node", "--simulate-nodes", file.name)
        super().setUpClass()

    def test_pods_pretend(self):
        nodes = self.api.wait("/api/v1/nodes", lambda nodes: len(nodes) == 3 and nodes)
        self.assertTrue(all(n["status"]["capacity"]["nvidia.com/gpu"] == "8" for n in nodes.values()))
        job = pytorchjob("big", workers=2, container={"resources": {"limits": {"nvidia.com/gpu": 8}}})
        for replica in job["spec"]["pytorchReplicaSpecs"].values():
            replica["template"]["metadata"] = {"annotations": {"stoker.dev/simulate-duration": "200ms"}}
        self.create(job)
        self.wait_job("big")
        self.assertEqual(len({p["spec"]["nodeName"] for p in self.api.get(self.pods)["items"]}), 3)


if __name__ == "__main__":
    unittest.main()
