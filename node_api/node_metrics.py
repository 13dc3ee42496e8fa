"""The operator's listener: one Prometheus page for the whole node.

Each process's own page gets a `process` label and all are merged by family; what CometBFT says of itself is
read from its status. A process that does not answer is missing and shown as down.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry
from starlette.types import Receive, Scope, Send

from authnet_core.errors import AuthnetError
from authnet_runtime import metrics
from node_api.comet_proxy import CometCall, CometProxy, text_of
from node_api.node import Node
from node_api.replies import reply
from node_api.rest import PROMETHEUS


class _Fixed:
    """A registry's collector that yields what it was given."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def merge(pages: dict[str, str]) -> str:
    """One page from several, each sample labelled with its process."""
    families: dict[str, Metric] = {}
    for process, page in pages.items():
        for family in text_string_to_metric_families(page):
            merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                merged.add_sample(sample.name, {**sample.labels, "process": process}, sample.value)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Fixed(families.values()))
    return generate_latest(registry).decode()


class NodeMetrics:
    """ASGI application of the second listener: GET /metrics."""

    def __init__(self, node: Node, comet: CometProxy) -> None:
        self._node, self._comet = node, comet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] != "/metrics" or scope["method"] != "GET":
            await reply(send, 404, b"GET /metrics\n", ((b"content-type", b"text/plain"),))
            return
        await reply(send, 200, (await self.page()).encode(), PROMETHEUS)

    async def page(self) -> str:
        pages = {"node_api": metrics.render()}
        up = GaugeMetricFamily("authnet_process_up", "Whether a process answered", labels=["name"])
        up.add_metric(["node_api"], 1)
        sources: dict[str, Callable[[], Awaitable[str]]] = {
            "p2p_dkg": self._node.keeper.metrics,
            "abci_app": self._node.chain.metrics,
            "cometbft": self._comet_page,
        }
        for name, read in sources.items():
            try:
                pages[name] = await read()
            except AuthnetError:
                pages.pop(name, None)
            up.add_metric([name], 1.0 if name in pages else 0.0)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Fixed([up]))
        return merge(pages) + generate_latest(registry).decode()

    async def _comet_page(self) -> str:
        status = text_of(await self._comet.relay(CometCall("status"))).get("result", {})
        sync = status.get("sync_info", {})
        height = GaugeMetricFamily("authnet_comet_height", "Newest block height")
        height.add_metric([], float(sync.get("latest_block_height") or 0))
        catching_up = GaugeMetricFamily("authnet_comet_catching_up", "Whether blocks are still fetched")
        catching_up.add_metric([], 1.0 if sync.get("catching_up") else 0.0)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Fixed([height, catching_up]))
        return generate_latest(registry).decode()
