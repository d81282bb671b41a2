"""The report of a sweep: titles, tables and plots that can be read."""

import re

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from sweeping import ERROR, HOLDS, RATES, RESULTS, rows, write_page

from ecom_lab.experiments.report import overview


@pytest.fixture(params=[RESULTS, RESULTS[:1]], ids=["four results", "one result"])
def plots(request):
    """The plots of that many results, by RATE and by HOLD."""
    frame = rows().drop(columns=[name for name in RESULTS if name not in request.param])
    return list(overview(frame[frame.status == "done"], {"RATE": RATES, "HOLD": HOLDS}))


def test_a_plot_has_axes_for_each_result_and_no_empty_ones(plots):
    """The grid has room for six: what is not needed of it is not seen."""
    for plot in plots:
        seen = [axes for axes in plot.figure().axes if axes.get_visible()]
        assert all(axes.lines and axes.get_title() and axes.get_xlabel() for axes in seen)
        assert [axes.get_title() for axes in seen] in (RESULTS, RESULTS[:1])


def test_a_legend_of_six_values_is_seen_whole(plots):
    """It says which parameter they are of, and does not leave the picture, however narrow."""
    figure = plots[0].figure()
    FigureCanvasAgg(figure).draw()
    (legend,) = figure.legends
    assert legend.get_title().get_text() == "HOLD"
    assert [text.get_text() for text in legend.texts] == ["0.5", "1", "2", "4", "8", "16"]
    box = legend.get_window_extent()
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1


def test_lines_that_coincide_are_told_apart_without_their_colours(plots):
    """By dashes and hollow marks: the one on top does not hide those beneath it."""
    lines = [line for line in plots[0].figure().axes[0].lines if line.get_label()[0] != "_"]
    assert [line.is_dashed() for line in lines] == [False, *[True] * 5]
    assert len({line.get_marker() for line in lines}) == len(HOLDS)
    assert {line.get_fillstyle() for line in lines} == {"none"}


def test_numbers_are_written_as_people_write_them(plots, tmp_path):
    """Whole ones without a point, large ones with all their digits: in tables, words and axes."""
    figure = plots[0].figure()
    FigureCanvasAgg(figure).draw()
    assert {axes.yaxis.get_offset_text().get_text() for axes in figure.axes} == {""}
    assert plots[0].text.startswith("By RATE. Means at each RATE: 0: confirmed 1235000")
    page = re.sub(r">\s+<", "><", write_page(tmp_path).read_text())
    assert "<td>RATE</td><td>0, 0.5, 1</td>" in page
    assert "<td>0.5</td><td>1</td><td>1.25</td><td>done</td><td>1234566</td>" in page


def test_each_failed_run_has_its_parameters_and_its_reason(tmp_path):
    page = write_page(tmp_path).read_text()
    for hold in ("0.5", "1", "2", "4", "8", "16"):
        assert f"<li>RATE=1, HOLD={hold}: {ERROR}</li>" in page


def test_what_did_not_vary_is_told_once(tmp_path):
    """Among the parameters, not again in every run."""
    page = re.sub(r">\s+<", "><", write_page(tmp_path).read_text())
    assert page.count("STOCK") == 1
    assert "<td>STOCK</td><td>0.8</td>" in page
