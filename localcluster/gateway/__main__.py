"""Programs Envoy from the Gateway API objects of a local cluster, and reports what is in force.

Envoy runs beside it: .venv/bin/python -m localcluster.gateway.envoy --run-dir DIR
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from localcluster.api import KubeconfigError, connect
from localcluster.cluster import Cluster, ClusterNotFoundError
from localcluster.gateway.admin import EnvoyAdmin
from localcluster.gateway.controller import Controller
from localcluster.gateway.envoy import layout_of
from localcluster.gateway.xds_files import XdsFiles
from localcluster.lock import exclusive
from localcluster.paths import this_python


async def _run(cluster: Cluster, kubeconfig: Path) -> None:
    envoy = EnvoyAdmin(cluster.envoy_admin_host, cluster.envoy_admin_port, cluster.log_dir / "envoy.log")
    files = XdsFiles(layout_of(cluster))
    async with connect(kubeconfig) as api:
        try:
            await Controller(api, envoy, files, cluster.gateway_http_port).run()
        finally:
            await envoy.close()


def main() -> int:
    """Run the gateway's controller until it is stopped."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m localcluster.gateway", description=__doc__)
    parser.add_argument("--run-dir", type=Path, required=True, help="run directory of the cluster")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        cluster = Cluster.load(arguments.run_dir)
    except ClusterNotFoundError as error:
        parser.error(str(error))
    try:
        kubeconfig = cluster.kubeconfig_of("gateway")
    except ClusterNotFoundError:
        kubeconfig = cluster.kubeconfig
    taken = f"a gateway controller runs already for {cluster.run_dir}; stop it first"
    with exclusive(layout_of(cluster).directory / "controller.lock", lambda: parser.error(taken)):
        try:
            asyncio.run(_run(cluster, kubeconfig))
        except KubeconfigError as error:
            parser.error(str(error))
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
