"""A tour of the package: each part by itself, on real rows, in seconds.

python examples.py                     # lists the sections and runs all of them
python examples.py producer            # one section, or several
python examples.py --help

Nothing has to be set up: a broker in memory and a store in a temporary folder are enough. Where
KAFKA_BOOTSTRAP_SERVERS or MONGODB_URI is set, `producer`, `consumer` and `repositories` use that server, on a
topic and in collections of their own: no pipeline reads what they write.
"""

import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer
from rich.console import Console

from loan_default.bundled import BUNDLED_DATA, BUNDLED_SCHEMA
from loan_default.cli.console import epoch_line, make_console, say
from loan_default.cli.main import run
from loan_default.cli.registered_models import models_table
from loan_default.cli.scored_rows import print_scored
from loan_default.data.schema.frames import RawFrame, validate
from loan_default.data.schema.records import RecordError, records_frame, validate_record
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.json_rows import json_rows, row_subjects
from loan_default.data.sources.table_files import infer_schema, read_frame
from loan_default.database.connect import Client, Collection, Database, Document
from loan_default.database.documents import DatasetName, ModelMetadata, PerformanceMetrics, TrainingData
from loan_default.database.driver_errors import database_errors
from loan_default.database.ingestion_documents import EventStatus, RawDataLog
from loan_default.database.ingestion_repositories import RawDataLogRepository
from loan_default.database.repositories import ModelRepository, register_model
from loan_default.errors import ArtifactError, ConfigurationError, DataError, did_you_mean
from loan_default.evaluation.metrics import auc, brier, ks, measure, score_points
from loan_default.files import sha256_of
from loan_default.kafka.broker import Broker
from loan_default.kafka.consuming import drain
from loan_default.kafka.events import Event, EventType, event_id, read_event, to_message
from loan_default.kafka.messages import Message, Record
from loan_default.kafka.open_broker import connect
from loan_default.kafka.topics import Topic
from loan_default.pipelines.registry import list_models
from loan_default.pipelines.training.dataset import load_dataset, snapshot_of
from loan_default.settings import Settings
from loan_default.wiring import open_database, start

if TYPE_CHECKING:  # a section imports torch where it needs it: the others do not wait for it
    from loan_default.models.contrastive import View
    from loan_default.models.encoder import Encoder
    from loan_default.models.fitting import Progress


@dataclass(frozen=True, kw_only=True, slots=True)
class Tour:
    """The console, the settings and the name that a section works with."""

    console: Console
    settings: Settings
    """They come from the environment, but `home` is a temporary folder."""
    id: str
    """It marks what goes to a server: `example-` and 8 digits."""

    def say(self, label: str, text: str) -> None:
        """Print a line."""
        say(self.console, label, text)


# Data --------------------------------------------------------------------------------------------------


def schema(tour: Tour) -> None:
    """Validate rows by a schema: real rows, broken ones, a record; then infer the schema."""
    accounts = load_schema(BUNDLED_SCHEMA)
    protected = ", ".join(column.name for column in accounts.protected)
    tour.say("schema", f"{accounts.name}: {len(accounts.columns)} columns, {len(accounts.features)} features")
    tour.say("protected", f"{protected}: kept in the data, never seen by a model")

    raw = read_frame(BUNDLED_DATA)
    checked = validate(raw, accounts, labelled=True)
    accepted, rejected = len(checked.accepted), len(checked.rejected)
    tour.say("rows", f"{len(raw.frame):,} read: {accepted:,} accepted, {rejected:,} rejected")
    aliases = (checked.accepted["EDUCATION"] != raw.frame["EDUCATION"]).sum()
    tour.say("cleaned", f"{aliases} rows whose EDUCATION is an alias in the file, now its category")

    broken = raw.frame.head(3).copy()  # the first rows, made worse
    broken.loc[0, "LIMIT_BAL"] = "-20000"
    broken.loc[1, ["EDUCATION", "PAY_0"]] = ["9", "late"]
    for reason in validate(RawFrame(frame=broken), accounts, labelled=True).rejected["reason"]:
        tour.say("rejected", reason)

    (record,) = json_rows(raw.frame.head(1), accounts)  # as it comes from a stream, with typed values
    validate_record(record, accounts)
    try:
        validate_record(record | {"LIMIT_BAL": "20000", "PAYMENT_2": 0}, accounts)
    except DataError as error:
        tour.say("a record", str(error))

    target = accounts.target.name if accounts.target else None
    inferred = infer_schema(BUNDLED_DATA, target=target).schema  # as for a file that has no schema yet
    alike = sum(inferred[column.name].kind is column.kind for column in accounts.columns)
    of_all = f"{alike} of {len(accounts.columns)} columns"
    tour.say("inferred", f"from the file alone: {of_all} are of the same kind")


# Kafka -------------------------------------------------------------------------------------------------

TOPIC = "examples"
"""A topic of its own, as records on `raw_data` would be processed and trained on."""


def producer(tour: Tour) -> None:
    """Publish rows as events on a topic; the broker confirms each one."""
    broker, events = connected_broker(tour), example_events(tour, rows=1000)
    attributes = {name: value.decode() for name, value in events[0].headers}
    tour.say("event", f"{attributes['ce_id']}: {attributes['ce_type']}, subject {attributes['ce_subject']}")
    tour.say("", f"{(events[0].value or b'').decode()[:60]} …")

    before = broker.end_offsets(TOPIC)
    huge = Message(topic=TOPIC, key=b"huge", value=bytes(2 * 1024 * 1024))
    sender = broker.producer()
    delivery = sender.deliver([*events, huge])  # returns when the broker has answered for every message
    sender.close()
    tour.say("sent", f"{len(events) + 1:,} messages: {delivery.delivered:,} confirmed")
    for each in delivery.refused:
        tour.say("refused", each.reason)
    counts = [end - before[partition] for partition, end in sorted(broker.end_offsets(TOPIC).items())]
    tour.say("partitions", f"{' + '.join(map(str, counts))}; what concerns one application stays in order")


def consumer(tour: Tour) -> None:
    """Validate events, then commit: what is not committed is delivered again."""
    broker, accounts = connected_broker(tour), load_schema(BUNDLED_SCHEMA)
    first = broker.consumer(tour.id, [TOPIC])
    # A new group begins with the oldest record, so it skips what earlier examples have left.
    drain(first, lambda _: None, ends=broker.end_offsets(TOPIC))

    events = example_events(tour, rows=300)
    events[0] = events[0]._replace(value=b"{not JSON")
    events[1] = events[1]._replace(value=None)
    negative = (events[2].value or b"").replace(b'"LIMIT_BAL":', b'"LIMIT_BAL":-')
    events[2] = events[2]._replace(value=negative)
    sender = broker.producer()
    sender.deliver(events)
    sender.close()

    polled = {record.position for record in first.poll(max_records=100, timeout_seconds=10.0)}
    first.close()  # as if it had crashed: none of them is committed
    tour.say("first", f"member of the group: polls {len(polled)} records and leaves before its commit")

    seen, reasons = Counter[str](), Counter[str]()

    def handle(records: list[Record]) -> None:
        for record in records:
            if not event_id(record).startswith(tour.id):
                continue  # another run of this example sent it
            seen["all"] += 1
            seen["again"] += record.position in polled
            try:
                validate_record(read_event(record).data, accounts)
            except RecordError as error:
                reasons["; ".join(error.rules)] += 1  # rules alone: no value gets into a log
            except DataError as error:
                reasons[str(error)] += 1

    second = broker.consumer(tour.id, [TOPIC])
    drain(second, handle, ends=broker.end_offsets(TOPIC))  # commits a batch when `handle` has returned
    tour.say("second", f"member: polls {seen['all']}, of them {seen['again']} that the first had polled")
    tour.say("accepted", f"{seen['all'] - reasons.total()}")
    for reason, records in reasons.items():
        tour.say("rejected", f"{records}: {reason}")
    rest = drain(second, handle, ends=broker.end_offsets(TOPIC))
    second.close()
    tour.say("left", f"{rest.records}: the group has committed everything")


# MongoDB -----------------------------------------------------------------------------------------------


def repositories(tour: Tour) -> None:
    """Store documents once, however often they are sent, and move the champion."""
    with own_collections(tour) as database:
        models, logs = ModelRepository(database), RawDataLogRepository(database)
        logs.ensure_indexes()
        for column in ("EDUCATION", "PAY_0"):
            model, metrics, snapshot = example_documents(column)
            for _ in range(2):  # a retry is the same write
                register_model(database, model, metrics=[metrics], snapshot=snapshot)
        tour.console.print(models_table(list_models(database)))
        try:
            models.add(model.model_copy(update={"seed": 1}))
        except DataError as error:
            tour.say("refused", str(error))

        # Compare and set: whoever moves the pointer passes what they know of it.
        for version, seen, champion in (
            ("by-EDUCATION", 0, None),
            ("by-PAY_0", 0, None),
            ("by-PAY_0", 1, "by-EDUCATION"),
        ):
            digest = models.get(version).sha256
            moved = models.move_champion(version, digest, seen_rev=seen, seen_version=champion)
            answer = "done" if moved else "refused, the pointer has moved since"
            tour.say("champion", f"to {version}, knowing of {seen} moves: {answer}")

        event = RawDataLog(
            event=f"{tour.id}-0",
            topic=TOPIC,
            partition=0,
            offset=17,
            batch=tour.id,
            outcome=EventStatus.ACCEPTED,
            logged_at=datetime.now(UTC),
        )
        for offset in (17, 17, 18):
            (arrival,) = logs.add_new([event.model_copy(update={"offset": offset})]).arrivals
            tour.say("event", f"{event.id} at offset {offset}: {arrival}")


# The model ---------------------------------------------------------------------------------------------


def encoder(tour: Tour) -> None:
    """Embed rows as tokens, and pretrain by NT-Xent until two views of a row find each other."""
    import torch

    from loan_default.models.arrays import to_tensors
    from loan_default.models.contrastive import ObjectiveConfig, corrupt, nt_xent
    from loan_default.models.encoder import Encoder, EncoderConfig
    from loan_default.models.features import fit_features
    from loan_default.models.pretraining import pretrain
    from loan_default.models.schedules import FitConfig

    torch.manual_seed(0)
    accounts = load_dataset(BUNDLED_DATA, load_schema(BUNDLED_SCHEMA))
    features = fit_features(accounts.frame.head(6000), accounts.schema)
    rows = features.transform(accounts.frame.head(6000))
    unseen = features.transform(accounts.frame.tail(256))
    tour.say("features", f"{len(features.numerical)} numbers, {len(features.categorical)} category")

    cpu = torch.device("cpu")
    pool, (numerical, codes) = to_tensors(rows, cpu), to_tensors(unseen, cpu)
    network = Encoder(features.edges, features.cardinalities, EncoderConfig(n_layers=3)).eval()
    tokens = network.embed(numerical, codes)
    vectors = network.contextualise(tokens, cls_only=True)[:, 0]
    tour.say("shapes", f"tokens {tuple(tokens.shape)}: rows, columns, width; vectors {tuple(vectors.shape)}")

    objective, generator = ObjectiveConfig(objective="nt-xent"), torch.Generator().manual_seed(0)
    views = [corrupt(numerical, codes, pool=pool, config=objective, generator=generator) for _ in range(2)]
    changed = torch.stack([view.changed for view in views]).float().mean()
    tour.say("views", f"two of each row; {changed:.0%} of the cells come from other rows or are masked")

    temperature = objective.temperature
    random = nt_xent(*torch.randn(2, *vectors.shape), temperature=temperature)
    alike = nt_xent(*torch.ones(2, *vectors.shape), temperature=temperature)
    chance = f"{random:.2f} of random vectors; {alike:.2f} = ln {len(vectors)} if all are alike"
    tour.say("by chance", f"NT-Xent {chance}")
    tour.say("untrained", view_match(network, views, temperature=temperature))
    pretrained = pretrain(
        network,
        rows,
        unseen,
        objective=objective,
        config=FitConfig(epochs=2, learning_rate=1e-3, batch_size=256, patience=0),
        seed=0,
        device=cpu,
        fingerprint="example",
        checkpoint=None,
        resume=False,
        on_progress=lambda _: None,
    )
    network.load_state_dict(pretrained.state)
    match = view_match(network.eval(), views, temperature=temperature)
    tour.say("pretrained", f"{match}, after 2 passes over {len(rows):,} others")


def view_match(network: "Encoder", views: "list[View]", *, temperature: float) -> str:
    """Return NT-Xent of two views of the same rows, and the share of rows nearest to their other view."""
    import torch

    from loan_default.models.contrastive import nt_xent

    with torch.inference_mode():
        embedded = (network.embed(view.numerical, view.codes, masked=view.masked) for view in views)
        one, other = (network.contextualise(tokens, cls_only=True)[:, 0] for tokens in embedded)
        loss = nt_xent(one, other, temperature=temperature)
        nearest = torch.cosine_similarity(one[:, None], other, dim=2).argmax(1)
    found = (nearest == torch.arange(len(one))).float().mean()
    return f"NT-Xent {loss:.2f}, {found:.0%} of the rows are nearest to their other view"


TRAINING_ROWS = 16_000
"""Rows of the bundled file that the model is trained on; it has not seen the rest."""


def training(tour: Tour) -> None:
    """Train a calibrated model and measure it on rows that it has not seen."""
    from loan_default.pipelines.training.plan import plan_training
    from loan_default.pipelines.training.stages import train_classifier
    from loan_default.pipelines.training.stopwatch import Stopwatch
    from loan_default.pipelines.training.training_options import FileData, TrainingOptions

    data = tour.settings.home / "accounts.csv"
    read_frame(BUNDLED_DATA).frame.head(TRAINING_ROWS).to_csv(data, index=False)
    options = TrainingOptions(
        data=FileData(data), schema=BUNDLED_SCHEMA, pretrain=False, preset="fast", epochs=2
    )
    watch = Stopwatch(tour.say)
    plan = plan_training(options, watch=watch)

    def on_progress(progress: "Progress") -> None:
        if progress.last is not None:
            tour.say("", epoch_line(progress))

    now = datetime.now(UTC)
    trained = train_classifier(
        plan, None, out=tour.settings.home, watch=watch, on_progress=on_progress, started_at=now
    )
    for name, pds in (("network", trained.test.calibrated), ("logistic", trained.test.baseline)):
        metrics = measure(trained.test.y, pds)
        tour.say(name, f"AUC {metrics.auc:.3f}  KS {metrics.ks:.3f}  Brier {metrics.brier:.3f}")
    rate, mean = trained.test.y.mean(), trained.test.calibrated.mean()
    tour.say("calibrated", f"mean PD {mean:.1%} on test rows of which {rate:.1%} defaulted")
    size = trained.path.stat().st_size / 1e6
    tour.say("file", f"{trained.path.name}, {size:.1f} MB, SHA-256 {trained.sha256[:12]}…")


def scoring(tour: Tour) -> None:
    """Score new applications, ask what if, and have a damaged model refused."""
    from loan_default.models.model import load_model
    from loan_default.pipelines.scoring.file_scoring import score_file, scoring_threads

    home = tour.settings.home
    path = home / "model.pth"
    if not path.exists():
        training(tour)
    model = load_model(path)  # refused unless its digest is the one that lies beside it
    tour.say("model", f"{model.version}, metrics and schema inside")

    new = read_frame(BUNDLED_DATA).frame.iloc[TRAINING_ROWS : TRAINING_ROWS + 2000].copy()
    new.loc[new.index[-1], "LIMIT_BAL"] = "much"
    new.to_csv(home / "new.csv", index=False)
    out, quarantine = home / "scores.csv", home / "scores.quarantine.csv"
    with scoring_threads():
        scored = score_file(model, home / "new.csv", out=out, quarantine=quarantine, report=lambda _: None)
    print_scored(tour.console, scored)
    for line in out.read_text(encoding="utf-8").splitlines()[:3]:
        tour.say("", line)

    (record,) = json_rows(new[new["PAY_0"] == "0"].head(1), model.schema)
    for months in (0, 1, 2):
        application = validate_record(record | {"PAY_0": months}, model.schema)
        (pd,) = model.predict_pd(records_frame([application], model.schema))
        tour.say("what if", f"{months} months late: PD {pd:.1%}, {score_points(pd):.0f} points")

    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # one bit of one weight
    damaged = home / "damaged.pth"
    damaged.write_bytes(content)
    try:
        load_model(damaged, sha256=sha256_of(path))
    except ArtifactError as error:
        tour.say("refused", str(error))


def serving(tour: Tour) -> None:
    """Score single records as the server does, split them between two models, and score a stream."""
    from loan_default.database.embedded import EmbeddedDatabase
    from loan_default.database.experiment_documents import Mode
    from loan_default.database.prediction_repository import PredictionRepository
    from loan_default.database.serving_documents import Door
    from loan_default.kafka.memory import MemoryBroker
    from loan_default.kafka.topics import PROCESSED, SCORES, SCORING, TOPICS
    from loan_default.models.model import load_model
    from loan_default.serving.answering import Answer, answer
    from loan_default.serving.lineup import Lineup, Trial
    from loan_default.serving.scorer import load_scorer
    from loan_default.serving.stream_scoring import StreamScorer

    path = tour.settings.home / "model.pth"
    if not path.exists():
        training(tour)
    cache = tour.settings.home / "serving"
    scorer = load_scorer(path, version=load_model(path).version, sha256=sha256_of(path), cache=cache)
    frame = read_frame(BUNDLED_DATA).frame.iloc[TRAINING_ROWS : TRAINING_ROWS + 1_000]
    records = [
        {name: value for name, value in record.items() if name != "default.payment.next.month"}
        for record in json_rows(frame, scorer.schema)
    ]
    tour.say(
        "model", f"{scorer.version}, its {len(scorer.schema.features)} features by plain arrays: no torch"
    )

    now, ids = datetime.now(UTC), [f"{tour.id}-{number}" for number in range(len(records))]
    one = answer(Lineup(champion=scorer), [records[0]], event_ids=ids[:1], door=Door.HTTP, now=now)[0]
    assert isinstance(one, Answer)
    below = scorer.share_below(one.pd)
    tour.say(
        "answer", f"PD {one.pd:.2%}, {one.points:.0f} points, above {below:.0%} of the training population"
    )

    for share in (0.1, 0.3):
        trial = Trial(id=tour.id, mode=Mode.SHARE, share=share, challenger=scorer)
        routed = answer(Lineup(champion=scorer, trial=trial), records, event_ids=ids, door=Door.HTTP, now=now)
        groups = Counter(str(each.group) for each in routed if isinstance(each, Answer))
        tour.say(f"share {share:.0%}", f"{groups['challenger']} of {sum(groups.values()):,} applicants")

    broker, database = MemoryBroker(), EmbeddedDatabase(tour.settings.home / "predictions.sqlite3")
    broker.create_topics(TOPICS)
    events = [
        Event(
            id=name,
            type=EventType.PROCESSED,
            source="examples.py",
            time=now,
            subject=str(record["ID"]),
            schema=scorer.schema.name,
            data=validate_record(record, scorer.schema),
        )
        for name, record in zip(ids, records, strict=True)
    ]
    broker.producer().deliver(to_message(event, PROCESSED) for event in events)
    stream = StreamScorer(
        broker=broker,
        producer=broker.producer(),
        predictions=PredictionRepository(database),
        lineup=lambda: Lineup(champion=scorer),
    )
    for group in (SCORING, "read-again"):  # the second one reads all of it again, as after a crash
        drain(broker.consumer(group, [PROCESSED]), stream, ends=broker.end_offsets(PROCESSED))
    counts = stream.scored
    tour.say("stream", f"{counts.scored:,} scored, {counts.repeated:,} came again and have the same score")
    scores = broker.consumer("tour", [SCORES]).poll(max_records=5_000, timeout_seconds=0)
    differing = len({(event_id(score), score.value) for score in scores}) - len(ids)
    tour.say("scores", f"{len(scores):,} events for {len(ids):,} applications, {differing} of them differ")
    database.close()


# What the sections share -------------------------------------------------------------------------------


def connected_broker(tour: Tour) -> Broker:
    """Connect to the broker of the environment, else to one in memory; make the topic of the examples."""
    broker, servers = connect(tour.settings), tour.settings.kafka_bootstrap_servers
    broker.create_topics([Topic(name=TOPIC, retention=timedelta(hours=1))])
    where = "in memory, as KAFKA_BOOTSTRAP_SERVERS is not set" if servers is None else servers
    tour.say("broker", f"{where}; topic {TOPIC}")
    return broker


def example_events(tour: Tour, *, rows: int) -> list[Message]:
    """Make events of the first rows of the bundled file."""
    accounts, frame = load_schema(BUNDLED_SCHEMA), read_frame(BUNDLED_DATA).frame.head(rows)
    messages: list[Message] = []
    for subject, data in zip(row_subjects(frame, accounts), json_rows(frame, accounts), strict=True):
        event = Event(
            id=f"{tour.id}-{len(messages)}",
            type=EventType.RECEIVED,
            source=BUNDLED_DATA.name,
            time=datetime.now(UTC),
            subject=subject or f"{tour.id}-{len(messages)}",
            schema=f"{accounts.name}/{accounts.digest[:12]}",
            data=data,
        )
        messages.append(to_message(event, TOPIC))
    return messages


def example_documents(column: str) -> tuple[ModelMetadata, PerformanceMetrics, TrainingData]:
    """Make what a training run registers: a model whose PD is the default rate at each value of a column."""
    accounts, now = load_dataset(BUNDLED_DATA, load_schema(BUNDLED_SCHEMA)), datetime.now(UTC)
    y = accounts.labels
    pds = accounts.frame.assign(y=y).groupby(column)["y"].transform("mean")
    snapshot = snapshot_of(accounts, now)
    model = ModelMetadata(
        version=f"by-{column}",
        created_at=now,
        path=f"models/by-{column}.pth",
        sha256=hashlib.sha256(column.encode()).hexdigest(),
        schema_name=accounts.schema.name,
        schema_digest=accounts.schema.digest,
        preset="example",
        objective="none",
        pretrained=False,
        members=1,
        parameters=pds.nunique(),
        rows={"train": len(y)},
        seed=0,
        code_version="example",
        libraries={},
        training_seconds=0,
        snapshot=snapshot.id,
    )
    metrics = PerformanceMetrics(
        version=model.version,
        dataset=DatasetName.TEST,
        snapshot=snapshot.id,
        computed_at=now,
        rows=len(y),
        label_rate=y.mean(),
        figures={"auc": auc(y, pds), "ks": ks(y, pds)[0], "brier": brier(y, pds)},
    )
    return model, metrics, snapshot


class OwnCollections:
    """It is the database of the environment, with a prefix before the names of its collections.

    A database of its own would be simpler, but on MongoDB the application's user may use this one alone. The
    pipelines' own collections name the champion, so an example must not write to them.
    """

    def __init__(self, database: Database, prefix: str) -> None:
        self._database, self._prefix = database, prefix
        self.used: set[str] = set()

    @property
    def client(self) -> Client:
        """It holds the connections."""
        return self._database.client

    def __getitem__(self, name: str) -> Collection:
        self.used.add(self._prefix + name)
        return self._database[self._prefix + name]

    def command(self, command: str | Document, /) -> Document:
        """Send a command."""
        return self._database.command(command)


@contextmanager
def own_collections(tour: Tour) -> Iterator[Database]:
    """Open the store of the environment, else one in the temporary folder, and drop the own collections."""
    on_server = tour.settings.mongodb_uri is not None
    where = "the server of MONGODB_URI" if on_server else "embedded, as MONGODB_URI is not set"
    with open_database(tour.settings) as database:
        own = OwnCollections(database, prefix=f"{tour.id}_")
        tour.say("store", f"{where}; collections {tour.id}_…")
        try:
            yield own
        finally:
            with database_errors("drop the collections of the example"):
                for name in sorted(own.used) if on_server else ():
                    database.command({"drop": name})


# The command -------------------------------------------------------------------------------------------

SECTIONS: dict[str, Callable[[Tour], None]] = {
    section.__name__: section
    for section in (schema, producer, consumer, repositories, encoder, training, scoring, serving)
}


def summary(name: str) -> str:
    """Return what a section shows, in a line."""
    return (SECTIONS[name].__doc__ or "").splitlines()[0]


HELP = "A tour of the package: each part by itself, on real rows, in seconds.\n\n[bold]Sections[/]" + "".join(
    f"\n\n    {name:<12}  {summary(name)}" for name in SECTIONS
)


def main(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[SECTION]...", help="Sections to run. Default: all.")
    ] = None,
) -> None:
    """Run sections in the order in which they are named."""
    for name in names or ():
        if name not in SECTIONS:
            known = ", ".join(SECTIONS)
            raise ConfigurationError(
                f"a section must be one of {known}, however: {name!r}.{did_you_mean(name, SECTIONS)}"
            )
    console, settings = make_console(), start()
    if not names:
        for name in SECTIONS:
            console.print(f"[bold cyan]{name:<14}[/]{summary(name)}", soft_wrap=True, highlight=False)
    with TemporaryDirectory(prefix="examples-") as folder:
        tour = Tour(
            console=console,
            settings=settings.model_copy(update={"home": Path(folder)}),
            id=f"example-{uuid4().hex[:8]}",
        )
        for name in names or SECTIONS:
            console.print(f"\n[bold cyan]{name}[/]  {summary(name)}", soft_wrap=True, highlight=False)
            SECTIONS[name](tour)


if __name__ == "__main__":
    command = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    command.command(help=HELP)(main)
    run(command, sys.argv[1:])
