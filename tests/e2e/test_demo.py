"""The way of a user: submit, look, follow, delete, with the real example on two pods."""

import json
import os
import re
import unittest

from harness import EXAMPLE, PROGRAM, E2eTest, Lines, run

IMAGES = f"""images:
  - image: "stoker/pytorch-digits*"
    root: host
    workingDir: {EXAMPLE}
"""


class Demo(E2eTest):
    images = IMAGES

    def test_submit_follow_look_delete(self):
        self.cli("submit", "pytorch", "--name", "digits", "--image", "stoker/pytorch-digits", "--workers", "2",
                 "--cpu", "500m", "--memory", "1Gi", "python3 train.py")
        listed = self.cli("list").out
        self.assertIn("digits", listed)
        self.assertRegex(listed.splitlines()[0], r"^NAME\s+STATUS\s+TRAINER\s+DURATION\s+GPU\(Requested\)\s+GPU\(Allocated\)\s+NODE\s+REASON$")

        follow = Lines(self.stoker.start(PROGRAM, "logs", "-f", "digits", "-n", self.ns))
        self.assertEqual(follow.finish(120), 0, follow.lines)
        epochs = [int(m.group(1)) for line in follow.lines if (m := re.match(r"epoch +(\d+) ", line))]
        self.assertEqual(epochs, list(range(1, 21)), follow.lines)
        accuracy = float(re.search(r"^final accuracy (\S+)$", "\n".join(follow.lines), re.M).group(1))
        self.assertGreater(accuracy, 0.95)

        self.assertEqual(self.cli("wait", "digits", "--timeout", "60s").code, 0)
        seen = json.loads(self.cli("get", "digits", "-o", "json").out)
        self.assertEqual(seen["status"], "SUCCEEDED")
        self.assertEqual(seen["chiefName"], "digits-master-0")
        self.assertEqual([i["name"] for i in seen["instances"] if i["chief"]], ["digits-master-0"])
        self.assertIn("SUCCEEDED", self.cli("list").out)
        page = self.cli("get", "digits", "-e").out
        self.assertRegex(page, r"Status:\s+SUCCEEDED")
        self.assertRegex(page, r"Events:\n(.*\n)*.*pytorchjob/digits")
        self.assertIn("digits", self.cli("why", "digits").out)
        self.assertIn("digits", self.cli("top", "job").out)
        self.assertRegex(self.stoker.stoker("top", "node").out, r"Ready")
        self.assertRegex(self.stoker.stoker("whoami").out, r"User:\s+\S+")

        self.assertIn("deleted successfully", self.cli("delete", "digits").out)
        self.api.wait_gone(self.jobs, "digits", 30)
        for pod in ("digits-master-0", "digits-worker-0"):
            self.api.wait_gone(self.pods, pod, 30)
        gone = self.cli("get", "digits", check=False)
        self.assertEqual(gone.code, 1)
        self.assertIn("not found", gone.err)

    def test_output_formats_of_list(self):
        self.cli("submit", "pytorch", "--name", "short", "--image", "host", "true")
        self.cli("wait", "short", "--timeout", "60s")
        self.assertEqual(json.loads(self.cli("list", "-o", "json").out)[0]["name"], "short")
        self.assertIn("name: short", self.cli("list", "-o", "yaml").out)
        self.assertIn(self.ns, self.cli("list", "-A").out)
        wrong = self.cli("list", "-o", "xml", check=False)
        self.assertEqual(wrong.code, 1)
        self.assertIn("xml", wrong.err)

    def test_called_as_arena_it_is_arena(self):
        link = os.path.join(self.stoker.data, "arena")
        os.symlink(PROGRAM, link)
        self.addCleanup(os.unlink, link)
        run([link, "submit", "pytorchjob", "--name=a", "--image=host", "-n", self.ns, "true"], env=self.stoker.env())
        self.wait_job("a")
        self.assertIn("arena", run([link, "help"]).out)


if __name__ == "__main__":
    unittest.main()
