"""Collections are checked against one another before anything is embedded."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crosswalk.checking import check
from crosswalk.errors import UserError

BOOKS = [(f"b{i}", f"b{i}", f"text {i}") for i in range(20)]
REVIEWS = [(f"r{i}", f"b{i % 20}", f"text {i}") for i in range(40)]
LINKS = {"reviews": "books"}


def tables(folder, books=BOOKS, reviews=REVIEWS, **columns):
    """Paths of two collections; columns: more of the books'."""
    paths = {"books": folder / "books.parquet", "reviews": folder / "reviews.parquet"}
    for rows, path, more in ((books, paths["books"], columns), (reviews, paths["reviews"], {})):
        values = dict(zip(("id", "group", "text"), map(list, zip(*rows, strict=True)), strict=True))
        pq.write_table(pa.table({**values, **more}), path)
    return paths


def refuse(paths, *words, links=LINKS, **options):
    with pytest.raises(UserError) as error:
        check(paths, links=links, **options)
    for word in words:
        assert word in str(error.value)
    return str(error.value)


def relation(folds):
    return {"of_books": {"x": "books", "y": "reviews", "folds": folds}}


def test_collections_that_fit_together_pass(tmp_path):
    assert check(tables(tmp_path), links=LINKS, relations=relation(5), units={"books": 10, "reviews": 10}) == {
        "books": 20,
        "reviews": 40,
    }


def test_rows_of_an_earlier_run_are_noticed(tmp_path):
    refuse(tables(tmp_path, reviews=[*REVIEWS, ("r40", "gone", "x")]), "reviews.parquet", "gone", "delete both")
    refuse(tables(tmp_path, reviews=[*REVIEWS, ("r1", "b1", "x")]), "reviews.parquet: ids are not unique")
    refuse(tables(tmp_path, reviews=[*REVIEWS, ("r40", "b1", " ")]), "reviews.parquet: there are empty texts")


def test_too_few_items(tmp_path):
    refuse(tables(tmp_path, books=BOOKS[:9], reviews=REVIEWS[:9]), "collections.books: 9 items", "sample.n")


def test_too_few_rows_for_the_encoder_in_any_collection(tmp_path):
    told = refuse(
        tables(tmp_path),
        "collections.books: 20 rows are too few for 16 units (encode.dims)",
        "32",
        units={"books": 16, "reviews": 16},
    )
    assert "collections.reviews" not in told
    refuse(
        tables(tmp_path),
        "collections.reviews: 40 rows are too few for 21 units",
        "link.take",
        units={"books": 21, "reviews": 21},
    )
    check(tables(tmp_path), links=LINKS, units={"books": 10, "reviews": 10})


def test_texts_that_are_all_the_same(tmp_path):
    same = [(own, group, "as ever") for own, group, _ in REVIEWS]
    refuse(tables(tmp_path, reviews=same), "collections.reviews.text", "every row says the same", "text.columns")


def test_fewer_blocks_than_folds(tmp_path):
    paths = tables(tmp_path, block_1=[f"author {i % 4}" for i in range(20)])
    refuse(
        paths, "relate.of_books.folds: 4 blocks (collections.books.block) cannot make 5 folds", relations=relation(5)
    )
    check(paths, links=LINKS, relations=relation(4))


def test_blocks_count_only_with_items_that_have_replies(tmp_path):
    paths = tables(tmp_path, reviews=[row for row in REVIEWS if row[1] not in ("b3", "b7", "b11", "b15", "b19")],
                   block_1=[f"author {i % 4}" for i in range(20)])  # fmt: skip
    refuse(paths, "3 blocks", relations=relation(4))


def test_items_with_one_text_count_as_one(tmp_path):
    """Copies stay in one fold, as the items of a block do."""
    books = [(own, group, f"text {i % 4}") for i, (own, group, _) in enumerate(BOOKS)]
    refuse(tables(tmp_path, books=books), "4 groups of items without a text in common", relations=relation(5))
    check(tables(tmp_path, books=books), links=LINKS, relations=relation(4))


def test_folds_of_too_few_items(tmp_path):
    words = ("relate.of_books.folds: 20 items of books have rows in reviews, too few for 6 folds of 4", "Lower")
    refuse(tables(tmp_path), *words, relations=relation(6))
    fewer = tables(tmp_path, reviews=[row for row in REVIEWS if row[1] != "b0"])
    refuse(fewer, "19 items of books", relations=relation(5))


def test_covariates_that_cannot_be_taken_out(tmp_path):
    paths = tables(tmp_path, year=[str(1900 + i % 9) for i in range(20)], code=["same"] * 20)

    def listing(*names):
        return {"of_books": {**relation(4)["of_books"], "covariates": {"x": list(names), "y": []}}}

    check(paths, links=LINKS, relations=listing("year"))
    refuse(paths, "relate.of_books.covariates.x: 'yaer'", "did you mean 'year'", "collections.books.keep",
           relations=listing("yaer"))  # fmt: skip
    refuse(paths, "relate.of_books.covariates.x: 'code' cannot be taken out", relations=listing("code"))


def test_a_preamble_is_neither_length_nor_copy(tmp_path):
    """A long preamble would make short texts near copies of one another."""
    preamble = " ".join(f"word{i}" for i in range(200)) + " "
    paths = tables(tmp_path, books=[(own, group, preamble + text) for own, group, text in BOOKS])
    refuse(paths, "cannot make 4 folds", relations=relation(4))
    check(paths, links=LINKS, relations=relation(4), preambles={"books": preamble})


def test_label_of_no_row(tmp_path):
    contrast = {"column": "shelf", "values": ["romance", "mistery"]}
    paths = tables(tmp_path, shelf=["romance", "mystery"] * 10)
    refuse(paths, "collections.books.contrast.values: no row has 'mistery'", "'mystery' (10 rows)", "Name two",
           contrasts={"books": contrast})  # fmt: skip
    check(paths, links=LINKS, contrasts={"books": {**contrast, "values": ["romance", "mystery"]}})


def test_all_faults_are_told_at_once(tmp_path):
    told = refuse(
        tables(tmp_path),
        "encode.dims",
        "relate.of_books.folds",
        units={"books": 16, "reviews": 16},
        relations=relation(6),
    )
    assert len(told.splitlines()) == 3
