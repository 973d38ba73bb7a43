"""The notebook runs from top to bottom, on MNIST and on the digits that take its place, and ends with ten clusters."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "triplets.ipynb"


def executed(notebook: NotebookNode, folder: Path) -> str:
    """What the cells print; a cell that raises fails the test with its traceback."""
    client = NotebookClient(notebook, kernel_name="python3", timeout=800, resources={"metadata": {"path": str(folder)}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 7  # every picture was drawn
    return "".join(output.text for output in outputs if output.output_type == "stream")


def agreement(printed: str) -> dict[str, float]:
    """AMI of the k-means of each map with the digits."""
    return {name: float(ami) for name, ami in re.findall(r"^(.*): AMI ([\d.]+)", printed, re.MULTILINE)}


def test_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_runs(tmp_path: Path) -> None:
    printed = executed(nbformat.read(NOTEBOOK, as_version=4), tmp_path)
    if "MNIST cannot be had" in printed:
        pytest.skip("MNIST is not here, and test_runs_without_mnist covers the digits that take its place")
    ami = agreement(printed)
    assert ami["before training"] < 0.7
    assert ami["softmax form"] > 0.8
    assert ami["FaceNet"] > 0.9
    assert re.search(r"^hardest .* collapsed$", printed, re.MULTILINE)
    assert "The embeddings collapsed" in printed


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_runs_without_mnist(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = [cell for cell in notebook.cells if 'open_data("mnist")' in cell.source]
    assert len(cells) == 1
    cells[0].source = cells[0].source.replace('open_data("mnist")', 'open_data("a set that nobody has")')
    printed = executed(notebook, tmp_path)
    assert "scikit-learn's digits take its place" in printed
    ami = agreement(printed)
    assert ami["before training"] < ami["FaceNet"]
    assert ami["FaceNet"] > 0.8
