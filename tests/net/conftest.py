# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the network tests: a lab, an engine in it, the daemon.

    --engine 20.10   everything but what is marked for another engine (default)
    --engine 26.1    what is marked engine_any or engine_is("26.1"); 28.5 the same way

Two runs side by side do not meet. Where root, the kernel or the engine is missing, tests are
skipped with the reason.
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pytest

from lab import Daemon, Engine, Lab, Unavailable, end_daemons, why_not_here

_labs = []


def pytest_addoption(parser):
    parser.addoption("--engine", default="20.10", choices=["20.10", "26.1", "28.5"],
                     help="Docker Engine that the tests run against")


def pytest_configure(config):
    config.addinivalue_line("markers", "engine_any: must hold with every engine version")
    config.addinivalue_line("markers", "engine_is(version, ...): only with these engine versions")
    config.addinivalue_line("markers", 'slow: takes minutes; left out with -m "not slow"')


def pytest_collection_modifyitems(config, items):
    version = config.getoption("--engine")

    def wanted(item):
        only = item.get_closest_marker("engine_is")
        if only:
            return version in only.args
        return version == "20.10" or item.get_closest_marker("engine_any")

    config.hook.pytest_deselected(items=[item for item in items if not wanted(item)])
    items[:] = [item for item in items if wanted(item)]
    reason = why_not_here()
    if reason:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for lab in _labs:
            report.sections += list(lab.reports())


class Order:
    """Which comes first in a test, the world or the daemon; both must end in the same state."""

    def __init__(self, world_first):
        self.world_first = world_first

    def __call__(self, world, daemon):
        """Builds the world (a function) and starts the daemon in this order; what world returned.
        When this returns, the daemon has applied what there is."""
        made = world() if self.world_first else None
        daemon.start()
        if not self.world_first:
            made = world()
        daemon.sync()
        return made


@pytest.fixture(params=["world-first", "daemon-first"])
def order(request):
    return Order(request.param == "world-first")


@pytest.fixture(scope="module", params=["world-first", "daemon-first"])
def module_order(request):
    """As order, for a world that a whole module shares; every test runs in both."""
    return Order(request.param == "world-first")


@pytest.fixture(scope="session")
def engine_version(request):
    return request.config.getoption("--engine")


@pytest.fixture(scope="module")
def make_lab():
    """Makes further labs, which live as long as the module: make_lab(hosts=2, ra=True)."""
    made = []

    def make(**options):
        try:
            lab = Lab(**options)
        except Unavailable as reason:
            pytest.skip(str(reason))
        made.append(lab)
        _labs.append(lab)
        return lab

    yield make
    for lab in reversed(made):
        _labs.remove(lab)
        lab.close()


@pytest.fixture(scope="module")
def make_engine(engine_version):
    """Makes and starts engines in a lab of make_lab: make_engine(lab, host, userland_proxy=False).
    Where not said otherwise ip6tables is off, so that a network's mode is the same with every
    engine; ip6tables=None is what the engine does by itself."""
    def make(lab, host=None, **options):
        try:
            engine = Engine(lab, host, **{"version": engine_version, "ip6tables": False, **options})
        except Unavailable as reason:
            pytest.skip(str(reason))
        return engine.start()

    return make


@pytest.fixture(scope="module")
def module_lab(make_lab):
    """A lab with one host; a module that needs another one overrides this fixture."""
    return make_lab()


@pytest.fixture(scope="module")
def module_engine(module_lab, make_engine):
    """Its engine; a module that needs other options overrides this fixture."""
    return make_engine(module_lab)


@pytest.fixture(scope="module")
def make_world(module_engine, module_order):
    """Makes the world that a module shares, in both orders: make_world(build, config="...") calls
    build() and starts a daemon; (what build returned, the daemon)."""
    made = []

    def make(build, **options):
        daemon = Daemon(module_engine, **options)
        made.append(daemon)
        return module_order(build, daemon), daemon

    yield make
    try:
        end_daemons(made)
    finally:
        module_engine.clean()


@pytest.fixture
def lab(module_lab):
    return module_lab


@pytest.fixture
def host(lab):
    """The only one, or the first."""
    return lab.host


@pytest.fixture
def engine(module_engine):
    """The module's engine, running, without containers or networks of an earlier test."""
    if not module_engine.running():
        module_engine.start()
    yield module_engine
    if not module_engine.running():
        module_engine.start()
    module_engine.clean()


@pytest.fixture
def make_daemon(engine):
    """Makes daemons (not started) on the engine's host, e.g. make_daemon(config="...")."""
    made = []

    def make(on=None, **options):
        daemon = Daemon(on or engine, **options)
        made.append(daemon)
        return daemon

    yield make
    end_daemons(made)


@pytest.fixture
def daemon(make_daemon):
    """The daemon on the engine's host, not started yet: daemon.start(), or order(world, daemon)."""
    return make_daemon()


@pytest.fixture
def running(daemon):
    """It has started, and applied what there is."""
    daemon.start().sync()
    return daemon
