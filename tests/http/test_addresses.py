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
