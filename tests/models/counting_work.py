"""Work that processes of the tests do: it trains nothing, and can be sent to a process."""

from dataclasses import dataclass

import torch

from loan_default.models.fitting import Epoch, Fitted, OnProgress, Progress
from loan_default.models.schedules import Passes


@dataclass(frozen=True)
class CountingWork:
    """Reports as many epochs as the job is large, and returns the job as a weight."""

    refused: int = -1
    """The job that ends in an error."""

    def run(self, job: int, on_progress: OnProgress, /) -> Fitted:
        if job == self.refused:
            raise ValueError(f"job {job} is refused")
        epochs = tuple(
            Epoch(epoch=number, losses={}, score=0.5, rows_per_second=1.0) for number in range(1, job + 1)
        )
        for epoch in epochs:
            on_progress(
                Progress(
                    stage=f"job {job}", epoch=epoch.epoch, epochs=job, done_rows=0, total_rows=0, last=epoch
                )
            )
        weights = torch.tensor([float(job), float(torch.get_num_threads())])
        return Fitted(
            state={"weight": weights}, best=epochs[-1], history=epochs, passes=Passes(steady=len(epochs))
        )
