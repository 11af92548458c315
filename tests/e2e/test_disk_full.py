"""A full disk: writes are refused with a clear message, reads go on, and it recovers by itself."""

import json
import os
import shutil
import tempfile
import time
import unittest

from harness import DATA_ROOT, TIME_SCALE, ApiError, Stoker, pod, run


@unittest.skipUnless(os.geteuid() == 0, "mounting a small file system needs root")
class DiskFull(unittest.TestCase):
    def setUp(self):
        self.base = tempfile.mkdtemp(prefix="stoker-full-", dir=DATA_ROOT)
        self.addCleanup(shutil.rmtree, self.base, ignore_errors=True)
        self.mount = os.path.join(self.base, "mnt")
        os.mkdir(self.mount)
        image = os.path.join(self.base, "disk.img")
        with open(image, "wb") as file:
            file.truncate(48 << 20)
        run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", image])
        mounted = run(["mount", "-o", "loop", image, self.mount], check=False)
        if mounted.code != 0:
            run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", self.mount])
        self.addCleanup(run, ["umount", "-l", self.mount], check=False)

    def fill(self):
        path = os.path.join(self.mount, "ballast")
        with open(path, "ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError as error:
                    self.assertEqual(error.errno, 28, error)
        return path

    def test_refuses_reads_on_recovers(self):
        path = "/api/v1/namespaces/default/configmaps"
        with Stoker(data=os.path.join(self.mount, "data")) as stoker:
            api = stoker.api
            api.create(path, {"metadata": {"name": "before"}, "data": {"k": "x" * 1000}})
            ballast = self.fill()
            # What the database had set aside takes a few more.
            written, refused = [], None
            for index in range(20000):
                try:
                    api.create(path, {"metadata": {"name": f"c{index}"}, "data": {"k": "x" * 100000}})
                    written.append(f"c{index}")
                except ApiError as error:
                    refused = error
                    break
            self.assertIsNotNone(refused, "a full disk took every write")
            self.assertIn(refused.code, (500, 503, 507), refused)
            self.assertRegex(refused.status["message"].lower(), r"disk|space", refused)
            # Reads and watches go on, and show what was acknowledged, nothing else.
            names = {item["metadata"]["name"] for item in api.get(path)["items"]} - {"kube-root-ca.crt"}
            self.assertEqual(names, {"before", *written})
            self.assertEqual(api.get(f"{path}/before")["data"]["k"], "x" * 1000)
            listed = stoker.kubectl("get", "cm", "before")
            self.assertIn("before", listed.out)
            said = stoker.kubectl("create", "cm", "more", "--from-literal=k=" + "x" * 100000, check=False)
            self.assertNotEqual(said.code, 0)
            self.assertRegex(said.err.lower(), r"disk|space")

            os.unlink(ballast)
            deadline = time.monotonic() + 20 * TIME_SCALE
            while True:
                try:
                    api.create(path, {"metadata": {"name": "after"}, "data": {"k": "y"}})
                    break
                except ApiError as error:
                    self.assertLess(time.monotonic(), deadline, f"no write was taken after space was freed: {error}")
            api.create("/api/v1/namespaces/default/pods", pod("runs-again", "echo well"))
            api.wait_for("/api/v1/namespaces/default/pods", "runs-again", lambda p: p["status"].get("phase") == "Succeeded", 60)
            # And all of it is there after a crash.
            stoker.kill9()
            stoker.up()
            names = {item["metadata"]["name"] for item in stoker.api.get(path)["items"]} - {"kube-root-ca.crt"}
            self.assertEqual(names, {"before", "after", *written})

    def test_start_on_a_full_disk_says_so(self):
        self.fill()
        stoker = Stoker(data=os.path.join(self.mount, "data"))
        self.addCleanup(stoker.purge)
        ended = stoker.up(check=False)
        self.assertNotEqual(ended.code, 0)
        self.assertRegex(ended.err.lower(), r"space|disk", json.dumps(ended.err))


if __name__ == "__main__":
    unittest.main()
