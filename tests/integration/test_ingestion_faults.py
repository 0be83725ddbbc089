"""The flow on genuine servers while processes die: nothing lost, nothing invented, no effect twice."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from integration.world import check_ledger, send_broken, wait_until

from loan_default.kafka.events import event_id
from loan_default.kafka.topics import RAW

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

SOUND, BROKEN = 3_000, 30

POINTS = ("logged", "sent", "outbox_written", "batch_stored", "part_sent", "batch_delivered")


def test_a_worker_killed_between_each_pair_of_steps_loses_nothing(world):
    send_broken(world, BROKEN)
    assert world.run("ingest", "--generate", str(SOUND), failpoints="batch_delivered=kill") == -signal.SIGKILL
    for point in POINTS:
        for passing in (1, 2):
            code = world.run("ingest", "--generate", str(SOUND), failpoints=f"{point}=kill@{passing}")
            # A second batch, and a second part, are there or not.
            assert code == -signal.SIGKILL or (passing == 2 and code == 0), (point, passing, code)
    assert world.run("ingest") == 0
    kills = (world.home / "commands.log").read_bytes()
    assert b"Traceback" not in kills
    sent = len({event_id(record) for record in world.records(RAW)}) - BROKEN
    assert sent >= SOUND
    check_ledger(world, sound=sent, broken=BROKEN)


def test_failpoints_are_inert_unless_a_test_says_so(world, monkeypatch):
    process = world.start("ingest", "--generate", "10", failpoints="logged=kill")
    assert process.wait(60) == -signal.SIGKILL
    environment = {**os.environ, **world.kafka.environment, **world.ferretdb.environment}
    environment |= {"LOAN_DEFAULT_HOME": str(world.home), "LOAN_DEFAULT_FAILPOINTS": "logged=kill"}
    environment.pop("LOAN_DEFAULT_TEST", None)
    command = [sys.executable, "-c", "from loan_default.cli.main import main; main()", "ingest"]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0


@pytest.mark.parametrize("who", ["broker", "store"])
def test_a_server_killed_and_restarted_under_load_loses_nothing(world, who):
    send_broken(world, BROKEN)
    assert world.run("ingest", "--generate", "1") == 0
    follower = world.start("ingest", "--follow", "--generate", str(SOUND))
    server = world.kafka.broker if who == "broker" else world.ferretdb.process
    wait_until(lambda: len(world.documents()) > BROKEN + 200)
    for _ in range(2):
        server.kill()
        time.sleep(1.0)
        server.restart()
        time.sleep(1.0)
    feed = world.home / "feeds" / "generated-0.json"
    wait_until(lambda: json.loads(feed.read_text())["next_row"] >= SOUND)
    wait_until(lambda: len(world.documents()) >= SOUND + BROKEN)
    ends = world.broker.end_offsets(RAW)
    wait_until(lambda: world.has_committed(ends))  # then the server is back for good
    follower.send_signal(signal.SIGTERM)
    assert follower.wait(60) == 0, (world.home / "commands.log").read_text()[-3000:]
    assert world.run("ingest") == 0
    sent = len({event_id(record) for record in world.records(RAW)}) - BROKEN
    check_ledger(world, sound=sent, broken=BROKEN)


def test_what_a_killed_member_had_in_hand_is_done_when_the_next_run_ends(world):
    assert world.run("ingest", "--generate", str(SOUND), failpoints="logged=kill") == -signal.SIGKILL
    assert world.run("ingest") == 0
    check_ledger(world, sound=SOUND, broken=0)


def test_members_that_come_and_go_every_two_seconds_lose_nothing(world):
    send_broken(world, BROKEN)
    assert world.run("ingest", "--generate", str(SOUND), failpoints="batch_delivered=sleep(1)") == 0
    feeder = world.start("ingest", "--follow", "--generate", str(SOUND), failpoints="logged=sleep(50)")
    for _ in range(3):
        guest = world.start("ingest", "--follow", failpoints="logged=sleep(50)")
        time.sleep(2)
        guest.send_signal(signal.SIGTERM)
        # On a busy machine it may be stopped while it still imports what it needs: then it was no member yet.
        assert guest.wait(60) in (0, -signal.SIGTERM)
    wait_until(lambda: len(world.documents()) >= 2 * SOUND + BROKEN)
    feeder.send_signal(signal.SIGTERM)
    assert feeder.wait(60) == 0
    assert world.run("ingest") == 0
    sent = len({event_id(record) for record in world.records(RAW)}) - BROKEN
    check_ledger(world, sound=sent, broken=BROKEN)
