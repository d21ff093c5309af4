# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the tests in a whole Debian: a lab, machines in it (lab/machine.py).

Where root, the kernel, systemd-nspawn or Debian's archive is missing, tests are skipped with the
reason.
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pytest

from lab import Lab, Unavailable
from lab.machine import Machine, MachineEngine

_labs = []


def pytest_addoption(parser):
    parser.addoption("--cross", action="store_true", help="the package is built for arm64, too")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for lab in _labs:
            report.sections += list(lab.reports())


def _or_skip(make, *args, **options):
    try:
        return make(*args, **options)
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def or_skip():
    """or_skip(make, ...): what make(...) returns, or the reason why it cannot be had here."""
    return _or_skip


@pytest.fixture(scope="module")
def lab():
    """A lab with one host, for the module."""
    lab = _or_skip(Lab)
    _labs.append(lab)
    yield lab
    _labs.remove(lab)
    lab.close()


@pytest.fixture(scope="module")
def make_machine(lab):
    """Makes machines (not booted), which live as long as the module: make_machine(suite="trixie")."""
    return lambda *args, **options: _or_skip(Machine, lab, *args, **options)


@pytest.fixture(scope="module")
def make_engine():
    """Makes the engine of a machine, without IPv6 rules of its own: make_engine(machine)."""
    return lambda machine, **options: _or_skip(MachineEngine, machine, **{"ip6tables": False, **options})
