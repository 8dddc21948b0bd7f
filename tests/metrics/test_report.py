"""Reports: the toolkit's CSV files, horizons and the table of heads."""

import dataclasses
import io

import numpy as np
import pytest
import rich.console

from foregan_jax.metrics import report


def object_scores(j, f=None):
  return {"J": np.asarray(j, float), "F": np.asarray(j if f is None else f)}


SCORES = {
  "bear": {1: object_scores(np.linspace(1, 0, 10), np.full(10, 0.75))},
  "dogs": {
    1: object_scores(np.full(3, 0.4)),
    2: object_scores([1.0, 1.0, 1.0]),
  },
}
# linspace(1, 0, 10) has mean .5, recall .5 and decay 7/9.
GLOBAL = {
  "J&F-Mean": ((0.5 + 0.4 + 1) / 3 + (0.75 + 0.4 + 1) / 3) / 2,
  "J-Mean": 1.9 / 3,
  "J-Recall": 1.5 / 3,
  "J-Decay": 7 / 27,
  "F-Mean": 2.15 / 3,
  "F-Recall": 2 / 3,
  "F-Decay": 0,
}


def heads(learned=0.5, second=0.4):
  flat = lambda v: {"bear": {1: object_scores(np.full(13, v))}}
  return [
    report.Head("propagator", flat(learned), learned=True),
    report.Head("repeat first mask", flat(0.25), learned=False),
    report.Head("generator", flat(second), learned=True),
    report.Head("warp by flow", flat(0.3), learned=False),
  ]


def test_global_results():
  result = report.global_results(SCORES)
  assert tuple(result) == report.GLOBAL_COLUMNS
  for name, value in GLOBAL.items():
    assert result[name] == pytest.approx(value, abs=1e-12), name


def test_csv_files(tmp_path):
  paths = report.write_csvs(tmp_path / "eval", "val", SCORES)
  assert [p.name for p in paths] == [
    "global_results-val.csv",
    "per-sequence_results-val.csv",
  ]
  assert paths[0].read_bytes() == (
    b"J&F-Mean,J-Mean,J-Recall,J-Decay,F-Mean,F-Recall,F-Decay\n"
    b"0.675,0.633,0.500,0.259,0.717,0.667,0.000\n"
  )
  assert paths[1].read_bytes() == (
    b"Sequence,J-Mean,F-Mean\n"
    b"bear_1,0.500,0.750\n"
    b"dogs_1,0.400,0.400\n"
    b"dogs_2,1.000,1.000\n"
  )
  assert sorted(p.name for p in (tmp_path / "eval").iterdir()) == sorted(
    p.name for p in paths
  )


def test_csv_files_are_overwritten(tmp_path):
  report.write_csvs(tmp_path, "val", SCORES)
  report.write_csvs(tmp_path, "val", {"bear": {1: object_scores([1.0, 1.0])}})
  text = (tmp_path / "per-sequence_results-val.csv").read_text()
  assert text.splitlines()[1:] == ["bear_1,1.000,1.000"]


def test_nan_is_an_empty_csv_cell(tmp_path):
  nan = {"bear": {1: object_scores([float("nan")] * 2, np.ones(2))}}
  path, _ = report.write_csvs(tmp_path, "val", nan)
  assert path.read_text().splitlines()[1] == ",,0.000,,1.000,1.000,0.000"


def test_wrong_scores_are_refused():
  with pytest.raises(ValueError, match="no sequence has an object"):
    report.global_results({"bear": {}})
  with pytest.raises(ValueError, match="bear, object 2.*'J': 3, 'F': 2"):
    report.global_results({"bear": {2: object_scores(np.ones(3), np.ones(2))}})


def test_horizon_frames():
  assert list(report.horizon_frames(1, 5)) == [1, 2, 3, 4]
  assert list(report.horizon_frames(2, 5)) == [5, 6, 7, 8]
  assert list(report.horizon_frames(3, 5)) == [9, 10, 11, 12]
  assert [report.horizon_name(k) for k in (1, 2, 3)] == ["T", "2T", "3T"]
  with pytest.raises(ValueError, match="k = 0"):
    report.horizon_frames(0, 5)
  with pytest.raises(ValueError, match="clip_len = 1"):
    report.horizon_frames(1, 1)


def test_horizon_means():
  # Frame t scores t / 100.
  long = {**object_scores(np.arange(1, 14) / 100)}
  sparse = {"frames": np.array([2, 6]), **object_scores([0.5, 0.7])}
  means = report.horizon_means(
    {"bear": {1: long}, "dogs": {1: sparse}}, clip_len=5
  )
  assert means["T"]["J"] == pytest.approx((0.025 + 0.5) / 2)
  assert means["2T"]["J"] == pytest.approx((0.065 + 0.7) / 2)
  assert means["3T"]["F"] == pytest.approx(0.105)  # `sparse` has no such frame


def test_scalars():
  short = {"bear": {1: object_scores(np.full(6, 0.25), np.full(6, 0.75))}}
  flat = report.scalars(short, clip_len=5)
  assert flat == {
    "JF_mean": 0.5,
    "J_mean": 0.25,
    "J_recall": 0,
    "J_decay": 0,
    "F_mean": 0.75,
    "F_recall": 1,
    "F_decay": 0,
    "J_T": 0.25,
    "F_T": 0.75,
    "J_2T": 0.25,
    "F_2T": 0.75,
    "JF_T": 0.5,
    "JF_2T": 0.5,
  }


def test_best_head_is_learned_without_ground_truth():
  rows = heads()
  assert report.best_learned(rows).name == "propagator"
  assert report.best_learned(heads(second=0.6)).name == "generator"
  assert report.best_learned([r for r in rows if not r.learned]) is None
  marked = [
    dataclasses.replace(r, uses_ground_truth=r.name == "propagator")
    for r in rows
  ]
  assert report.best_learned(marked).name != "propagator"


def test_plain_table():
  text = report.plain(heads(), clip_len=5, title="demo val").splitlines()
  assert text[0] == "demo val"
  assert text[1].split() == ("head J T J 2T J 3T J F T F 2T F 3T F J&F".split())
  # Baselines come first, then learned heads; the best has an asterisk.
  names = [" ".join(x for x in line.split() if "." not in x) for line in text]
  assert names[3:5] == ["repeat first mask", "warp by flow"]
  assert names[6:8] == ["propagator *", "generator"]
  assert set(text[2]) == set(text[5]) == {"-"}
  assert text[6].split()[2:] == [".500"] * 9
  assert "3T = frames 9-12" in text[8]
  assert text[9] == (
    "Best learned head: propagator, J&F .200 above the best baseline "
    "(warp by flow)."
  )


def test_caption_marks_heads_below_the_baselines():
  text = report.plain(heads(0.1, 0.2), clip_len=5, title="")
  assert "generator, J&F .100 BELOW the best baseline" in text


def test_horizons_beyond_the_video_are_dashes():
  short = [
    report.Head("h", {"bear": {1: object_scores(np.ones(4))}}, learned=True)
  ]
  row = report.plain(short, clip_len=5, title="").splitlines()[3]
  assert row.split()[2:] == "1.000 - - 1.000 1.000 - - 1.000 1.000".split()


@pytest.mark.parametrize("terminal", [False, True])
def test_show_is_plain_text_except_on_a_terminal(capsys, monkeypatch, terminal):
  monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
  report.show(heads(), clip_len=5, title="demo val")
  text = capsys.readouterr().out
  expected = report.plain(heads(), clip_len=5, title="demo val") + "\n"
  assert (text == expected) is not terminal
  assert "propagator" in text
  assert expected.isascii()


def test_rich_table_highlights_and_fits(monkeypatch):
  monkeypatch.delenv("NO_COLOR", raising=False)
  console = rich.console.Console(
    file=io.StringIO(), width=80, force_terminal=True, color_system="standard"
  )
  rows = [report.Head("warp by the flow", heads()[3].scores, False), *heads()]
  console.print(report.table(rows, clip_len=5, title="demo val"))
  lines = console.file.getvalue().splitlines()
  find = lambda name: next(
    x for x in lines if x.strip(" \x1b[1;32m").startswith(name)
  )
  assert "\x1b[1;32m" in find("propagator")  # bold green
  assert "\x1b[1;32m" not in find("generator")
  assert find("propagator").count(".500") == 9
  assert not any("\u2026" in x for x in lines)  # no cell is truncated
