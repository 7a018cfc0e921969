"""Files by the names that clients give them: through links, in percents, on this machine by name."""

from pathlib import Path

import pytest
from fgc.lsp.uris import Uris

from tests.compiler.ide.test_navigation import SMALL
from tests.compiler.ide.tree import make_tree


def test_a_workspace_behind_a_link_is_read_where_it_is_and_named_as_the_client_does(tmp_path: Path) -> None:
    make_tree(tmp_path / "real")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    for folders in ([str(link)], []):  # as a workspace, and as one file that is opened
        uris = Uris(folders)
        assert uris.path_of((link / SMALL).as_uri()) == str(tmp_path / "real" / SMALL)
        assert uris.uri_of(str(tmp_path / "real/project/meta.yaml")) == (link / "project/meta.yaml").as_uri()


def test_a_file_keeps_the_uri_by_which_it_was_opened(tmp_path: Path) -> None:
    make_tree(tmp_path / "a b@\u00fc")
    plain = (tmp_path / "a b@\u00fc" / SMALL).as_uri()
    uri = plain.replace("%C3%BC", "%c3%bc").replace("@", "%40")
    uris = Uris([str(tmp_path)])
    path = uris.path_of(uri)
    assert uri != plain and path == uris.path_of(plain) == str(tmp_path / "a b@\u00fc" / SMALL)
    uris.opened(uri)
    assert uris.uri_of(path) == uri


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("untitled:Untitled-1", None),
        ("git:/x/y.yaml?%7B%7D", None),
        ("vscode-notebook-cell:/x/y.yaml#W0", None),
        ("file:", None),
        ("file:///x/%00.yaml", None),
        ("file://localhost/x/y.yaml", "/x/y.yaml"),
        ("file:///x/../y%20z.yaml", "/y z.yaml"),
    ],
)
def test_only_files_have_paths(uri: str, path: str | None) -> None:
    assert Uris().path_of(uri) == path
