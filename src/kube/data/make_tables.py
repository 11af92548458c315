#!/usr/bin/env python3
"""Makes messages.tsv, descriptions.tsv and resources.tsv: the part of Kubernetes' field and resource tables that is served.

usage: make_tables.py FIELDS.tsv RESOURCES.tsv GO_FACTS.tsv
FIELDS.tsv, RESOURCES.tsv: the reference tables (message, field, proto, type, attributes / groupVersion, resource, ...).
GO_FACTS.tsv: output of go_facts.go over the same version's Go packages (what the .proto files do not say: pointer fields,
fields that are always encoded, which messages carry apiVersion and kind, comments).
Run by hand when a kind is added; the outputs are committed.
"""
import collections
import os
import sys

CORE, META, EXT = "k8s.io.api.core.v1.", "k8s.io.apimachinery.pkg.apis.meta.v1.", \
    "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1."
KINDS = [  # groupVersion, resource, message, in discovery order
    ("v1", "namespaces", CORE + "Namespace"), ("v1", "nodes", CORE + "Node"), ("v1", "pods", CORE + "Pod"),
    ("v1", "services", CORE + "Service"), ("v1", "endpoints", CORE + "Endpoints"), ("v1", "configmaps", CORE + "ConfigMap"),
    ("v1", "secrets", CORE + "Secret"), ("v1", "serviceaccounts", CORE + "ServiceAccount"), ("v1", "events", CORE + "Event"),
    ("v1", "persistentvolumeclaims", CORE + "PersistentVolumeClaim"), ("v1", "persistentvolumes", CORE + "PersistentVolume"),
    ("batch/v1", "jobs", "k8s.io.api.batch.v1.Job"),
    ("rbac.authorization.k8s.io/v1", "clusterrolebindings", "k8s.io.api.rbac.v1.ClusterRoleBinding"),
    ("rbac.authorization.k8s.io/v1", "clusterroles", "k8s.io.api.rbac.v1.ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "rolebindings", "k8s.io.api.rbac.v1.RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "roles", "k8s.io.api.rbac.v1.Role"),
    ("apiextensions.k8s.io/v1", "customresourcedefinitions", EXT + "CustomResourceDefinition"),
    ("scheduling.k8s.io/v1", "priorityclasses", "k8s.io.api.scheduling.v1.PriorityClass"),
    ("coordination.k8s.io/v1", "leases", "k8s.io.api.coordination.v1.Lease"),
    ("discovery.k8s.io/v1", "endpointslices", "k8s.io.api.discovery.v1.EndpointSlice"),
]
OTHERS = [CORE + n for n in ("Binding", "PodExecOptions", "PodAttachOptions", "PodLogOptions", "PodPortForwardOptions")] + \
    [META + n for n in ("DeleteOptions", "CreateOptions", "UpdateOptions", "PatchOptions", "GetOptions", "ListOptions",
                        "Status", "PartialObjectMetadata", "PartialObjectMetadataList")] + \
    ["k8s.io.api.policy.v1.Eviction", "k8s.io.api.autoscaling.v1.Scale", "k8s.io.api.authentication.v1.TokenRequest",
     "k8s.io.api.authentication.v1.TokenReview", "k8s.io.api.authentication.v1.SelfSubjectReview"] + \
    ["k8s.io.api.authorization.v1." + n for n in ("SubjectAccessReview", "LocalSubjectAccessReview",
                                                   "SelfSubjectAccessReview", "SelfSubjectRulesReview")]
SCALARS = {"string", "int32", "int64", "bool", "double", "bytes"}


def qualify(message, kind):
    if kind.startswith("map<"):
        key, value = kind[4:-1].split(", ")
        assert key == "string", kind
        return "map " + qualify(message, value)
    if kind.startswith("repeated "):
        return "repeated " + qualify(message, kind[9:])
    if kind in SCALARS:
        return kind
    return kind[1:] if kind.startswith(".") else message.rsplit(".", 1)[0] + "." + kind


def main(fields_path, resources_path, facts_path):
    here = os.path.dirname(os.path.abspath(__file__))
    messages = collections.defaultdict(list)
    for line in open(fields_path):
        message, field, proto, kind, attributes = line.rstrip("\n").split("\t")
        if proto == "proto":
            continue
        messages[message].append((field.split("|")[0], proto, qualify(message, kind), attributes))
    flags, comments = {}, {}
    for line in open(facts_path):
        message, field, flag, comment = line.rstrip("\n").split("\t")
        flags[message, field], comments[message, field] = flag, comment
    roots = [m for _, _, m in KINDS] + [m + "List" for _, _, m in KINDS] + OTHERS
    seen, todo = set(), list(roots)
    while todo:
        message = todo.pop()
        if message in seen:
            continue
        seen.add(message)
        for _, _, kind, _ in messages[message]:
            leaf = kind.split(" ")[-1]
            if leaf not in SCALARS:
                todo.append(leaf)
    with open(os.path.join(here, "messages.tsv"), "w") as table, open(os.path.join(here, "descriptions.tsv"), "w") as docs:
        for message in sorted(seen):
            flag = flags.get((message, ""), "")
            # A message that carries apiVersion and kind says so: its Go struct embeds TypeMeta.
            print("=" + message, ("typemeta " if "T" in flag else "") + ("atomic" if "A" in flag else ""), sep="\t", file=table)
            print("=" + message, comments.get((message, ""), ""), sep="\t", file=docs)
            for field, proto, kind, attributes in messages[message]:
                flag = flags.get((message, field), "")
                if kind in SCALARS and "p" in flag:
                    attributes += " pointer"
                if kind.startswith(("repeated", "map")) or kind in SCALARS:
                    attributes += " always" if "a" in flag else ""
                print(field, proto, kind, attributes.strip(), sep="\t", file=table)
                if comments.get((message, field)):
                    print(field, comments[message, field], sep="\t", file=docs)
    rows = {}
    for line in open(resources_path):
        cells = line.rstrip("\n").split("\t")
        rows[cells[0], cells[1]] = cells
    with open(os.path.join(here, "resources.tsv"), "w") as out:
        print("groupVersion", "resource", "singular", "kind", "namespaced", "shortNames", "categories", "verbs",
              "columns (name:type, * = only with -o wide)", "status", "message", sep="\t", file=out)
        for group_version, resource, message in KINDS:
            status = "status" if (group_version, resource + "/status") in rows else ""
            print(*rows[group_version, resource], status, message, sep="\t", file=out)


main(*sys.argv[1:])
