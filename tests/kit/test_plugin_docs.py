"""What the documentation says of hooks and commands is what the code does."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
from pluggy import HookimplMarker, HookspecMarker, PluginManager

from core import plugin
from core.api.plugin import PROJECT
from core.cli.plugin_reference import hooks, reference

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_is_current():
    written = (DOCS / "plugins-reference.md").read_text("utf-8")
    assert written == reference(), "preau plugin reference > docs/plugins-reference.md"


def test_the_guide_tells_of_each_hook_when_it_is_called_and_how_it_fails():
    guide = (DOCS / "plugins.md").read_text("utf-8")
    rows = {
        name
        for row in re.findall(r"^\|([^|]+)\|[^|]+\|[^|]+\|[^|]+\|$", guide, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert rows == {hook.__name__ for hook in hooks()}


def test_every_hook_is_explained_where_it_is_specified():
    assert all(hook.__doc__ for hook in hooks())


def test_every_public_name_is_there():
    assert all(hasattr(plugin, name) for name in plugin.__all__)


def test_a_hook_that_is_to_go_warns_whoever_still_implements_it():
    """The deprecation path that docs/plugins.md promises."""

    class Spec:
        @HookspecMarker(PROJECT)(warn_on_impl=DeprecationWarning("use new_hook"))
        def old_hook(self): ...

        @HookspecMarker(PROJECT)(warn_on_impl_args={"old": DeprecationWarning("use new")})
        def new_hook(self, new, old): ...

    class Old:
        @HookimplMarker(PROJECT)
        def old_hook(self): ...

    class OldArgument:
        @HookimplMarker(PROJECT)
        def new_hook(self, old): ...

    class New:
        @HookimplMarker(PROJECT)
        def new_hook(self, new): ...

    manager = PluginManager(PROJECT)
    manager.add_hookspecs(Spec)
    for outdated, words in ((Old(), "use new_hook"), (OldArgument(), "use new")):
        with pytest.warns(DeprecationWarning, match=words):
            manager.register(outdated)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        manager.register(New())
