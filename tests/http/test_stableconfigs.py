"""What the StableConfigs API answers: the numbered checks of its contract that a quiet server with free slots can show, and the
sentences beside them. Each test names its check."""

import json

import pytest

from lib import stableconfigs as sc
from lib import tbn

B4 = tbn.four_strands()
HIGH = "Minimum Polymers [{}] exceeds the max entropy of TBN system. No Results can be computed. Choose a lower value."


@pytest.fixture(scope="module")
def client(stack):
    return sc.Client(stack)


def check(name, *values):
    """Parameters of a test under a name: of the check that it is, or of what it shows besides."""
    return pytest.param(*values, id=name)


# Results


@pytest.mark.parametrize("monomers,constraints,options,count,entropy,counts", [
    check("stableconfigs#1", B4, None, {"gen": 2}, 2, 3, [3, 2]),
    check("stableconfigs#2", B4, [["FREE", "mon1"]], {}, 1, 3, [2]),
    check("stableconfigs#7-gen", B4, None, {"gen": 50}, 4, 3, [3, 2, 2, 2]),
    check("stableconfigs#7-init_k 2", B4, None, {"gen": 50, "init_k": 2}, 4, 3, [3, 2, 2, 2]),
    check("stableconfigs#7-init_k 3", B4, None, {"gen": 5, "init_k": 3}, 1, 3, [3]),
    check("stableconfigs#9-gen 0", B4, None, {"gen": 0}, 1, 3, [3]),
    check("stableconfigs#9-gen -1", B4, None, {"gen": -1}, 1, 3, [3]),
    check("stableconfigs#9-gen 0 constrained", B4, [["FREE", "mon1"]], {"gen": 0}, 0, 3, []),
    check("stableconfigs#9-gen 0 constraints []", B4, [], {"gen": 0}, 1, 3, [3]),
    check("stableconfigs#9-gen 0 TOGETHER", B4, [["TOGETHER"]], {"gen": 0}, 0, 3, []),
    check("stableconfigs#9-init_k 0", B4, None, {"init_k": 0}, 1, 3, [3]),
    check("stableconfigs#9-init_k -3", B4, None, {"init_k": -3}, 1, 3, [3]),
    check("stableconfigs#9-gen 2.5", B4, None, {"gen": 2.5}, 3, 3, [3, 2, 2]),
    check("gen 2.0000001 acts as 3", B4, None, {"gen": 2.0000001}, 3, 3, [3, 2, 2]),
    check("gen true acts as 1", B4, None, {"gen": True}, 1, 3, [3]),
    check("gen false acts as 0", B4, [["FREE", "mon1"]], {"gen": False}, 0, 3, []),
    check("init_k true acts as 1", B4, None, {"init_k": True, "gen": 9}, 4, 3, [3, 2, 2, 2]),
    check("init_k 2.5 acts as 3", B4, None, {"init_k": 2.5, "gen": 9}, 1, 3, [3]),
    check("init_k -1e308", B4, None, {"init_k": -1e308}, 1, 3, [3]),
    check("gen 1e308 is all", B4, None, {"gen": 1e308}, 4, 3, [3, 2, 2, 2]),
    check("gen of thirty digits is all", B4, None, {"gen": 10 ** 30}, 4, 3, [3, 2, 2, 2]),
    check("stableconfigs#10", [["a", ">m"], ["a*"]], [["FREE", "m"]], {}, 0, 1, []),
    check("stableconfigs#13-PAIRED s1 s3", [["a:s1"], ["a:s2"], ["a*:s3"]], [["PAIRED", "s1", "s3"]], {"gen": 5}, 1, 2, [2]),
    check("stableconfigs#13-NOTANYPAIRED s3", [["a:s1"], ["a:s2"], ["a*:s3"]], [["NOTANYPAIRED", "s3"]], {"gen": 5}, 0, 2, []),
    check("stableconfigs#14-NOTFREE", [["a", ">t1"], ["a*", "b*"], ["a", "b"], ["b", ">t2"]], [["NOTFREE", "t1"]], {"gen": 10},
          4, 3, [2, 2, 2, 1]),
    check("stableconfigs#21", [["a"], ["b"], ["c"]], None, {"gen": 5}, 1, 3, [3]),
    check("stableconfigs#32-alone", [["a", "a*"]], None, {}, 1, 1, [1]),
    # The kinds of constraints where they cannot apply, or contradict each other.
    check("FREE of an isolated monomer", [["a", ">m"], ["b"]], [["FREE", "m"]], {}, 1, 2, [2]),
    check("NOTTOGETHER in different components", [["a", ">m"], ["b", ">n"]], [["NOTTOGETHER", "m", "n"]], {}, 1, 2, [2]),
    check("NOTTOGETHER with itself", [["a", ">m"], ["a*"]], [["NOTTOGETHER", "m", "m"]], {}, 1, 1, [1]),
    check("NOTPAIRED of no complements", [["a:s"], ["b:t"]], [["NOTPAIRED", "s", "t"]], {}, 1, 2, [2]),
    check("NOTANYPAIRED without complement", [["a:s"], ["b"]], [["NOTANYPAIRED", "s"]], {}, 1, 2, [2]),
    check("NOTANYPAIRED of the larger side", [["a:s1"], ["a:s2"], ["a*"]], [["NOTANYPAIRED", "s1"]], {"gen": 5}, 1, 2, [2]),
    check("TOGETHER of one", B4, [["TOGETHER", "mon1"]], {"gen": 9}, 4, 3, [3, 2, 2, 2]),
    check("a contradiction", B4, [["FREE", "mon1"], ["NOTFREE", "mon1"]], {"gen": 9}, 0, 3, []),
    check("PAIRED and NOTPAIRED", [["a:s"], ["a*:t"]], [["PAIRED", "s", "t"], ["NOTPAIRED", "t", "s"]], {}, 0, 1, []),
    check("blank and comment lines among the constraints", B4, [[], [""], ["#", "FREE", "mon3"], ["FREE", "mon1", "#", "mon2"]], {},
          1, 3, [2]),
])
def test_result(client, monomers, constraints, options, count, entropy, counts):
    assert sc.result(client.solve(monomers, constraints, **options)) == (count, entropy, counts)


def polymers(answer, which=0):
    return answer.json()["configs"][which]["polymers"]


def test_the_stable_configuration_to_the_byte(client):
    """stableconfigs#1: the POST answers with nothing but an id; the whole body of the end."""
    answer = client.submit({"monomers": B4, "gen": 2})
    assert answer.status_code == 202
    task = sc.look(answer).json()["task_id"]
    assert answer.content == b'{"task_id":"%s"}\n' % task.encode()
    assert sc.UUID.fullmatch(task)
    answer = client.final(task)
    assert answer.content.startswith(
        b'{"configs":[{"polymers":[[["a","b",">mon1"],["a*","b*",">mon2"]],[["a",">mon3"]],[["b",">mon4"]]],"polymers_count":3},'
        b'{"polymers":[')
    assert answer.content.endswith(b'],"polymers_count":2}],"count":2,"entropy":3,"status":"COMPLETE"}\n')


def test_a_constrained_configuration(client):
    """stableconfigs#2: the bound strands are forced apart."""
    answer = client.solve(B4, [["FREE", "mon1"]])
    assert tbn.shown(polymers(answer)) == tbn.shown(
        [[["a", "b", ">mon1"]], [["a*", "b*", ">mon2"], ["a", ">mon3"], ["b", ">mon4"]]])


def test_the_documented_sample(client):
    """stableconfigs#6: the request that the API's first description shows."""
    answer = client.solve([["a", "b"], ["a*", "b*"], ["a*", ">mon1"], ["b*"]], [["FREE", "mon1"]], gen=2, init_k=2)
    assert sc.result(answer) == (2, 3, [3, 2])
    assert tbn.shown(polymers(answer)) == tbn.shown([[["a", "b"], ["a*", "b*"]], [["a*", ">mon1"]], [["b*"]]])
    assert tbn.shown(polymers(answer, 1)) == tbn.shown([[["a", "b"], ["a*", "b*"], ["b*"]], [["a*", ">mon1"]]])


def test_together_need_not_be_bound(client):
    """stableconfigs#14: TOGETHER joins polymers without a bond, and the answer shows it."""
    answer = client.solve([["a", ">t1"], ["a*", "b*"], ["a", "b"], ["b", ">t2"]], [["TOGETHER", "t1", "t2"]], gen=10)
    assert sc.result(answer) == (4, 3, [2, 2, 1, 1])
    assert any([["a", ">t1"], ["b", ">t2"]] in polymers(answer, i) for i in range(4))


def test_like_sites_make_different_pairings_that_print_the_same(client):
    """stableconfigs#15"""
    answer = client.solve([["a", "a"], ["a*", "a*"]], gen=9)
    assert sc.result(answer) == (2, 1, [1, 1])
    assert polymers(answer) == polymers(answer, 1) == [[["a", "a"], ["a*", "a*"]]]


def test_a_bond_inside_a_monomer_hides_nothing(client):
    """stableconfigs#32"""
    answer = client.solve([["x"], ["a", "a*"]])
    assert sc.result(answer) == (1, 2, [2])
    assert polymers(answer) == [[["x"]], [["a", "a*"]]]


# The language of the lines


def test_stars_colons_and_comments_inside_tokens(client):
    """stableconfigs#18"""
    answer = client.solve([["a>m"], ["a*b:x"], ["2[a", "b]"], ["a#b", "c"], ["#", "z"]])
    assert sc.result(answer) == (1, 3, [3])
    assert polymers(answer) == [[["a>m"]], [["a*:x"], ["a"]], [["2[a", "b]"]]]


def test_tokens_are_joined_and_split_again(client):
    """stableconfigs#19"""
    answer = client.solve([["a b", "c"], [""], ["", "d"], []])
    assert sc.result(answer) == (1, 2, [2])
    assert polymers(answer) == [[["a", "b", "c"]], [["d"]]]


def test_letters_beyond_ascii_are_escaped(client):
    """stableconfigs#20"""
    answer = client.solve([["\u00e9:\u00df"], ["\u00e9*", ">\u00fc"]])
    assert sc.result(answer) == (1, 1, [1])
    assert rb"\u00e9:\u00df" in answer.content and rb">\u00fc" in answer.content


@pytest.mark.parametrize("line,sites", [
    (["a**", "b*c"], ["a*", "b*"]), (["a:s*"], ["a:s*"]), (["a:s:t"], ["a:s:t"]), (["a:>n"], ["a:>n"]), (["a*:s"], ["a*:s"]),
    (["m[1]"], ["m[1]"]), (["a", ">n", "b", ":", "*"], ["a", ">n"]), (["a", ">n#b"], ["a", ">n"]), (["a", ">>n:*"], ["a", ">>n:*"]),
    (["a", "b#", ":"], ["a", "b"]), (["a", "#b", ":"], ["a"]), (["\U0001f9ec*", "A", "a"], ["\U0001f9ec*", "A", "a"]),
    (["a\u200bb", "\ufeffc"], ["a\u200bb", "\ufeffc"]), (["\"", "\\", "\x01", "\x7f"], ["\"", "\\", "\x01", "\x7f"]),
    (["a:" + "n" * 5000], ["a:" + "n" * 5000]),
], ids=ascii)
def test_a_line_and_what_it_prints(client, line, sites):
    answer = client.solve([line, ["other"]])
    assert sc.result(answer) == (1, 2, [2])
    assert polymers(answer) == [[sites], [["other"]]]


def test_every_blank_of_the_language_separates(client):
    blanks = [*range(0x09, 0x0e), *range(0x1c, 0x21), 0x85, 0xa0, 0x1680, *range(0x2000, 0x200b), 0x2028, 0x2029, 0x202f, 0x205f, 0x3000]
    answer = client.solve([["".join(f"s{i}{chr(blank)}" for i, blank in enumerate(blanks)) + ">n"]])
    assert polymers(answer) == [[[*(f"s{i}" for i in range(len(blanks))), ">n"]]]


def test_site_and_monomer_names_are_spaces_of_their_own(client):
    assert sc.result(client.solve([["a:x", ">x"], ["a*", ">y"]], [["TOGETHER", "x", "y"], ["ANYPAIRED", "x"]])) == (1, 1, [1])


def test_a_line_without_sites_registers_no_name(client):
    assert sc.result(client.solve([[">n"], ["#", ">n"], ["a", ">n"]])) == (1, 1, [1])


# What ends with 401 or 402


@pytest.mark.parametrize("monomers,constraints,message", [
    check("stableconfigs#3", [], [], "Input contains no monomers."),
    check("stableconfigs#3-[[]]", [[]], None, "Input contains no monomers."),
    check("stableconfigs#3-name alone", [[">n"]], None, "Input contains no monomers."),
    check("stableconfigs#4", [["a:s1"]], [["ANYPAIRED", "s1"]], "Binding Site [s1] does not have any complementary binding sites in the system."),
    check("stableconfigs#11", [["a", ">m"], ["b", ">n"]], [["TOGETHER", "m", "n"]],
          "Monomer [n] and Monomer [m] cannot be together in any valid configuration."),
    check("stableconfigs#12", [["a", ">m"], ["b"]], [["NOTFREE", "m"]],
          "Monomer [m] cannot be together with any other Monomer in any valid configuration."),
    check("stableconfigs#13-PAIRED s1 s2", [["a:s1"], ["a:s2"], ["a*:s3"]], [["PAIRED", "s1", "s2"]],
          "Binding Site [s1] and Binding Site [s2] are not complementary."),
    check("stableconfigs#16-monomer", [["a", ">m"], ["b", ">m"]], None, "Duplicate Monomer name. 'b >m'"),
    check("stableconfigs#16-site", [["a:s"], ["b:s"]], None, "Duplicate BindingSite name. 'b:s'"),
    check("stableconfigs#16-no name", [["a", ">"]], None,
          "Empty Monomer name. 'a >'. Note that any whitespace after the monomer name keyword is ignored."),
    check("stableconfigs#16-star first", [["a", "*b"]], None, "Invalid BindingSite name. 'a *b'"),
    check("stableconfigs#17-kind", [["a", ">m"]], [["free", "m"]], "Invalid Constraint 'free'. 'free m'"),
    check("stableconfigs#17-arguments", [["a", ">m"]], [["FREE", "m", "m"]], "Constraint 'FREE' takes 1 arguments, got 2. 'FREE m m'"),
    check("stableconfigs#17-monomer", [["a", ">m"]], [["FREE", "z"]], "Monomer 'z' does not exist. 'FREE z'"),
    check("stableconfigs#17-site", [["a", ">m"]], [["PAIRED", "m", "z"]], "BindingSite 'm' does not exist. 'PAIRED m z'"),
    # The rest of the table of messages.
    *(check(f"{kind} takes {n}", [["a:s", ">m"]], [[kind]], f"Constraint '{kind}' takes {n} arguments, got 0. '{kind}'")
      for kind, n in (("NOTTOGETHER", 2), ("FREE", 1), ("NOTFREE", 1), ("PAIRED", 2), ("NOTPAIRED", 2), ("ANYPAIRED", 1),
                      ("NOTANYPAIRED", 1))),
    *(check(f"{kind} of no site", [["a", ">m"]], [[kind, "m"]], f"BindingSite 'm' does not exist. '{kind} m'")
      for kind in ("ANYPAIRED", "NOTANYPAIRED")),
    *(check(f"{kind} of no monomer", [["a", ">m"]], [[kind, "m", "z"]], f"Monomer 'z' does not exist. '{kind} m z'")
      for kind in ("TOGETHER", "NOTTOGETHER")),
    check("TOGETHER with itself", [["a", ">m"], ["a*"]], [["TOGETHER", "m", "m"]],
          "Monomer [m] and Monomer [m] cannot be together in any valid configuration."),
    check("PAIRED with itself", [["a:s"], ["a*"]], [["PAIRED", "s", "s"]], "Binding Site [s] and Binding Site [s] are not complementary."),
    check("nothing before the colon", [[":b"]], None, "Invalid BindingSite name. ':b'"),
    check("nothing behind the colon", [["a:"]], None, "Invalid BindingSite name. 'a:'"),
    check("nothing behind the colon but a comment", [["a:#b"]], None, "Invalid BindingSite name. 'a:#b'"),
    check("the line as it was joined", [["a", "", "*b  c"], ["ok"]], None, "Invalid BindingSite name. 'a  *b  c'"),
    check("letters beyond ASCII", [["\u00e9", "*\U0001f9ec"]], None, "Invalid BindingSite name. '\u00e9 *\U0001f9ec'"),
    check("no name but a comment", [["a", ">#n"]], None,
          "Empty Monomer name. 'a >#n'. Note that any whitespace after the monomer name keyword is ignored."),
    # The first error wins: lines before constraints, names before sense, sense before solving.
    check("the first line's error", [["a", ">"], ["*"]], [["x"]],
          "Empty Monomer name. 'a >'. Note that any whitespace after the monomer name keyword is ignored."),
    check("no monomer before constraints", [[]], [["x"]], "Input contains no monomers."),
    check("names before sense", [["a", ">m"]], [["NOTFREE", "m"], ["FREE", "z"]], "Monomer 'z' does not exist. 'FREE z'"),
    check("number before names", [["a", ">m"]], [["FREE", "z", "z"]], "Constraint 'FREE' takes 1 arguments, got 2. 'FREE z z'"),
    check("the first constraint's sense", [["a:s", ">m"]], [["NOTFREE", "m"], ["ANYPAIRED", "s"]],
          "Monomer [m] cannot be together with any other Monomer in any valid configuration."),
])
def test_tbn_exception(client, monomers, constraints, message):
    answer = client.solve(monomers, constraints)
    assert answer.status_code == 401
    assert answer.content == sc.canonical({"message": message, "status": "TBNException"})


@pytest.mark.parametrize("init_k,shown", [
    (4, "4"), (4.0, "4.0"), (3.5, "3.5"), (99, "99"), (1e308, "1e+308"), (1e16, "1e+16"), (123456789.5, "123456789.5"),
    (10 ** 30, "1" + "0" * 30),
])
def test_more_polymers_than_there_can_be(client, init_k, shown):
    """stableconfigs#8: at once, however large the number, and with the number as it was sent."""
    answer = client.solve(B4, init_k=init_k, seconds=10)
    assert sc.failed(answer, 401, "TBNException") == HIGH.format(shown)


@pytest.mark.parametrize("monomers,constraints,message", [
    (B4, [["FREE", "z"]], "Monomer 'z' does not exist. 'FREE z'"),
    ([["a:s1"]], [["ANYPAIRED", "s1"]], "Binding Site [s1] does not have any complementary binding sites in the system."),
])
def test_a_constraints_error_comes_before_init_k(client, monomers, constraints, message):
    """stableconfigs#22"""
    assert sc.failed(client.solve(monomers, constraints, init_k=99), 401, "TBNException") == message


def test_together_of_three_names_two_that_cannot(client):
    """Which earlier one it names is free."""
    message = sc.failed(client.solve([["a", ">m"], ["a*", ">n"], ["b", ">o"]], [["TOGETHER", "m", "n", "o"]]), 401, "TBNException")
    assert message in [f"Monomer [o] and Monomer [{name}] cannot be together in any valid configuration." for name in "mn"]


@pytest.mark.parametrize("options", [
    {"gen": "2"}, {"init_k": None}, {"gen": []}, {"gen": None}, {"gen": {}}, {"init_k": "1"}, {"init_k": [1]}, {"init_k": ""},
    {"gen": "nan"},
], ids=json.dumps)
def test_a_number_that_is_none(client, options):
    """stableconfigs#25: accepted, and an Exception then."""
    message = sc.failed(client.solve(B4, **options), 402, "Exception")
    assert message


def test_a_problem_that_is_too_large(client):
    """Within the body's limit but nothing that could be computed: accepted, and 402 then, at once."""
    message = sc.failed(client.solve(tbn.heap(5000), seconds=20), 402, "Exception")
    assert "too large" in message


# The tight loop of the real client


def test_five_calls_in_a_tight_loop(client):
    """stableconfigs#5: what the reference's own test does, three times in a row, polling without any pause."""
    def poll(answer):
        assert answer.status_code == 202
        task = answer.json()["task_id"]
        while answer.status_code in (202, 203):
            answer = client.request("GET", f"/status/{task}")
        return answer, answer.json()

    for _ in range(3):
        answer, body = poll(client.submit({"monomers": B4, "gen": 2}))
        assert (answer.status_code, body["count"], body["entropy"]) == (200, 2, 3)
        answer, body = poll(client.submit({"monomers": B4, "constraints": [["FREE", "mon1"]]}))
        assert (answer.status_code, body["count"], body["entropy"]) == (200, 1, 3)
        answer, body = poll(client.submit({"monomers": [], "constraints": []}))
        assert (answer.status_code, body["status"]) == (401, "TBNException")
        assert "Input contains no monomers" in body["message"]
        answer, body = poll(client.submit({"monomers": [["a:s1"]], "constraints": [["ANYPAIRED", "s1"]]}))
        assert (answer.status_code, body["status"]) == (401, "TBNException")
        assert "Binding Site [s1]" in body["message"]
        begun = client.submit({"monomers": B4, "gen": 1})
        assert client.request("DELETE", "/terminate/" + begun.json()["task_id"]).status_code == 200
        answer, body = poll(begun)
        if answer.status_code != 200:
            assert body["status"] == "TBNException" and "Early Termination" in body["message"]


# Stopping


def test_terminate_what_never_was(client):
    """stableconfigs#26: nothing is invented."""
    with sc.nothing_left(client.stack):
        client.terminate("nope")
        sc.refusal(client.request("GET", "/status/nope"), 404)
        unknown = "01234567-89ab-4def-8123-456789abcdef"
        client.terminate(unknown)
        sc.refusal(client.request("GET", f"/status/{unknown}"), 404)


def test_terminate_what_has_ended(client):
    """stableconfigs#27: an end stays what it was."""
    for monomers, options in ((B4, {}), ([], {}), (B4, {"gen": "2"})):
        task = client.post(monomers, **options)
        before = client.final(task)
        client.terminate(task)
        after = client.status(task)
        assert (after.status_code, after.content) == (before.status_code, before.content)


# Against the oracle


def test_random_networks_against_a_brute_force(client):
    """Entropy, count and polymer counts are unique; partitions are where all pairings are listed."""
    for seed in range(24):
        monomers, constraints = tbn.small(seed)
        truth = tbn.Truth(monomers, constraints)
        answer = client.solve(monomers, constraints or None, gen=100000)
        assert sc.result(answer) == (len(truth.counts), truth.entropy, truth.counts), (seed, monomers, constraints)
        for configuration in answer.json()["configs"]:
            assert not tbn.faults(monomers, configuration, truth.entropy), (seed, configuration)
        if not constraints:
            assert truth.lists(answer.json()["configs"]), (seed, monomers)
