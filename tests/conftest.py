"""What every test of the running programs stands on: paths, the installed programs, and tests/lib as fixtures."""

import os
import sys

TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [TESTS, os.path.dirname(TESTS)]
sys.dont_write_bytecode = True

import pytest	# noqa: E402

from lib import disks, machine, running	# noqa: E402


def pytest_configure(config):
    machine.clean_environment()


def pytest_report_header(config):
    return f"spoolgate: build {machine.build_dir()}, {'root' if os.getuid() == 0 else 'an ordinary user'}"


@pytest.fixture(scope="session")
def ground():
    """A short folder for this session that the unprivileged accounts can enter; stacks, disks and sockets lie below it."""
    with machine.short_folder() as path:
        yield path


@pytest.fixture(scope="session")
def programs(ground):
    """The installed programs of the build under test (SPOOLGATE_BUILD)."""
    return machine.install_programs(ground)


@pytest.fixture(scope="session")
def journal_disk(ground):
    """A folder on an ext4 with journal."""
    with disks.mounted(ground, "journal", 3 << 30) as path:
        yield path


@pytest.fixture
def small_disk(ground):
    """small_disk(bytes): a folder on an ext4 of about that size; disks.fill() fills it."""
    with disks.Several(ground) as several:
        yield several.small


@pytest.fixture
def make_stack(ground, programs):
    """make_stack(...): a running stack, running.Stack says with what. All are stopped and checked at the end of the test."""
    with running.Several(ground, programs) as several:
        yield several.make


@pytest.fixture(scope="module")
def stack(ground, programs):
    """One stack for the tests of a module that change nothing about it."""
    with running.Several(ground, programs) as several:
        yield several.make()
