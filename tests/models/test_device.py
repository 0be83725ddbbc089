import pytest
import torch

from loan_default.errors import ConfigurationError
from loan_default.models.device import Compute, choose_compute, torch_threads, usable_cores


def chosen(
    requested: str = "cpu", *, members: int = 2, environ: dict[str, str] | None = None, cores: int = 2
) -> Compute:
    return choose_compute(requested, members=members, environ=environ or {}, cores=cores)


def reason(compute: Compute, what: str) -> str:
    return next(choice.reason for choice in compute.choices if choice.what == what)


def test_each_choice_has_a_value_and_a_reason() -> None:
    compute = chosen()
    assert [choice.what for choice in compute.choices] == ["device", "threads", "processes"]
    assert [choice.value for choice in compute.choices] == [
        str(compute.device),
        str(compute.threads),
        str(compute.processes),
    ]
    assert all(choice.reason for choice in compute.choices)


def test_a_device_that_is_asked_for_is_taken() -> None:
    compute = chosen("cpu")
    assert compute.device == torch.device("cpu")
    assert "--device cpu" in reason(compute, "device")


def test_auto_takes_what_torch_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    compute = chosen("auto")
    assert compute.device.type == "cpu"
    assert reason(compute, "device") == "torch finds no GPU"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Test GPU")
    compute = chosen("auto", members=6)
    assert (compute.device.type, compute.processes) == ("cuda", 1)
    assert "Test GPU" in reason(compute, "device")


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigurationError, match="must have a GPU, however: torch finds none"):
        chosen("cuda")


@pytest.mark.parametrize(("members", "cores", "processes"), [(1, 8, 1), (6, 2, 2), (6, 1, 1), (2, 16, 2)])
def test_never_more_processes_than_members_or_cores(members: int, cores: int, processes: int) -> None:
    assert chosen(members=members, cores=cores).processes == processes


def test_omp_num_threads_decides_the_threads() -> None:
    compute = chosen(environ={"OMP_NUM_THREADS": "3"}, cores=2)
    assert compute.threads == 3
    assert "OMP_NUM_THREADS=3" in reason(compute, "threads")
    assert chosen(environ={"OMP_NUM_THREADS": ""}, cores=1).threads == 1


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "2,4"])
def test_omp_num_threads_must_be_a_positive_integer(value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"positive integer, however: .*{value}"):
        chosen(environ={"OMP_NUM_THREADS": value})


@pytest.mark.parametrize("cores", [1, 2, 3, 8, 128])
def test_threads_without_a_wish(cores: int) -> None:
    threads = chosen(cores=cores).threads
    assert 1 <= threads <= max(1, cores)
    assert cores > 2 or threads == 1


def test_usable_cores() -> None:
    assert usable_cores() >= 1


def test_threads_of_torch_are_put_back_also_after_an_error() -> None:
    before = torch.get_num_threads()

    def stopped_while_using(count: int) -> None:
        with torch_threads(count):
            assert torch.get_num_threads() == count
            raise KeyError("stopped")

    with torch_threads(before + 2):
        with pytest.raises(KeyError):
            stopped_while_using(1)
        assert torch.get_num_threads() == before + 2
    assert torch.get_num_threads() == before
