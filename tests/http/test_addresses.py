"""Clients with addresses of their own: the gate and nginx see the real one."""

from lib import machine, network, web


def test_a_clients_address_reaches_the_logs(make_stack):
    machine.need_root()
    with network.Network() as net:
        stack = make_stack(listen=(net.host, f"[{net.host6}]"))
        for source in (net.client(7), net.client(8), net.add(f"fd5b:{net.number:x}::77")):
            sock = net.connect(source, stack.port)
            with web.Connection(stack.port, stack.ca, sock=sock, host=net.host) as connection:
                connection.send("GET /stableconfigs/status/nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert connection.answer().status == 404
            machine.wait_for(lambda source=source: source in stack.log("nginx-access"), 5, "nginx logs the address")


def test_the_addresses_of_one_network_are_one_client(make_stack):
    """Connections are capped for an IPv6 /64, however many of its addresses they come from."""
    machine.need_root()
    with network.Network() as net:
        stack = make_stack(listen=(f"[{net.host6}]",), connections=4)
        held, known = [], set()

        def connect(source):
            if source not in known:
                known.add(net.add(source))
            sock = net.connect(source, stack.port)
            held.append(web.Connection(stack.port, stack.ca, sock=sock))
            return held[-1]
        try:
            for tail in ("::70", "::71", "::1:0:0:72", "::1:2:3:73"):
                connect(f"fd5b:{net.number:x}{tail}").send(
                    "POST /stableconfigs/task HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")

            def turned_away():
                with connect(f"fd5b:{net.number:x}::74") as connection:
                    connection.send("GET /stableconfigs/status/nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    return connection.answer().status == 503
            machine.wait_for(turned_away, 5, "the fifth connection of the network is turned away")
            with connect(f"fd5b:{net.number:x}:0:1::75") as connection:
                connection.send("GET /stableconfigs/status/nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert connection.answer().status == 404	# another network
        finally:
            for connection in held:
                connection.close()
