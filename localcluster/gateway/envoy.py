"""Envoy as a component of its own: writes its bootstrap, then becomes Envoy.

It shares files with the gateway's controller and nothing else, so either can be restarted without the other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from localcluster import binaries
from localcluster.cluster import Cluster, ClusterNotFoundError
from localcluster.files import replace_file
from localcluster.gateway.buckets import buckets, objectives_milliseconds
from localcluster.gateway.resources import file_source
from localcluster.gateway.translate import Layout
from localcluster.gateway.xds_files import XdsFiles
from localcluster.paths import this_python


def layout_of(cluster: Cluster) -> Layout:
    """Where the gateway's files of a cluster lie."""
    return Layout(cluster.run_dir / "gateway", cluster.log_dir / "envoy-access.log")


def bootstrap(
    files: XdsFiles, admin_host: str, admin_port: int, buckets_milliseconds: Iterable[int]
) -> dict[str, Any]:
    """Envoy's static configuration; everything else arrives by files."""
    histogram = {"match": {"suffix": "_rq_time"}, "buckets": list(buckets_milliseconds)}
    return {
        "node": {"id": "local", "cluster": "local"},
        "admin": {"address": {"socket_address": {"address": admin_host, "port_value": admin_port}}},
        "dynamic_resources": {
            "cds_config": file_source(files.clusters_file),
            "lds_config": file_source(files.listeners_file),
        },
        "stats_config": {"histogram_bucket_settings": [histogram]},
    }


def command_line(binary: Path, bootstrap_file: Path, concurrency: int) -> list[str]:
    """How Envoy is run; a field that it does not know is an error instead of a warning."""
    command = [str(binary), "--config-path", str(bootstrap_file), "--concurrency", str(concurrency)]
    command += ["--reject-unknown-dynamic-fields", "--disable-hot-restart"]
    return [*command, "--file-flush-interval-msec", "1000", "--log-level", "warning"]


def main() -> int:
    """Write what Envoy starts from and replace this process by Envoy."""
    parser = argparse.ArgumentParser(
        prog=f"{this_python()} -m localcluster.gateway.envoy", description=__doc__
    )
    parser.add_argument("--run-dir", type=Path, required=True, help="run directory of the cluster")
    parser.add_argument(
        "--latency-bucket-milliseconds",
        type=int,
        action="append",
        default=[],
        metavar="N",
        help="one more edge of the latency histograms; may be repeated. Every objective of an "
        "InferenceService that exists when Envoy starts is an edge as well",
    )
    parser.add_argument("--concurrency", type=int, default=1, help="worker threads (default: %(default)s)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if any(edge <= 0 for edge in arguments.latency_bucket_milliseconds):
        parser.error("--latency-bucket-milliseconds: must be a positive number of milliseconds")
    try:
        cluster = Cluster.load(arguments.run_dir)
        binary = binaries.envoy()
    except (ClusterNotFoundError, binaries.ProgramMissingError) as error:
        parser.error(str(error))
    added = {
        *arguments.latency_bucket_milliseconds,
        *asyncio.run(objectives_milliseconds(cluster.kubeconfig)),
    }
    files = XdsFiles(layout_of(cluster))
    files.create_if_absent()
    cluster.log_dir.mkdir(parents=True, exist_ok=True)
    path = files.layout.directory / "bootstrap.json"
    admin = (cluster.envoy_admin_host, cluster.envoy_admin_port)
    replace_file(path, json.dumps(bootstrap(files, *admin, buckets(added)), indent=1))
    sys.stdout.flush()
    command = command_line(binary, path, arguments.concurrency)
    os.execv(binary, command)


if __name__ == "__main__":
    sys.exit(main())
