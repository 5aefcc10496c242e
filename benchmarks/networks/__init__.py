"""Pretrained networks that metrics and methods use: where they lie, and how they are called. Nothing is ever fetched."""

from benchmarks.networks.places import MISSING, NETWORKS, Network, NotAvailable, located, unusable, version

__all__ = ["MISSING", "NETWORKS", "Network", "NotAvailable", "located", "unusable", "version"]
