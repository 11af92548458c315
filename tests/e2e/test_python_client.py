"""The official Python client (Debian's python3-kubernetes)."""

from harness import TIME_SCALE, E2eTest, lacking, pod

try:
    import kubernetes
except ImportError:
    kubernetes = None


class PythonClient(E2eTest):
    def setUp(self):
        if kubernetes is None:
            raise lacking("python3-kubernetes is not installed")
        super().setUp()
        client = kubernetes.config.new_client_from_config(self.stoker.kubeconfig)
        self.addCleanup(client.close)
        self.core = kubernetes.client.CoreV1Api(client)
        self.custom = kubernetes.client.CustomObjectsApi(client)

    def test_create_list_patch_watch_delete(self):
        body = kubernetes.client.V1ConfigMap(metadata=kubernetes.client.V1ObjectMeta(name="a", labels={"app": "x"}), data={"k": "v"})
        made = self.core.create_namespaced_config_map(self.ns, body)
        self.assertEqual(made.data, {"k": "v"})
        self.core.patch_namespaced_config_map("a", self.ns, {"data": {"k2": "v2"}})
        listed = self.core.list_namespaced_config_map(self.ns, label_selector="app=x")
        self.assertEqual([c.data for c in listed.items], [{"k": "v", "k2": "v2"}])
        self.core.create_namespaced_pod(self.ns, pod("p", "echo hello"))
        watch, phases = kubernetes.watch.Watch(), []
        for event in watch.stream(self.core.list_namespaced_pod, self.ns, timeout_seconds=int(60 * TIME_SCALE)):
            phases.append(event["object"].status.phase)
            if phases[-1] == "Succeeded":
                watch.stop()
        self.assertEqual(phases[-1], "Succeeded")
        self.assertEqual(self.core.read_namespaced_pod_log("p", self.ns), "hello\n")
        self.core.delete_namespaced_config_map("a", self.ns)
        with self.assertRaises(kubernetes.client.ApiException) as caught:
            self.core.read_namespaced_config_map("a", self.ns)
        self.assertEqual(caught.exception.status, 404)

    def test_custom_objects(self):
        job = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": {"name": "j"}, "spec": {"pytorchReplicaSpecs": {
            "Master": {"replicas": 1, "template": {"spec": {"containers": [{"name": "pytorch", "image": "host", "command": ["true"]}]}}}}}}
        self.custom.create_namespaced_custom_object("kubeflow.org", "v1", self.ns, "pytorchjobs", job)
        self.wait_job("j")
        seen = self.custom.get_namespaced_custom_object("kubeflow.org", "v1", self.ns, "pytorchjobs", "j")
        self.assertEqual([c["type"] for c in seen["status"]["conditions"] if c["status"] == "True"], ["Created", "Succeeded"])
        self.custom.delete_namespaced_custom_object("kubeflow.org", "v1", self.ns, "pytorchjobs", "j")
        self.api.wait_gone(self.jobs, "j")


if __name__ == "__main__":
    unittest.main()
