"""The running stack: nginx, gate and helper in one state folder. `quickstart` is its command line and tests/lib/server.py
its other user. Standard library only, as a bare Debian 12 has it."""
