"""The recipes of chapters/experiments.md: the commands are ours and Dask's, and the parts of each fit together."""

import os
import re
import signal
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from contrastlab import cli, manifest, plans
from contrastlab.files import repository_root
from small_sweep import NAMES, write

ROOT = repository_root()
PAGE = (ROOT / "chapters" / "experiments.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
SHELL = "\n".join(block for block in BLOCKS if "apiVersion" not in block)
(SLURM,) = (block for block in BLOCKS if block.startswith("#!/bin/bash"))


@pytest.fixture(scope="module")
def documents():
    """What the recipe for Kubernetes declares, by kind and name."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed; jupytext, of the extra `book`, brings it")
    (recipe,) = (block for block in BLOCKS if block.startswith("apiVersion"))
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(recipe)}


def pod(document):
    """The specification of the pod that the document starts, and its only container."""
    spec = document["spec"]
    spec = spec["template"]["spec"] if "template" in spec else spec
    (container,) = spec["containers"]
    return spec, container


def commands(program, *texts):
    """The arguments of every call of the program in lines of shell, without what the shell takes for itself."""
    calls = chain.from_iterable(re.findall(rf"(?:^|srun ){program} (.*)$", text, re.MULTILINE) for text in texts)
    return [re.sub(r" *(&|#.*)$", "", call).split() for call in calls]


def in_pods(documents, program):
    started = [pod(document)[1]["command"] for document in documents.values() if document["kind"] != "Service"]
    return [arguments for path, *arguments in started if Path(path).name == program]


def test_every_command_of_the_page_is_one_of_ours(documents):
    found = commands("contrastlab", SHELL) + in_pods(documents, "contrastlab")
    assert len(found) == 6, found
    book = manifest.load(ROOT)
    for arguments in found:
        asked = cli._parser().parse_args(arguments)  # leaves the test for an unknown option
        for profile in getattr(asked, "profile", None) or ():
            book.profile(profile)


def test_every_option_for_dask_is_one_of_its_own(documents):
    pytest.importorskip("distributed", reason="Dask is not installed. Run `pip install -e '.[cluster]'`.")
    inline = [call.split() for call in re.findall(r"`dask (worker [^`]*)`", PAGE)]
    found = [*inline, *commands("dask", SHELL), *in_pods(documents, "dask")]
    assert sorted(arguments[0] for arguments in found) == ["scheduler"] * 2 + ["worker"] * 3
    for command in ("scheduler", "worker"):
        shown = subprocess.run([sys.executable, "-m", "dask", command, "--help"], capture_output=True, text=True).stdout
        known = set(re.findall(r"--[a-z][a-z-]*", shown))
        used = {word for arguments in found if arguments[0] == command for word in arguments if word[:2] == "--"}
        assert used and used <= known, used - known


def test_the_parts_of_the_recipe_for_kubernetes_fit_together(documents):
    assert set(documents) == {
        ("Service", "scheduler"), ("Pod", "scheduler"), ("Deployment", "workers"), ("Job", "sweep"),
    }  # fmt: skip
    service, scheduler, workers, sweep = documents.values()
    assert scheduler["metadata"]["labels"].items() >= service["spec"]["selector"].items()
    assert workers["spec"]["template"]["metadata"]["labels"] == workers["spec"]["selector"]["matchLabels"]
    assert pod(sweep)[0]["restartPolicy"] in ("OnFailure", "Never"), "a job takes no other"
    (port,) = service["spec"]["ports"]
    address = f"tcp://{service['metadata']['name']}:{port['port']}"
    assert all(address in pod(document)[1]["command"] for document in (workers, sweep))
    for document in (scheduler, workers, sweep):
        spec, container = pod(document)
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
        assert container["command"][0].startswith(container["volumeMounts"][0]["mountPath"] + "/")
        assert all(isinstance(word, str) for word in container["command"]), "a number is no word of a command"
    worker = pod(workers)[1]
    assert worker["command"][-3:-1] == ["--nthreads", "1"]
    assert worker["env"] == [{"name": "OMP_NUM_THREADS", "value": "1"}]
    assert worker["workingDir"] == pod(sweep)[1]["workingDir"], "where the sweep finds its book"


def test_the_recipe_for_slurm_does_a_sweep(tmp_path):
    """On one machine, with a stand-in for srun that starts one task. The profile is a small one."""
    pytest.importorskip("distributed", reason="Dask is not installed. Run `pip install -e '.[cluster]'`.")
    root = write(tmp_path / "book")
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "activate").touch()
    programs = {"srun": 'exec "$@"'}
    programs |= {name: f'exec "{sys.executable}" -m {name} "$@"' for name in ("dask", "contrastlab")}
    programs["python"] = f'exec "{sys.executable}" "$@"'
    for name, line in programs.items():
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    assert SLURM.count("--profile paper") == 1
    (root / "job.sh").write_text(SLURM.replace("--profile paper", "--profile tiny"))
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
    with (tmp_path / "log").open("w") as log:
        job = subprocess.Popen(
            ["bash", "job.sh"], cwd=root, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            code = job.wait(timeout=300)
        finally:
            os.killpg(job.pid, signal.SIGKILL)  # as Slurm ends what a job leaves behind
    said = (tmp_path / "log").read_text()
    assert code == 0 and "4 of 4 runs done" in said, said
    assert {plan.name for plan in plans.plans("tiny", root) if plan.record.exists()} == set(NAMES)
    assert (root / "scheduler-7.json").exists()
