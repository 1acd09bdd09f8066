"""Limits by cgroup, in a guest that has controllers (lib/guest.py, inside.py): one boot, whose facts each test judges. It has Debian 12's own
kernel, so that what is true of Landlock's second ABI and of 6.1 is seen here too."""

import json
import os

import pytest

from attack import attacks
from lib import guest, machine

HERE = os.path.dirname(os.path.abspath(__file__))
OUT_OF_MEMORY = ("out_of_memory", "memory limit")


@pytest.fixture(scope="session")
def facts(ground, programs):
    """{case: facts}; of the attacks a list."""
    machine.need_root()
    folder = os.path.join(ground, "guest")
    os.mkdir(folder)
    results, console = guest.run(folder, programs, {"inside.py": os.path.join(HERE, "inside.py"), "attacks.py": attacks.__file__}, 480)
    found = {"attacks": {f["name"]: f for f in results if f["case"] == "attack"}, **{f["case"]: f for f in results if f["case"] != "attack"}}
    assert "end" in found, console[-6000:]
    assert "broken" not in found, found["broken"]["why"] + found["broken"]["log"]
    return found


def verdict(result):
    assert result["limits"] == "cgroup", result
    return result["verdict"], result["message"]


def test_a_delegated_cgroup_is_found_and_moved_into(facts):
    assert "limits of jobs are kept by cgroups in /sys/fs/cgroup/spoolgate" in facts["start"]["log"]
    assert facts["start"]["leaf"] == "0::/spoolgate/spoolgated"
    assert facts["end"]["status"] == 0 and facts["end"]["left"] == []


@pytest.mark.parametrize("case", ["memory", "grandchild", "exit 0", "shm", "mapping", "pipes"])
def test_memory_is_held_wherever_it_lies(facts, case):
    assert verdict(facts[case]["result"]) == OUT_OF_MEMORY
    assert facts[case]["result"]["peak_memory_bytes"] == 128 << 20
    assert facts[case].get("gone", True) is True


def test_the_peak_is_the_trees(facts):
    result = facts["peak"]["result"]
    assert verdict(result) == ("passed", "") and 80 << 20 < result["peak_memory_bytes"] < 100 << 20, result


def test_a_fork_bomb_is_held(facts):
    assert facts["fork bomb"]["limit"] == "41" and 35 < facts["fork bomb"]["most"] <= 41	# init is one of them
    assert verdict(facts["fork bomb"]["result"])[0] == "killed" and facts["fork bomb"]["gone"] is True


@pytest.mark.parametrize("case", ["cpu", "cpu unseen"])
def test_cpu_time_counts_wherever_it_was_spent(facts, case):
    result = facts[case]["result"]
    assert verdict(result) == ("timeout", "CPU time limit") and 2_000_000 < result["cpu_usec"] < 4_000_000, result


def test_each_job_has_one_share_of_the_cpus(facts):
    many, one = facts["share"]["used"]
    assert facts["share"]["weight"] == "100" and 0.6 < many / one < 1.6, facts["share"]


def test_a_kill_empties_the_cgroup(facts):
    assert verdict(facts["kill"]["result"])[0] == "killed" and facts["kill"]["gone"] is True
    assert facts["kill"]["inside"] == 12 and facts["kill"]["supervisor"].endswith("/spoolgate/spoolgated")	# init, the tool and its ten


def test_a_supervisor_that_is_shot_leaves_none(facts):
    assert verdict(facts["supervisor"]["result"])[0] == "lost" and facts["supervisor"]["gone"] is True
    assert facts["supervisor"]["inside"] == 12


def test_a_helper_that_is_shot_ends_no_job(facts):
    assert facts["helper"]["alive"] == 12
    assert verdict(facts["helper"]["result"])[0] == "killed" and facts["helper"]["gone"] is True


def test_limits_hold_after_a_restart(facts):
    assert facts["restart"]["same"] and facts["restart"]["log"] == 3	# of the start, the one after the shot, and the restart
    assert verdict(facts["restart"]["second"]) == OUT_OF_MEMORY
    assert verdict(facts["restart"]["result"]) == OUT_OF_MEMORY and facts["restart"]["gone"] is True	# of one that ran already


def test_strict_limits_are_served(facts):
    assert verdict(facts["strict"]["result"]) == ("passed", "")


def limits_of(facts, case):
    seen = facts[case]
    assert seen["status"] == 0 and seen["said"]["protected"], seen
    assert all(one["held"] for one in seen["said"]["protections"]), seen
    # Neither the helper nor its job has noticed.
    assert seen["said"]["host"]["helper"] == seen["helper"] and seen["inside"] == 12 and seen["gone"] is True
    return {one["name"]: (one["held"], one["by"]) for one in seen["said"]["limits"]}


def test_doctor_tells_exact_limits(facts):
    limits = limits_of(facts, "doctor")
    assert facts["doctor"]["said"]["host"]["cgroup"] == "/sys/fs/cgroup/spoolgate" and facts["doctor"]["said"]["host"]["uid"] == 900
    assert all(held for held, _ in limits.values()), facts["doctor"]
    assert {name for name, (_, by) in limits.items() if by == "cgroup"} == {"memory", "memory-shared", "cpu", "processes", "cpu-share"}
    assert {tool["name"]: tool["note"] for tool in facts["doctor"]["said"]["tools"]}["strict"] == ""


def test_doctor_tells_approximate_limits_where_it_cannot_look(facts):
    limits = limits_of(facts, "doctor outside")
    said = facts["doctor outside"]["said"]
    assert said["host"]["cgroup"] is None and "root alone" in said["host"]["cgroup_why"]
    assert {name for name, (_, by) in limits.items() if by == "approximate"} == {"memory", "memory-shared", "cpu"}
    # Debian's kernel has a share for each session and leaves it switched off.
    assert {name for name, (held, _) in limits.items() if not held} == {"cpu-share"}
    assert {tool["name"]: tool["note"] for tool in said["tools"]}["strict"] == "refused: its limits are to be strict"


@pytest.mark.parametrize("attack", [a for a in attacks.ATTACKS if not a.name.startswith("10 GB")], ids=lambda a: a.name)
def test_attack(facts, attack):
    seen = facts["attacks"][attack.name]
    named, message = verdict(seen["result"])
    assert named == attack.verdict and message.split(";")[0] in attack.message, seen
    if attack.found is not None:
        found = json.loads(seen["log"])
        for name, wanted in attack.found.items():
            assert found.pop(name) in (wanted if isinstance(wanted, tuple) else (wanted,)), (name, seen["log"])
        assert found == {}
    assert seen["outside"] == ["socket"] and seen["gone"] is True, seen


def test_the_other_job_was_not_touched(facts):
    assert verdict(facts["other"]["result"])[0] == "killed" and facts["other"]["reached"] == 0
