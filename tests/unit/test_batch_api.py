"""The Batch API's client, against a real server on this machine whose batches go well, badly and not at all."""

import base64
import email.utils
import json
import logging
import time

import numpy as np
import pytest

from batch_server import BatchService, answered, refused, unreached
from crosswalk.batch_api import BatchAPI
from crosswalk.budget import Budget, BudgetReached
from crosswalk.embedding import embed, open_embedder, open_store
from crosswalk.errors import UserError
from servers import WIDTH, good, vector

KEY = "sk-test-batch-5d0c2e88"
TEXTS = [f"text {i} " + "é" * (i % 5) for i in range(23)]


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with BatchService() as service:
        yield service


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """The pauses that would have been made."""
    made = []
    monkeypatch.setattr(time, "sleep", made.append)
    return made


def client(service, folder, *, limits=None, **settings):
    limits = {"texts": 4, "inputs": 100, **(limits or {})}
    settings = {"model": "toy-model", "dimensions": WIDTH, "base_url": service.url, **settings}
    return BatchAPI(folder=folder / "batches", limits=limits, **settings)


def gathered(api, texts=TEXTS, **more):
    """What `answers` gave until its end: vectors by row, tokens, requests, and the error that ended it, if any."""
    got, tokens, requests, error = {}, 0, 0, None
    try:
        for rows, answer in api.answers(texts, **more):
            assert rows.dtype == np.int64 and answer.vectors.dtype == np.float32
            for row, values in zip(rows.tolist(), answer.vectors, strict=True):
                assert row not in got
                got[row] = values
            tokens, requests = tokens + answer.tokens, requests + answer.requests
    except UserError as caught:
        error = caught
    return got, tokens, requests, error


def right(got, texts=TEXTS, rows=None):
    rows = range(len(texts)) if rows is None else rows
    assert sorted(got) == sorted(rows)
    for row in rows:
        np.testing.assert_allclose(got[row], vector(texts[row]), atol=1e-6)


def journals(folder):
    return sorted((folder / "batches").glob("*.json"))


def test_every_text_is_answered_once_though_lines_come_shuffled(service, tmp_path):
    got, tokens, requests, error = gathered(client(service, tmp_path))
    assert error is None
    right(got)
    assert (tokens, requests) == (sum(map(len, TEXTS)), 6)
    assert service.asked["create"] == 1 and set(service.billed.values()) == {1}
    assert not journals(tmp_path) and [path.name for path in (tmp_path / "batches").iterdir()] == [".lock"]
    lines = service.requests(service.batches["batch_1"])
    assert lines[0]["method"] == "POST" and lines[0]["url"] == "/v1/embeddings"
    body = {"model": "toy-model", "dimensions": WIDTH, "encoding_format": "base64", "input": TEXTS[:4]}
    assert lines[0]["body"] == body
    assert len({line["custom_id"] for line in lines}) == len(lines)


def test_no_texts_ask_nothing(service, tmp_path):
    assert gathered(client(service, tmp_path), [])[0] == {} and not service.asked


def test_batches_and_lines_keep_to_every_limit(service, tmp_path):
    limits = {"texts": 3, "tokens": 30, "inputs": 7, "bytes": 900}
    got, *_, error = gathered(client(service, tmp_path, limits=limits))
    right(got)
    assert error is None and service.asked["create"] > 3
    for batch in service.batches.values():
        lines = service.requests(batch)
        assert len(service.files[batch["input_file_id"]]) <= 900
        assert sum(len(line["body"]["input"]) for line in lines) <= 7
        for line in lines:
            assert len(line["body"]["input"]) <= 3
            assert sum(len(text.encode()) for text in line["body"]["input"]) <= 30


def test_tokens_are_counted_as_told(service, tmp_path):
    api = client(service, tmp_path, limits={"tokens": 2, "texts": 10}, sizes=lambda texts: [1] * len(texts))
    right(gathered(api)[0])
    assert {len(line["body"]["input"]) for line in service.requests(service.batches["batch_1"])} == {1, 2}


def test_groups_are_handed_on_as_they_are_read(service, tmp_path, monkeypatch):
    monkeypatch.setattr("crosswalk.batch_api.GROUP", 8)
    parts = [len(rows) for rows, _ in client(service, tmp_path).answers(TEXTS)]
    assert sum(parts) == len(TEXTS) and len(parts) == 3


def test_pauses_between_looks_grow_to_a_minute(service, tmp_path, waits):
    service.plans = [{"statuses": ["validating"] * 5 + ["in_progress"] * 15 + ["completed"]}]
    right(gathered(client(service, tmp_path))[0])
    assert waits == sorted(waits) and waits[0] <= 2 and waits[-1] == 60 and len(waits) == 20


def test_status_that_is_not_known_yet_is_waited_through(service, tmp_path):
    service.plans = [{"statuses": ["queued", "validating", "resting", "completed"]}]
    right(gathered(client(service, tmp_path))[0])


def test_progress_is_said_when_it_changes(service, tmp_path, caplog):
    caplog.set_level("INFO")
    service.plans = [{"statuses": ["validating"] * 5 + ["in_progress"] * 15 + ["finalizing", "completed"]}]
    gathered(client(service, tmp_path))
    said = [record.getMessage() for record in caplog.records if record.name.startswith("crosswalk.batch")]
    assert len(said) == 5 and "23 texts in 6 requests" in said[0] and "completed, 6 of 6" in said[-1]


# What may become of a batch


def partial(reach, rest):
    """Answers to the first so many requests, `rest` to the others."""
    count = {}
    return lambda request: (
        answered(request) if count.setdefault(request["custom_id"], len(count)) < reach else rest(request)
    )


@pytest.mark.parametrize("rest", [unreached, lambda request: None], ids=["error file", "no error file"])
def test_expired_batch_keeps_what_it_answered_and_a_rerun_asks_for_the_rest(service, tmp_path, rest):
    service.plans = [{"statuses": ["in_progress", "expired"], "answer": partial(2, rest)}]
    got, *_, error = gathered(client(service, tmp_path))
    right(got, rows=range(8))
    assert "15 of 23 texts have no vector" in str(error) and "24h" in str(error) and "Run again" in str(error)
    assert not journals(tmp_path)
    left = TEXTS[8:]
    right(gathered(client(service, tmp_path), left)[0], left)
    assert set(service.billed.values()) == {1}


def test_cancelled_batch_keeps_what_it_answered(service, tmp_path):
    rest = lambda request: unreached(request, "batch_cancelled")  # noqa: E731
    service.plans = [{"statuses": ["in_progress", "cancelling", "cancelling", "cancelled"], "answer": partial(3, rest)}]
    got, *_, error = gathered(client(service, tmp_path))
    right(got, rows=range(12))
    assert "11 of 23" in str(error) and "cancelled" in str(error) and repr(TEXTS[12]) in str(error)


def test_batch_without_any_answer_is_asked_for_anew_by_the_next_run(service, tmp_path):
    service.plans = [{"statuses": ["expired"], "answer": unreached}]
    assert gathered(client(service, tmp_path))[0] == {}
    right(gathered(client(service, tmp_path))[0])


def test_failed_batch_is_told_with_its_lines_and_costs_nothing(service, tmp_path):
    errors = [{"code": "model_not_found", "message": "The provided model is not supported", "line": 7}]
    service.plans = [{"statuses": ["validating", "failed"], "errors": errors}]
    got, *_, error = gathered(client(service, tmp_path))
    assert got == {} and not service.billed and not journals(tmp_path)
    assert "line 7: The provided model is not supported" in str(error) and "batch_1" in str(error)


def test_other_batches_are_kept_though_one_fails(service, tmp_path):
    service.plans = [{}, {"statuses": ["failed"], "errors": []}, {}]
    got, *_, error = gathered(client(service, tmp_path, limits={"inputs": 8}))
    right(got, rows=[*range(8), *range(16, 23)])
    assert "8 of 23" in str(error) and "no reason given" in str(error)


@pytest.mark.parametrize("queue", [100, 150])
def test_batches_shrink_until_the_queue_has_room(service, tmp_path, queue):
    service.queue = queue
    got, *_, error = gathered(client(service, tmp_path))
    assert error is None
    right(got)
    assert set(service.billed.values()) == {1} and service.asked["create"] > 2


def test_full_queue_is_told_with_its_cure(service, tmp_path):
    service.queue = 5
    got, *_, error = gathered(client(service, tmp_path))
    assert got == {} and "23 of 23" in str(error)
    assert "Enqueued token limit" in str(error) and "embedding.batch.queue_tokens" in str(error)
    assert service.asked["create"] < 6


def test_no_more_is_queued_than_is_allowed(service, tmp_path):
    service.queue = 100
    right(gathered(client(service, tmp_path, limits={"queue_tokens": 100}))[0])
    assert not any(batch["status"] == "failed" for batch in service.batches.values())


def test_one_bad_text_costs_only_itself(service, tmp_path):
    def picky(request):
        return refused(request, 400, "invalid input") if TEXTS[9] in request["body"]["input"] else answered(request)

    service.plans = [{"answer": picky}] * 2
    got, *_, error = gathered(client(service, tmp_path))
    right(got, rows=[row for row in range(23) if row != 9])
    assert "1 of 23" in str(error) and repr(TEXTS[9]) in str(error) and "invalid input" in str(error)
    assert set(service.billed.values()) == {1} and not journals(tmp_path)
    assert [len(line["body"]["input"]) for line in service.requests(service.batches["batch_2"])] == [1] * 4


def test_where_every_line_is_refused_no_text_is_blamed_alone(service, tmp_path):
    service.plans = [{"answer": lambda request: refused(request, 400, "dimensions must be 4")}]
    got, *_, error = gathered(client(service, tmp_path))
    assert got == {} and "dimensions must be 4" in str(error) and service.asked["create"] == 1


def test_lines_that_failed_are_named_and_the_rest_kept(service, tmp_path):
    def weak(request):
        return (
            refused(request, 500, "server had an error") if TEXTS[5] in request["body"]["input"] else answered(request)
        )

    service.plans = [{"answer": weak}]
    got, *_, error = gathered(client(service, tmp_path))
    right(got, rows=[row for row in range(23) if row not in range(4, 8)])
    assert "4 of 23" in str(error) and "HTTP 500: server had an error" in str(error) and "Run again" in str(error)


# Wrong answers


def with_row(request, row, values):
    line = answered(request)
    line["response"]["body"]["data"][row]["embedding"] = base64.b64encode(np.asarray(values, "<f4").tobytes()).decode()
    return line


def rows_of(request, order):
    return [good(request["body"])["data"][i] for i in order]


WRONG_LINES = {
    "missing row": (lambda r: answered(r, data=rows_of(r, [0, 1, 2])), "3 vectors for 4 texts"),
    "double index": (lambda r: answered(r, data=rows_of(r, [0, 1, 1, 2])), "indices"),
    "wrong dimension": (lambda r: answered(r, data=good(r["body"], width=4)["data"]), "4 dimensions instead of 8"),
    "ragged": (lambda r: with_row(r, 1, [1, 0]), "different dimensions"),
    "another model": (lambda r: answered(r, model="cheap-model"), "'cheap-model' answered"),
    "half a float": (lambda r: answered(r, data=[{"index": i, "embedding": "AAA="} for i in range(4)]), "base64"),
    "other JSON": (lambda r: answered(r, data="fine"), "not the JSON of an embeddings answer"),
    "neither": (lambda r: {**answered(r), "response": None}, "neither an answer nor an error"),
}
WRONG_ROWS = {
    "NaN": (lambda r: with_row(r, 2, [np.nan] * WIDTH), "not finite"),
    "zero": (lambda r: with_row(r, 2, [0] * WIDTH), "length 0"),
    "long": (lambda r: with_row(r, 2, [9] * WIDTH), "length 25"),
}


def spoiling(change, text=TEXTS[0]):
    return lambda request: change(request) if text in request["body"]["input"] else answered(request)


@pytest.mark.parametrize("name", WRONG_LINES)
def test_wrong_line_is_never_handed_on_and_a_rerun_asks_again(service, tmp_path, name):
    service.plans = [{"answer": spoiling(WRONG_LINES[name][0])}]
    got, *_, error = gathered(client(service, tmp_path))
    right(got, rows=range(4, 23))
    assert WRONG_LINES[name][1] in str(error) and "4 of 23" in str(error) and not journals(tmp_path)
    right(gathered(client(service, tmp_path), TEXTS[:4])[0], TEXTS[:4])


@pytest.mark.parametrize("name", WRONG_ROWS)
def test_of_a_line_with_a_wrong_row_the_sound_rows_are_kept(service, tmp_path, name):
    service.plans = [{"answer": spoiling(WRONG_ROWS[name][0])}]
    got, *_, error = gathered(client(service, tmp_path))
    right(got, rows=[row for row in range(23) if row != 2])
    assert WRONG_ROWS[name][1] in str(error) and "1 of 23" in str(error) and repr(TEXTS[2]) in str(error)


def test_wholly_wrong_batch_is_not_taken_up_again(service, tmp_path):
    service.plans = [{"answer": lambda r: answered(r, model="cheap-model")}]
    assert gathered(client(service, tmp_path))[0] == {}
    right(gathered(client(service, tmp_path))[0])


def test_shuffled_rows_and_lists_of_numbers_are_understood(service, tmp_path):
    def odd(request):
        plain = good({**request["body"], "encoding_format": "float"})["data"]
        return answered(request, data=plain[::-1], model="toy-model-2024")

    service.plans = [{"answer": odd}]
    right(gathered(client(service, tmp_path, dimensions=None))[0])


def test_answers_are_matched_to_their_own_texts_only(service, tmp_path):
    def foreign(request):
        line = answered(request)
        return {**line, "custom_id": "0" * 32} if TEXTS[0] in request["body"]["input"] else line

    service.plans = [{"answer": foreign}]
    got, *_, error = gathered(client(service, tmp_path))
    right(got, rows=range(4, 23))
    assert "4 of 23" in str(error)


def test_line_given_twice_counts_once(service, tmp_path):
    service.plans = [{"garble": lambda content: content + content}]
    right(gathered(client(service, tmp_path))[0])


def test_file_that_cannot_be_read_in_part_is_fetched_again(service, tmp_path):
    service.plans = [{"garble": lambda content: content[:-40]}]
    got, *_, error = gathered(client(service, tmp_path))
    assert len(got) in (19, 20) and "no readable answer" in str(error) and service.asked["content"] == 3


# Outages


@pytest.mark.parametrize("kind", ["upload", "create", "retrieve", "content"])
@pytest.mark.parametrize("fault", [500, "drop", "deaf", "html", (429, {"Retry-After": "7"}, None)], ids=str)
def test_outage_is_waited_out_and_nothing_paid_twice(service, tmp_path, waits, kind, fault):
    if (kind, fault) == ("content", "html"):
        pytest.skip("what a file holds is judged line by line")
    service.faults = {kind: [fault, fault]}
    got, *_, error = gathered(client(service, tmp_path))
    assert error is None
    right(got)
    assert set(service.billed.values()) == {1} and len(service.batches) == 1
    assert waits.count(7.0) == (2 if isinstance(fault, tuple) else 0)


@pytest.mark.parametrize(("told", "least", "most"), [("in 50 s", 48, 50), ("long ago", 0.5, 2), ("0", 0.5, 2)])
def test_a_pause_may_be_a_date_and_is_never_none_at_all(service, tmp_path, waits, told, least, most):
    seconds = {"in 50 s": 50, "long ago": -500}.get(told)
    header = told if seconds is None else email.utils.formatdate(time.time() + seconds, usegmt=True)
    service.faults = {"upload": [(429, {"Retry-After": header}, None)]}
    right(gathered(client(service, tmp_path))[0])
    assert least <= waits[0] <= most


def test_page_instead_of_a_file_is_fetched_again(service, tmp_path):
    service.faults = {"content": ["html", "half"]}
    right(gathered(client(service, tmp_path))[0])


def test_batch_made_unheard_is_found_on_a_later_page(service, tmp_path):
    for _ in range(3):
        gathered(client(service, tmp_path), ["other"])
    service.faults = {"create": ["deaf"], "list": [503, None, "drop"]}
    right(gathered(client(service, tmp_path))[0])
    assert len(service.batches) == 4 and service.billed[TEXTS[0]] == 1


def test_long_outage_ends_the_run_and_the_next_one_goes_on(service, tmp_path, waits):
    service.faults = {"retrieve": [None] + [503] * 99}
    *_, error = gathered(client(service, tmp_path))
    assert "gave up after" in str(error) and "HTTP 503" in str(error) and "not lost" in str(error)
    assert 800 < sum(waits) < 1000 and len(journals(tmp_path)) == 1
    service.faults = {}
    right(gathered(client(service, tmp_path))[0])
    assert len(service.batches) == 1 and not journals(tmp_path)


HOPELESS = {
    "bad key": (401, "OPENAI_API_KEY is refused"),
    "forbidden": (403, "OPENAI_API_KEY is refused"),
    "no quota": ((429, {}, "insufficient_quota"), "no quota left"),
    "no such thing": (404, "no Batch API at this address"),
    "refused": (400, "the request is refused"),
    "come back tomorrow": ((429, {"Retry-After": "86400"}, None), "gave up after 1 tries"),
}


@pytest.mark.parametrize("name", HOPELESS)
def test_what_no_waiting_mends_ends_the_run_at_once(service, tmp_path, waits, name):
    service.faults = {"upload": [HOPELESS[name][0]] * 9}
    *_, error = gathered(client(service, tmp_path))
    assert HOPELESS[name][1] in str(error) and service.asked["upload"] == 1 and waits == []


def test_address_that_is_wrong_is_not_waited_for_long(service, tmp_path, waits):
    *_, error = gathered(client(service, tmp_path, base_url="http://127.0.0.1:9/v1"))
    assert "http://127.0.0.1:9/v1" in str(error) and "no connection" in str(error) and sum(waits) < 60


# The journal


def test_answer_is_forgotten_only_once_the_next_is_asked_for(service, tmp_path, monkeypatch):
    monkeypatch.setattr("crosswalk.batch_api.GROUP", 8)
    answers = client(service, tmp_path).answers(TEXTS)
    rows, _ = next(answers)
    answers.close()  # as if the caller had died before it kept them
    assert len(journals(tmp_path)) == 1
    right(gathered(client(service, tmp_path))[0])
    assert not journals(tmp_path)
    answers = client(service, tmp_path).answers([text + "!" for text in TEXTS])
    rows = set(next(answers)[0].tolist())
    next(answers)
    answers.close()
    rest = [text + "!" for row, text in enumerate(TEXTS) if row not in rows]
    right(gathered(client(service, tmp_path), rest)[0], rest)
    assert set(service.billed.values()) == {1} and not journals(tmp_path)


def test_interruption_says_that_a_rerun_goes_on(service, tmp_path, monkeypatch, caplog):
    def interrupted(seconds):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(client(service, tmp_path).answers(TEXTS))
    assert "batch_1" in caplog.text and "A rerun goes on waiting" in caplog.text and len(journals(tmp_path)) == 1
    right(gathered(client(service, tmp_path))[0])
    assert len(service.batches) == 1


def test_collection_that_changed_meanwhile_pays_only_for_what_is_new(service, tmp_path):
    next(client(service, tmp_path).answers(TEXTS))
    changed = [*TEXTS[10:], "new one", "new two"]
    got, *_, error = gathered(client(service, tmp_path), changed)
    assert error is None
    right(got, changed)
    assert set(service.billed.values()) == {1} and len(journals(tmp_path)) == 1  # the first ten may yet be wanted
    right(gathered(client(service, tmp_path), TEXTS[:10])[0], TEXTS[:10])
    assert set(service.billed.values()) == {1} and not journals(tmp_path)


def test_texts_that_are_kept_can_be_forgotten(service, tmp_path):
    api = client(service, tmp_path)
    api.forget(TEXTS)
    next(api.answers(TEXTS))
    api.forget(TEXTS[:10])
    assert len(journals(tmp_path)) == 1
    right(gathered(api, TEXTS[10:])[0], TEXTS[10:])
    assert set(service.billed.values()) == {1} and not journals(tmp_path)


def test_journal_of_another_model_or_address_is_left_alone(service, tmp_path):
    next(client(service, tmp_path).answers(TEXTS))
    right(gathered(client(service, tmp_path, model="other"))[0])
    assert len(service.batches) == 2 and len(journals(tmp_path)) == 1


def test_old_journal_that_nobody_wants_is_removed(service, tmp_path):
    next(client(service, tmp_path).answers(TEXTS))
    path = journals(tmp_path)[0]
    path.write_text(json.dumps({**json.loads(path.read_text()), "time": 1.0}))
    gathered(client(service, tmp_path), ["else"])
    assert not journals(tmp_path)


def test_two_runs_at_once_share_one_batch(service, tmp_path):
    service.plans = [{"statuses": ["in_progress"] * 6 + ["completed"]}]
    first = client(service, tmp_path).answers(TEXTS)
    got = {}
    rows, answer = next(first)
    got.update(zip(rows.tolist(), answer.vectors, strict=True))
    right(gathered(client(service, tmp_path))[0])
    assert list(first) == [] and len(got) == 23
    assert set(service.billed.values()) == {1} and not journals(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"service": 1}'])
def test_damaged_journal_is_named_with_its_cure(service, tmp_path, content):
    (tmp_path / "batches").mkdir()
    (tmp_path / "batches" / "ab.json").write_text(content)
    *_, error = gathered(client(service, tmp_path))
    assert "ab.json" in str(error) and "Delete it" in str(error) and not service.asked


def test_batch_that_is_unknown_to_this_key_is_named_with_its_journal(service, tmp_path):
    next(client(service, tmp_path).answers(TEXTS))
    service.batches.clear()
    *_, error = gathered(client(service, tmp_path))
    assert str(journals(tmp_path)[0]) in str(error) and "batch_1" in str(error) and len(service.batches) == 0


def test_output_that_is_no_longer_kept_is_told_and_asked_for_anew(service, tmp_path):
    next(client(service, tmp_path).answers(TEXTS))
    service.files.clear()
    got, *_, error = gathered(client(service, tmp_path))
    assert got == {} and "no readable answer" in str(error) and not journals(tmp_path)
    right(gathered(client(service, tmp_path))[0])


def test_folder_that_cannot_be_written_is_named(service, tmp_path):
    (tmp_path / "batches").write_text("a file")
    *_, error = gathered(client(service, tmp_path))
    assert str(tmp_path / "batches") in str(error) and "`cache`" in str(error)


# Money and the key


def test_budget_is_settled_to_what_was_billed(service, tmp_path):
    service.queue = 150  # the first batch is refused, and submitted again in parts
    budget = Budget(400)
    right(gathered(client(service, tmp_path), budget=budget)[0])
    assert (budget.spent, budget.on_the_way) == (sum(map(len, TEXTS)), 0)


@pytest.mark.parametrize("inputs", [8, 100])
def test_budget_stops_before_it_is_crossed_and_what_was_bought_is_kept(service, tmp_path, inputs):
    budget = Budget(150)
    got, tokens, _, error = gathered(client(service, tmp_path, limits={"inputs": inputs}), budget=budget)
    assert isinstance(error, BudgetReached) and budget.on_the_way == 0 and budget.spent == tokens
    assert sum(len(text.encode()) for text in service.billed) <= 150
    right(got, rows=range(len(got)))
    assert len(got) == 12  # of lines of four texts, of 12 bytes about


def test_what_an_earlier_run_bought_is_fetched_whatever_the_budget(service, tmp_path):
    next(client(service, tmp_path).answers(TEXTS))
    budget = Budget(10)
    got, *_, error = gathered(client(service, tmp_path), budget=budget)
    right(got)
    assert error is None and budget.spent == sum(map(len, TEXTS))


def test_key_is_in_no_journal_log_or_error(service, tmp_path, capfd):
    written = tmp_path / "log.txt"
    handler = logging.FileHandler(written)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)  # the client library's own words too
    try:
        service.faults = {"upload": [500], "create": ["deaf", 503], "retrieve": [None, 401], "list": [502]}
        errors = [gathered(client(service, tmp_path))[3]]
        assert len(journals(tmp_path)) == 1
        copy = journals(tmp_path)[0].read_bytes()
        echo = [{"code": "odd", "message": f"Bearer {KEY} is odd"}]
        service.plans = [{"statuses": ["failed"], "errors": echo}]
        errors.append(gathered(client(service, tmp_path), ["a", "b"])[3])
        service.plans = [{"answer": lambda r: refused(r, 500, f"Bearer {KEY}")}]
        errors.append(gathered(client(service, tmp_path), ["c"])[3])
        service.plans = [{"answer": lambda r: answered(r, model=KEY)}]
        errors.append(gathered(client(service, tmp_path), ["d"])[3])
        for error in errors:
            logging.getLogger().exception("as an uncaught error is logged", exc_info=error)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()
    assert all(isinstance(error, UserError) for error in errors)
    assert sum("***" in str(error) for error in errors) == 4
    planted = [copy, *(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()), *service.heard]
    assert not [found for found in planted if KEY.encode() in found]
    assert KEY not in "".join(capfd.readouterr()) and not any(KEY in str(error) for error in errors)


def test_a_config_that_asks_for_batches_gets_them_and_buys_nothing_twice(service, tmp_path):
    settings = {
        "provider": "openai", "mode": "batch", "model": "toy-model", "dimensions": WIDTH, "base_url": service.url,
        "batch": {"texts": 5}, "price": 4,
    }  # fmt: skip
    embedder = open_embedder(settings, cache=tmp_path)
    store = open_store(embedder, tmp_path)
    vectors, usage = embed([*TEXTS, TEXTS[0]], embedder, store=store)
    np.testing.assert_allclose(vectors, [vector(text) for text in [*TEXTS, TEXTS[0]]], atol=1e-6)
    assert usage["embedded"] == len(TEXTS) and usage["cost"] == pytest.approx(4 * usage["tokens"] / 1e6)
    assert service.asked["create"] == 1 and not journals(tmp_path)
    again = embed(TEXTS, open_embedder(settings, cache=tmp_path), store=open_store(embedder, tmp_path))
    assert again.usage["cached"] == len(TEXTS) and service.asked["create"] == 1


def test_batches_need_the_key_at_once(service, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        open_embedder({"provider": "openai", "mode": "batch", "base_url": service.url}, cache=tmp_path)
