"""What the tests stand on, decided once: machine (folders, accounts, environment), disks, network, running (a whole stack),
web, fastcgi and helper (the three ways to talk to it), leaks (what must not be left)."""
