"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

# As the command line says before torch is loaded: its threads sleep while they wait.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# isort: split
import pytest
import torch

from skips import faults, reason_of

ROOT = Path(__file__).resolve().parent.parent
SKIPPED: list[str] = []  # why, for each skipped test; after the run, what is wrong with that


# The native kernels have threads of their own; torch's would fight them for the cores, and with
# small tensors waiting for them costs more than they bring.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def one_torch_thread() -> None:
    """Whatever number a test before has left."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder `data` below $TONDO_SHARED (default: ../shared): photos too large for the project.

    Skips the test where it does not exist; fails it where TONDO_SHARED is set and wrong.
    """
    asked = os.environ.get("TONDO_SHARED")
    data = Path(asked or ROOT.parent / "shared") / "data"
    if data.is_dir():
        return data
    if asked:
        pytest.fail(f"TONDO_SHARED is {asked}, where there is no folder data")
    pytest.skip(f"needs the shared photos in {data} (or in $TONDO_SHARED/data)")


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small thing of each kind, in which examples run (`tiny_place`)."""
    from tiny_place import make_place

    return make_place(tmp_path_factory.mktemp("place"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        SKIPPED.append(reason_of(report.longrepr))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails the run where tests are skipped that `skips.SKIPS` does not have."""
    config = session.config
    whole = config.args_source == pytest.Config.ArgsSource.TESTPATHS
    whole = whole and not (config.option.keyword or config.option.markexpr or session.shouldstop)
    wrong = faults(SKIPPED, whole)
    if wrong and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    SKIPPED[:] = wrong


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in SKIPPED:
        terminalreporter.write_line(f"SKIPS: {line}", red=True)
