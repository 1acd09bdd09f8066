"""What the stack serves: each service's place below the main host, its classic port, nginx's body limit and error shape."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    name: str
    prefix: str
    classic_port: int	# the reference server's own; 0: a service of ours, below its prefix alone
    body_max: str	# nginx's limit: a little above the gate's
    shape: str	# which location of server.conf answers nginx's own errors
    templates: tuple = ("service.conf",)	# of its locations


SERVICES = {s.name: s for s in (
    Service("stableconfigs", "/stableconfigs", 5005, "4160k", "plain"),
    Service("stan", "/stan", 8083, "11m", "stan", ("stan.conf", "service.conf")),
    Service("v1", "/v1", 0, "257m", "problem"),
)}
# Counters for Prometheus: answered like a service, and none that anybody submits to.
METRICS = Service("metrics", "/metrics", 0, "4k", "text")
