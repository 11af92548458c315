"""kill -9 of the platform while it works: what was acknowledged is there, what runs runs on, nothing runs twice."""

import json
import os
import random
import re
import select
import unittest

from harness import EXAMPLE, TIME_SCALE, ApiError, E2eTest, condition, pod, pytorchjob

IMAGES = f"""images:
  - image: "stoker/pytorch-digits*"
    root: host
    workingDir: {EXAMPLE}
"""


def runs_of(pods):
    """What must not change over a crash: which pods there are and when their containers started."""
    out = {}
    for item in pods:
        for status in item["status"].get("containerStatuses", []):
            state = status["state"].get("running") or status["state"].get("terminated") or {}
            out[item["metadata"]["uid"], status["name"]] = (status["restartCount"], state.get("startedAt"), status.get("containerID"))
    return out


class KillInTraining(E2eTest):
    images = IMAGES

    def follow_until(self, name, pattern):
        """Reads the log of a running pod up to a line that matches."""
        connection, response = self.api.open("GET", f"{self.pods}/{name}/log?follow=true", timeout=120)
        try:
            self.assertEqual(response.status, 200)
            for line in response:
                if re.match(pattern, line.decode()):
                    return line.decode()
        finally:
            connection.close()
        self.fail(f"the log of {name} ended before a line like {pattern}")

    def test_job_goes_on_over_two_kills(self):
        job = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": {"name": "digits"}, "spec": {"pytorchReplicaSpecs": {
            role: {"replicas": 1, "restartPolicy": "OnFailure", "template": {"spec": {"containers": [
                {"name": "pytorch", "image": "stoker/pytorch-digits", "command": ["python3", "train.py", "--epochs", "60"]}]}}}
            for role in ("Master", "Worker")}}}
        self.create(job)
        self.wait_job("digits", "Running")
        self.api.wait(self.pods, lambda pods: len(pods) == 2 and all(p["status"].get("phase") == "Running" for p in pods.values()), 60)
        for epoch in (3, 12):
            self.follow_until("digits-master-0", rf"epoch +{epoch} ")
            before = runs_of(self.api.get(self.pods)["items"])
            self.assertEqual(len(before), 2)
            self.stoker.kill9()
            self.stoker.up()
            after = runs_of(self.api.get(self.pods)["items"])
            self.assertEqual(before, after)
        self.wait_job("digits", "Succeeded", 180)
        self.assertEqual(before, runs_of(self.api.get(self.pods)["items"]))
        log = self.logs("digits-master-0")
        self.assertEqual([int(n) for n in re.findall(r"^epoch +(\d+) ", log, re.M)], list(range(1, 61)))
        self.assertGreater(float(re.search(r"^final accuracy (\S+)$", log, re.M).group(1)), 0.95)

    def test_pods_that_end_while_the_platform_is_down(self):
        volume = [{"name": "base", "hostPath": {"path": self.stoker.base}}]
        mount = {"volumeMounts": [{"name": "base", "mountPath": "/base"}]}
        # Each ends when somebody reads its pipe: after the kill, before the platform is back.
        for name, code in (("well", 0), ("badly", 7)):
            os.mkfifo(os.path.join(self.stoker.base, name))
            self.create(pod(name, f"echo begun; echo x > /base/{name}; exit {code}", container=mount, volumes=volume))
        for name in ("well", "badly"):
            self.wait_pod(name, "Running")
        self.stoker.kill9()
        for name in ("well", "badly"):
            pipe = os.open(os.path.join(self.stoker.base, name), os.O_RDONLY | os.O_NONBLOCK)
            self.addCleanup(os.close, pipe)
            self.assertTrue(select.select([pipe], [], [], 30 * TIME_SCALE)[0], f"{name} did not write")
        self.stoker.up()
        self.wait_pod("well", "Succeeded")
        failed = self.wait_pod("badly", "Failed")
        self.assertEqual(failed["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], 7)
        self.assertEqual(self.logs("badly"), "begun\n")

    def test_pod_killed_in_its_grace_period(self):
        self.create(pod("stubborn", "trap 'echo term' TERM; echo ready; while :; do sleep 0.1; done", terminationGracePeriodSeconds=3))
        self.wait_pod("stubborn", "Running")
        self.follow_until("stubborn", "ready")
        self.api.delete(f"{self.pods}/stubborn")
        self.stoker.kill9()
        self.stoker.up()
        self.api.wait_gone(self.pods, "stubborn", 30)

    def test_delete_while_down_is_not_lost(self):
        self.create(pod("a", "sleep 600"))
        self.wait_pod("a", "Running")
        self.stoker.kill9()
        self.stoker.up()
        self.api.delete(f"{self.pods}/a")
        self.api.wait_gone(self.pods, "a", 30)


class KillLoop(E2eTest):
    """Many short jobs while the platform is killed at random moments; it ends as an uninterrupted run does."""

    jobs_in_all = 24
    kills = 8
    flags = ("--node-pods", "200")

    def submit(self, index):
        # Every run leaves a line; two lines would be a pod that ran twice.
        name = f"job-{index:02}"
        body = pytorchjob(name, f"echo $HOSTNAME >> /base/{name}; sleep 0.{index % 5}; exit {int(index % 6 == 5)}",
                          container={"volumeMounts": [{"name": "base", "mountPath": "/base"}],
                                     "resources": {"requests": {"cpu": "10m"}}},
                          workers=index % 3)
        for replica in body["spec"]["pytorchReplicaSpecs"].values():
            replica["template"]["spec"]["volumes"] = [{"name": "base", "hostPath": {"path": self.ran}}]
        try:
            self.create(body)
        except ApiError as error:
            if error.code != 409:  # acknowledged or not, the one before the kill was written
                raise

    def test_ends_as_an_uninterrupted_run(self):
        self.ran = os.path.join(self.stoker.base, "ran")
        os.mkdir(self.ran)
        seed = int(os.environ.get("STOKER_KILL_SEED", random.randrange(1 << 32)))
        print(f"STOKER_KILL_SEED={seed}")
        dice = random.Random(seed)
        submitted = 0
        for kill in range(self.kills):
            upto = self.jobs_in_all * (kill + 1) // self.kills
            while submitted < upto:
                self.submit(submitted)
                submitted += 1
            # A random moment, told by what happens and not by a clock: so many changes from now.
            left = dice.randrange(1, 60)
            try:
                version = self.api.get(self.pods)["metadata"]["resourceVersion"]
                for _ in self.api.watch(f"{self.pods}?resourceVersion={version}", 3):
                    left -= 1
                    if left == 0:
                        break
            except TimeoutError:
                pass  # all is quiet: as good a moment as any
            self.stoker.kill9()
            self.stoker.up()
        ended = self.api.wait(self.jobs, lambda jobs: len(jobs) == self.jobs_in_all and
                              all(condition(j, "Succeeded") or condition(j, "Failed") for j in jobs.values()) and jobs, 180, "all jobs")
        for index in range(self.jobs_in_all):
            job = ended[f"job-{index:02}"]
            self.assertTrue(condition(job, "Failed" if index % 6 == 5 else "Succeeded"), json.dumps(job["status"]))
            with open(os.path.join(self.ran, f"job-{index:02}")) as lines:
                ran = sorted(lines.read().split())
            self.assertEqual(len(ran), len(set(ran)), f"a pod of job-{index:02} ran twice: {ran}")
            self.assertIn(f"job-{index:02}-master-0", ran)
        for item in self.api.get(self.pods)["items"]:
            for status in item["status"].get("containerStatuses", []):
                self.assertEqual(status["restartCount"], 0, item["metadata"]["name"])
        # And nothing holds anything any more.
        self.api.wait(f"/apis/stoker.dev/v1alpha1/namespaces/{self.ns}/gangs", lambda gangs: len(gangs) == self.jobs_in_all and
                      all(g["spec"].get("finished") for g in gangs.values()), 30, "all gangs finished")


if __name__ == "__main__":
    unittest.main()
