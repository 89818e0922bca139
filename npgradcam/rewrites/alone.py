"""Which nodes serve one other alone, so that one layer can do the work of all of them.

Every way from such a node leads to that other one, its post-dominator. The nearest post-dominators make a tree, in
which whatever serves a node hangs below it; two walks through the graph grow it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set
from functools import reduce
from operator import itemgetter

from npgradcam.topology import Node, Topology


class Alone:
    """What serves each node of a graph alone.

    Parameters
    ----------
    network : Topology
    free : set of str
        The nodes whose value nobody but its readers needs; others serve nobody alone.
    opening : set of str
        The nodes that may read what serves others too.
    """

    def __init__(self, network: Topology, free: Set[str], opening: Set[str]) -> None:
        self._nodes = {node.name: (place, node) for place, node in enumerate(network.nodes)}
        self._leads = leads = dict.fromkeys(network.inputs, "")  # the nearest post-dominator; "" where there is none
        self._depth = {"": 0}
        readers: dict[str, list[str]] = defaultdict(list)
        for node in reversed(network.nodes):
            alone = node.name in free and node.name in readers
            leads[node.name] = reduce(self._meet, readers[node.name]) if alone else ""
            self._depth[node.name] = self._depth[leads[node.name]] + 1
            for name in node.inputs:
                readers[name].append(node.name)
        # what serves a node, and how deep the shallowest node lies that whatever they read serves
        self._served: dict[str, list[str]] = defaultdict(list)
        self._shallowest = dict(self._depth)
        for node in network.nodes:
            at, shallowest = leads[node.name], self._shallowest
            if node.name not in opening:
                shallowest[node.name] = min([shallowest[node.name], *(self._depth[leads[x]] for x in node.inputs)])
            shallowest[at] = min(shallowest[at], shallowest[node.name])
            self._served[at].append(node.name)

    def _meet(self, a: str, b: str) -> str:
        """Return the nearest node to which two lead, themselves included."""
        while a != b:
            if self._depth[a] < self._depth[b]:
                a, b = b, a
            a = self._leads[a]
        return a

    def serving(self, name: str) -> list[Node]:
        """Return a node and what serves it alone, in their order; nothing where one reads what serves others too."""
        if self._shallowest[name] < self._depth[name]:
            return []
        found = [name]
        for each in found:  # it grows
            found += self._served[each]
        return [node for _, node in sorted((self._nodes[each] for each in found), key=itemgetter(0))]
