"""Names that come from data must stay below their folder."""

import pathlib

import pytest

from foregan_jax.data import folders, sources
from foregan_jax.media import images, paths
from foregan_jax.runtime import base_config

_BAD = (
  "..", ".", "", "/etc/x", "a/../../b", "a//b", "a\nb", "a\0b", "../x",
  "\udcff", "a\u2028b",
)  # fmt: skip


@pytest.mark.parametrize("name", _BAD)
def test_names_that_leave_the_folder_are_refused(name):
  with pytest.raises(images.DataError, match="^list.txt: .* is not the name"):
    paths.check_name(name, "list.txt")
  with pytest.raises(images.DataError, match="^root: .* is not the name"):
    paths.below(pathlib.Path("root"), name)


@pytest.mark.parametrize("name", ["bear", "b/c.v2", "...", "Übung 1", "-x"])
def test_ordinary_names_are_joined(name):
  assert paths.below(pathlib.Path("root"), name) == pathlib.Path("root", name)


def test_links_are_refused_below_the_root_only(tmp_path):
  (tmp_path / "real").mkdir()
  root = tmp_path / "root"
  root.symlink_to(tmp_path / "real")
  paths.refuse_link(root, root / "masks" / "a.png")
  (root / "masks").symlink_to(tmp_path)
  with pytest.raises(ValueError, match="root/masks is a symbolic link"):
    paths.refuse_link(root, root / "masks" / "a.png")


@pytest.mark.parametrize("line", ["..", "/", "/JPEGImages/480p/../0.jpg a"])
def test_lists_with_other_names_are_refused(tmp_path, line):
  path = tmp_path / "train.txt"
  path.write_text(f"bear\n{line}\n")
  with pytest.raises(images.DataError, match="train.txt: .* is not the name"):
    folders.read_list(path)


@pytest.mark.parametrize("key", ["eval_split", "year"])
def test_folder_of_results_stays_in_the_workdir(key):
  config = base_config.base()
  config.data.kind = "files"
  config.data.root = "davis"
  config.data[key] = "../../../x"
  with pytest.raises(images.DataError, match=rf"^data.{key}: '\.\./"):
    sources.benchmark(config)


@pytest.mark.parametrize(
  "content", [b"ant\0bee\n", b"b\xe4r\n", "ant\n".encode("utf-16"), b"\xff" * 9]
)
def test_lists_that_are_no_text_are_refused(tmp_path, content):
  path = tmp_path / "train.txt"
  path.write_bytes(content)
  with pytest.raises(images.DataError, match="train.txt: (is not text|'ant)"):
    folders.read_list(path)


def test_full_path_of_a_link_to_itself(tmp_path):
  loop = tmp_path / "loop"
  loop.symlink_to(loop)
  assert paths.full(loop / "x").name == "x"
