"""What can be read: models, the champion, the schema, predictions."""

from serving_setup import SCHEMA, record_of

from loan_default.data.schema.records import validate_record
from loan_default.database.experiment_documents import Mode
from loan_default.serving.lineup import Lineup, Trial


def test_models_come_from_the_store_and_the_champion_from_memory(served, champion, challenger):
    assert served.client.get("/v1/models").json() == {"models": [{"version": "v1"}]}
    served.shelf.away = True
    assert served.client.get("/v1/models").status_code == 503
    trial = Trial(id="x", mode=Mode.SHARE, share=0.1, challenger=challenger)
    served.lineup[0] = Lineup(champion=champion, trial=trial)
    content = served.client.get("/v1/models/champion").json()
    assert (content["version"], content["digest"]) == ("v1", champion.digest)
    assert content["experiment"] == {"id": "x", "mode": "share", "share": 0.1, "challenger": "v2"}


def test_the_example_of_the_schema_validates_and_can_be_scored(served):
    response = served.client.get("/v1/schema")
    assert response.headers["content-type"] == "application/schema+json"
    (example,) = response.json()["examples"]
    validate_record(example, SCHEMA)
    assert served.client.post("/v1/scores", json=example).status_code == 200


def test_a_prediction_is_read_by_the_id_of_its_answer(served):
    given = served.client.post("/v1/scores", json=record_of("p")).json()
    read = served.client.get(f"/v1/predictions/{given['id']}").json()
    assert {name: read[name] for name in ("id", "application", "pd", "points", "model", "group")} == {
        name: given[name] for name in ("id", "application", "pd", "points", "model", "group")
    }
    assert read["door"] == "http"


def test_what_is_not_there_is_404_and_a_store_that_is_away_503(served):
    assert served.client.get("/v1/predictions/none").status_code == 404
    assert served.client.get("/v1/predictions/" + "x" * 300).status_code == 422
    served.shelf.away = True
    assert served.client.get("/v1/predictions/none").status_code == 503


def test_without_a_model_there_is_no_schema(served):
    served.lineup[0] = None
    for path in ("/v1/schema", "/v1/models/champion"):
        assert served.client.get(path).status_code == 503
