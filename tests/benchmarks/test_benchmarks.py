"""Points, curves, envelopes and the kept points of the benchmarks."""

from __future__ import annotations

import math

import pytest

from benchmarks.peers import PEERS
from benchmarks.plot import plot
from benchmarks.points import ENVELOPES, CompressionPoint, bytes_at, comparison, comparison_table, envelope_at
from benchmarks.rate_distortion import read_points, setting_text, write_points


def curve(pipeline, factor=1.0, damages=(32.0, 16.0, 8.0, 4.0, 2.0)):
    """`factor` times 1,000 bytes for each halving below 64 mBPB; the divergence is the gap over 400."""
    return [
        CompressionPoint(pipeline, f"{d:g}", round(1000 * factor * math.log2(64 / d)), d, 0.1, d / 400) for d in damages
    ]


@pytest.mark.parametrize("damage", [2.0, 3.0, 4.0, 12.0, 20.0, 32.0])
def test_bytes_are_linear_in_the_logarithm_of_damage(damage):
    for measure, value in (("gap", damage), ("kl", damage / 400)):
        assert bytes_at(curve("a"), value, measure) == pytest.approx(1000 * math.log2(64 / damage))


def test_nothing_is_extrapolated_and_beaten_points_do_not_count():
    assert (
        bytes_at(curve("a"), 1.9, "gap") is None
        and bytes_at(curve("a"), 33, "gap") is None
        and bytes_at([], 4, "gap") is None
    )
    beaten = CompressionPoint("a", "bad", 3500, 9.0, 0.1, 1.0)
    assert bytes_at([*curve("a"), beaten], 9, "gap") == bytes_at(curve("a"), 9, "gap")


def test_envelopes_and_ratios():
    peers = [*curve("sdclip", 2.0), *curve("record", 1.5, (32.0, 16.0)), *curve("record-tuned", 1.25)]
    assert envelope_at(peers, ("sdclip", "record"), 20, "gap") == pytest.approx(1500 * math.log2(64 / 20), rel=1e-3)
    assert envelope_at(peers, ("sdclip", "record"), 8, "gap") == pytest.approx(6000)
    rows = comparison(curve("bytecap (x)"), peers)
    assert [(row["measure"], row["damage"]) for row in rows] == [("gap", g) for g in (3, 4, 6, 8, 12, 20)] + [
        ("kl", k) for k in (0.005, 0.01, 0.02, 0.03, 0.05, 0.08)
    ]
    for row in rows:
        assert (
            row["ratios"]["tuned"] == pytest.approx(0.8, rel=1e-3)
            and row["peers"]["gguf"] is None
            and row["ratios"]["nncodec"] is None
        )
    assert rows[1]["ratios"]["published"] == pytest.approx(0.5) and rows[5]["ratios"]["published"] == pytest.approx(
        1 / 1.5, rel=1e-3
    )
    text = comparison_table(rows).splitlines()
    assert (
        len(text) == 13
        and all(name in text[0] for name in ENVELOPES)
        and text[2].split()[:5] == ["gap", "4", "mBPB", "4,000", "8,000"]
    )


def test_envelopes_name_peers_that_exist():
    assert {name for pipelines in ENVELOPES.values() for name in pipelines} <= set(PEERS)


def test_every_peer_has_a_colour(tmp_path):
    points = [CompressionPoint(name, "a", 1000, 1.0, 0.1, 0.01) for name in PEERS]
    plot(points, tmp_path / "sizes.png", "all")
    assert (tmp_path / "sizes.png").read_bytes()[:4] == b"\x89PNG"


def test_points_are_kept_under_their_setting(tmp_path):
    path, points = tmp_path / "peers.json", curve("a")
    assert read_points(path, {"tokens": 1}) == {}
    write_points(path, {"tokens": 1}, points)
    assert read_points(path, {"tokens": 1}) == {("a", p.setting): p for p in points}
    assert read_points(path, {"tokens": 2}) == {}  # measured on something else


def test_settings_have_names(monkeypatch):
    assert setting_text(PEERS["sdclip"], {"k": 12.85, "embedding_k": 5}) == "k=12.85 embedding_k=5"
    assert setting_text(PEERS["gguf"], {"type": "Q4_K"}) == "type=Q4_K"
    monkeypatch.setenv("PATH", "/nowhere")
    assert setting_text(PEERS["record"], {"k": 10.0}) == "k=10 (brotli for ZPAQ)"
    for peer in PEERS.values():
        assert len({setting_text(peer, setting) for setting in peer.settings}) == len(peer.settings)
