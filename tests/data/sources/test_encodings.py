"""Encodings: found out from bytes, and read as a stream that keeps damaged bytes."""

import io

import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.file_format import Container, FileFormat, format_from_dict, format_to_dict
from loan_default.data.schema.inference.findings import Severity
from loan_default.data.schema.language import Schema
from loan_default.data.sources.encodings import look_through, same_encoding, utf8_chunks
from loan_default.data.sources.format_words import describe_format
from loan_default.data.sources.sniffing import detect_format, format_for
from loan_default.data.sources.table_files import file_findings, infer_schema, read_frame
from loan_default.errors import DataError

TEXTS = {
    "cp1252": "nome,município,renda\nJoão,São Paulo,1\nInês,Niterói,2\nFrançois,Besançon,3\n",
    "cp1250": "imię,miasto\nŁukasz,Łódź\nZażółć,Gdańsk\nPaweł,Poznań\nJiří,Plzeň\n" * 5,
    "cp1251": "\u0438\u043c\u044f,\u0433\u043e\u0434\n\u0418\u0432\u0430\u043d,1\n" * 20,
    "gb18030": "姓名,城市,收入\n张伟,北京,1\n王芳,上海,2\n" * 9,
}


@pytest.mark.parametrize("encoding", sorted(TEXTS))
def test_a_code_page_is_found_out_by_its_words(tmp_path, encoding):
    path = tmp_path / "loans.csv"
    path.write_bytes(TEXTS[encoding].encode(encoding))
    glance = look_through(path)
    assert glance.head == TEXTS[encoding], glance.encoding


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_a_stream_in_unicode_comes_in_utf8_whatever_the_size_of_the_blocks(encoding, size):
    text = "id,name\n1,Zürich\n2,東京\n3,\U0001f600\n"
    chunks = utf8_chunks(io.BytesIO(text.encode(encoding)), encoding, block_bytes=max(size, 3))
    assert b"".join(chunks).decode() == text


def test_an_accent_far_from_the_beginning_is_seen(tmp_path):
    path = tmp_path / "loans.csv"
    path.write_bytes(b"id,town\n" + b"1,Bern\n" * 200_000 + "2,Genève\n".encode("latin-1"))
    assert look_through(path).encoding == "cp1252"


def test_damaged_bytes_in_utf8_stay_utf8(tmp_path):
    path = tmp_path / "loans.csv"
    path.write_bytes("id,town\n1,Zürich\n2,Köln\n".encode() + b"3,\xff\n")
    assert look_through(path).encoding == "utf-8"


def test_text_in_utf16_that_breaks_off_is_named():
    with pytest.raises(DataError, match="must be in utf-16-le to its end"):
        list(utf8_chunks(io.BytesIO("ab".encode("utf-16-le")[:-1]), "utf-16-le"))


def test_encodings_that_are_read_alike_are_the_same():
    assert same_encoding("UTF-8", "utf-8-sig")
    assert same_encoding("utf-16", "utf-16-be")
    assert same_encoding("latin-1", "cp1252")
    assert not same_encoding("utf-8", "cp1252")


@pytest.mark.parametrize(
    ("text", "encoding", "is_guess"),
    [
        ("id,miasto\n" + "1,Łódź\n2,Kraków\n" * 9, "cp1250", True),
        ("id,名前\n" + "1,東京\n2,大阪\n" * 9, "shift_jis", True),
        ("id,town\n" + "1,Zürich\n2,Genève\n3,Måløy\n4,ÉTAT\n" * 9, "cp1252", False),
        ("id,fee\n" + "1,£12.50\n2,5 €\n3,20 °C\n" * 9, "cp1252", False),
        ("id,town\n1,Łódź\n", "utf-8", False),
    ],
)
def test_what_may_be_another_code_page_is_a_guess_and_warned_of(tmp_path, text, encoding, is_guess):
    path = tmp_path / "loans.csv"
    path.write_bytes(text.encode(encoding))
    assert look_through(path).is_guess is is_guess
    form = detect_format(path)
    found = file_findings(read_frame(path, form=form), form=form)
    assert [each.severity for each in found] == [Severity.WARNING] * is_guess
    assert all("say it by --encoding" in each.message for each in found)


NAMES = ["Łódź", "Gdańsk", "Żory", "Kraków", "Poznań"]


def _schema(**form):
    columns = (
        Column(name="id", kind=Kind.IDENTIFIER),
        Column(name="town", kind=Kind.CATEGORICAL, open=True),
    )
    return Schema(name="loans", columns=columns, format=FileFormat(**form))


@pytest.mark.parametrize("container", ["text", "json_lines"])
@pytest.mark.parametrize(
    ("declared", "towns"),
    [
        ("cp1250", ["Paris", "Orl\u00e9ans", "Toru\u0144"]),  # ń alone looks like ñ
        ("cp852", NAMES),
        ("iso8859_2", ["\u0104\u0119", "Gda\u0144sk"]),
        ("iso8859_15", ["5 €", "Liège"]),
        ("cp437", ["Zürich", "Genève"]),
        ("shift_jis", ["東京", "札幌"]),
        ("cp1251", ["\u0418\u0432\u0430\u043d"]),
    ],
)
def test_the_encoding_of_a_schema_is_the_one_that_the_file_is_read_in(tmp_path, declared, towns, container):
    path = tmp_path / "loans.csv"
    if container == "text":
        text = "id,town\n" + "".join(f"{number},{town}\n" for number, town in enumerate(towns))
    else:
        text = "".join(f'{{"id": "{number}", "town": "{town}"}}\n' for number, town in enumerate(towns))
    path.write_bytes(text.encode(declared))
    schema = _schema(encoding=declared, container=Container(container))
    raw = read_frame(path, form=format_for(path, schema))
    assert raw.frame["town"].tolist() == towns


@pytest.mark.parametrize(
    ("declared", "text", "encoding", "shown"),
    [
        ("utf-8", "1,Zürich\n2,Genève\n", "cp1252", "Windows-1252"),
        ("cp1252", "1,Zürich\n2,Genève\n", "utf-8", "UTF-8"),
        ("shift_jis", "1,Zürich\n2,Genève\n3,São Paulo\n" * 9, "cp1252", "Windows-1252"),
        (
            "cp1252",
            "1,\u041c\u043e\u0441\u043a\u0432\u0430\n2,\u0427\u0435\u0445\u043e\u0432\n" * 9,
            "cp1251",
            "Windows-1251",
        ),
    ],
)
def test_an_encoding_that_cannot_be_the_file_s_is_refused_with_both_named(
    tmp_path, declared, text, encoding, shown
):
    path = tmp_path / "loans.csv"
    path.write_bytes(("id,town\n" + text).encode(encoding))
    name = describe_format(FileFormat(encoding=declared)).removeprefix("CSV in ")
    with pytest.raises(DataError, match=f"the schema says CSV in {name}; the file is CSV in {shown}"):
        format_for(path, _schema(encoding=declared))
    with pytest.raises(DataError, match=rf"--encoding must be that of the file.*{shown}, not in {name}"):
        detect_format(path, encoding=declared)


def test_an_encoding_that_is_named_is_no_guess_and_part_of_the_schema(tmp_path):
    path = tmp_path / "loans.csv"
    path.write_bytes(("id,town,bad\n" + "1,Orl\u00e9ans,0\n2,Toru\u0144,1\n" * 20).encode("cp1250"))
    form = detect_format(path, encoding="cp1250")
    inference = infer_schema(path, target="bad", form=form)
    assert inference.schema.format.encoding == "cp1250"
    assert "Toru\u0144" in inference.schema["town"].categories
    assert not any("encoding" in finding.message for finding in inference.findings)
    path.write_text("id,town,bad\n" + "1,Orleans,0\n2,Torun,1\n" * 20, encoding="ascii")
    assert detect_format(path, encoding="cp1250").encoding == "cp1250"  # for the next file
    with pytest.raises(DataError, match="--encoding must be that of the file"):
        detect_format(path, encoding="utf-16")


def test_a_guessed_encoding_is_no_part_of_a_schema_file(tmp_path):
    path = tmp_path / "loans.csv"
    path.write_bytes(("id,town\n" + "1,Łódź\n2,Kraków\n" * 9).encode("cp1250"))
    form = detect_format(path)
    assert form.encoding_is_guessed
    assert "encoding_is_guessed" not in format_to_dict(form)
    with pytest.raises(DataError, match="keys must be of"):
        format_from_dict({"encoding_is_guessed": True}, where="x")


@pytest.mark.parametrize("name", ["rot13", "base64", "undefined", "latin-99"])
def test_an_encoding_that_is_none_is_refused(name):
    with pytest.raises(DataError, match="encoding must be one that Python knows"):
        FileFormat(encoding=name)
