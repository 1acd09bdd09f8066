"""A supervisor that died between its whole result.new and the rename: the next helper takes the verdict, and with it what the tool
left. It used to throw the outputs of such a job away."""

import os

from lib import running


def test_whole_verdict_keeps_outputs(make_stack):
    stack = make_stack(parts=("helper",), tools={"write": running.tool(["/bin/sh", "-c", "echo kept > answer"])})
    with stack.helper() as helper:
        job = helper.submit("write")["id"]
    assert stack.wait_for_result(job)["verdict"] == "passed"
    stack.stop("helper")
    folder = stack.job_folder(job)
    os.rename(os.path.join(folder, "result.json"), os.path.join(folder, "result.new"))
    mark = os.path.join(stack.spool, "active", job)
    with open(mark, "w", encoding="ascii"):
        pass
    owner = os.stat(folder)
    os.chown(mark, owner.st_uid, owner.st_gid)
    stack.start("helper")
    assert stack.wait_for_result(job)["verdict"] == "passed"
    with open(os.path.join(folder, "work/answer"), encoding="ascii") as file:
        assert file.read() == "kept\n"
