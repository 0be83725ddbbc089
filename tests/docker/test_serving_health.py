"""The health check of the containers that score: what is waited for, and what a restart may mend."""

import io
import json
import runpy
import sys
import urllib.request
from email.message import Message
from pathlib import Path
from urllib.error import HTTPError

import pytest

CHECK = Path(__file__).parents[2] / "docker" / "serving_health.py"


@pytest.mark.parametrize(
    ("model", "predictions", "status"),
    [("v1", "kept", 1), ("v1", "refused", 0), (None, "kept", 0), (None, "refused", 0)],
)
def test_only_a_model_that_fails_is_unhealthy(monkeypatch, model, predictions, status):
    content = json.dumps({"status": "not ready", "model": model, "predictions": predictions}).encode()

    def refuse(address, *, timeout):
        raise HTTPError(address, 503, "Service Unavailable", Message(), io.BytesIO(content))

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(sys, "argv", ["serving_health.py", "api"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(CHECK), run_name="__main__")
    assert int(ended.value.code) == status
